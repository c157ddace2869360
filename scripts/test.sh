#!/usr/bin/env bash
# Installs, checks formatting, lints and documentation, and runs every test.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages chromium poppler-utils procps iproute2 slurm-wlm munge hdf5-tools
python_environment
older_h5py 3.8.0

# Everything is built once: what a later build would need to go faster costs gigabytes.
export CARGO_INCREMENTAL=0

# What the tests of one program share outlives them: all of it goes with this folder.
TMPDIR="$(mktemp -d)"
export TMPDIR
trap 'rm -rf "$TMPDIR" || true' EXIT
# Open MPI keeps its session folders here. Two launchers that make this folder at the same moment fail; with something in it, it stays.
mkdir -p "$TMPDIR/ompi.$(uname -n | cut -d. -f1).$(id -u)/kept"

scripts/check.sh

echo "== GPU build"
scripts/cuda-toolkit.sh
cargo clippy --workspace --features cuda --all-targets -- -D warnings
cargo test --features cuda --test gpu --test gpu_program

echo "== build without MPI"
scripts/test-without-mpi.sh build

echo "== tests with MPICH"
scripts/test-mpich.sh
mpich="$PWD/target/mpich/debug/spikegrid-mpi"
[ -x "$mpich" ] && export SPIKEGRID_MPICH_PROGRAM="$mpich"

echo "== tests"
cargo test --workspace

echo "== Python package"
SPIKEGRID_MPI="$PWD/target/debug/spikegrid-mpi" scripts/test-python.sh
