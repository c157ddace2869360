#!/usr/bin/env bash
# Builds with MPICH and runs the tests of the whole program with it. Debian only: elsewhere, build with your own MPICH and
# call cargo test with SPIKEGRID_TEST_MPIRUN. Usage: scripts/test-mpich.sh [TEST...], end_to_end by default, or all.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages mpich libmpich-dev libhdf5-mpich-dev
python_environment

export MPICC=mpicc.mpich HDF5_DIR="/usr/lib/$(uname -m)-linux-gnu/hdf5/mpich" SPIKEGRID_TEST_MPIRUN=mpirun.mpich
if ! command -v "$MPICC" >/dev/null || [ ! -d "$HDF5_DIR" ]; then
    echo "NOT RUN: MPICH, because $MPICC or $HDF5_DIR is not there (Debian: libmpich-dev libhdf5-mpich-dev)" >&2
    exit 0
fi
# A target folder of its own: a change of MPICC alone does not rebuild the bindings. What does not depend on the MPI library, which is nearly all,
# is taken from the main build where there is one.
if [ ! -d target/mpich ] && [ -d target/debug/.fingerprint ] && [ -d target/debug/build ]; then
    rm -rf target/mpich.partial
    mkdir -p target/mpich.partial/debug/deps
    cp -a target/debug/{.fingerprint,build} target/mpich.partial/debug/
    find target/debug/deps -name '*.*' -exec cp -a -t target/mpich.partial/debug/deps {} +
    cargo clean --quiet --target-dir target/mpich.partial \
        --package mpi-sys --package mpi --package hdf5-metno-sys --package hdf5-metno --package spikegrid-mpi
    mv target/mpich.partial target/mpich
fi
cargo=(cargo test --target-dir target/mpich)
tests=(--test end_to_end)
if [ "${1:-}" = all ]; then
    tests=(--tests)
elif [ $# -gt 0 ]; then
    tests=("${@/#/--test=}")
fi
"${cargo[@]}" --no-run "${tests[@]}"
# Not piped into grep -q, which leaves before ldd has said all: with pipefail that is a failure.
libraries=$(ldd target/mpich/debug/spikegrid-mpi)
if [[ $libraries != *libhdf5_mpich.* || $libraries != *libmpich.* || $libraries == *libmpi.* ]]; then
    echo "target/mpich/debug/spikegrid-mpi has to be linked to libhdf5_mpich and libmpich, and not to libmpi: remove target/mpich" >&2
    exit 1
fi
"${cargo[@]}" "${tests[@]}"
