#!/usr/bin/env bash
# The long form of what concerns clusters: every test with either MPI library, hosts and Slurm several times over.
# Needs root, for namespaces. Usage: scripts/cluster-test.sh [ROUNDS], 3 by default
set -euo pipefail
rounds=${1:-3}
source "$(dirname "$0")/environment.sh"
install_packages procps iproute2 slurm-wlm munge mpich libmpich-dev libhdf5-mpich-dev
python_environment

if [ "$(id -u)" -ne 0 ]; then
    echo "this needs root: hosts and Slurm are started in namespaces of their own" >&2
    exit 2
fi
SPIKEGRID_TINY_SUBJECTS=1000 SPIKEGRID_FRAMES_OF_ALL_RANKS=60000 cargo test --test scale -- --nocapture
scripts/test-mpich.sh end_to_end resume fault array bad_input training hosts
export SPIKEGRID_MPICH_PROGRAM="$PWD/target/mpich/debug/spikegrid-mpi"
for round in $(seq "$rounds"); do
    echo "== round $round of $rounds"
    cargo test --test array --test slurm --test hosts --test launchers -- --nocapture
done
