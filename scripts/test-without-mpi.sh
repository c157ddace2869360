#!/usr/bin/env bash
# Builds the program without MPI, against a serial HDF5, and runs the tests that need one rank only.
# Usage: scripts/test-without-mpi.sh [build]; with `build` it builds and starts the program, but runs no tests.
set -euo pipefail
with_mpi=no
source "$(dirname "$0")/environment.sh"

# Should a dependency ask for MPI after all, its build fails, even where this machine has MPI.
export MPICC=false
target=target/without-mpi
cargo=(--no-default-features --target-dir "$target")
if [ "${1:-}" = build ]; then
    # Unoptimised: this form is about whether it can be built.
    export CARGO_PROFILE_DEV_OPT_LEVEL=0
fi
cargo build "${cargo[@]}"
# Not piped into grep -q, which leaves before ldd has said all: with pipefail that is a failure.
libraries=$(ldd "$target/debug/spikegrid-mpi")
if [[ $libraries == *libmpi* ]]; then
    echo "$target/debug/spikegrid-mpi is linked to MPI: HDF5_DIR=${HDF5_DIR:-} has to name a serial HDF5" >&2
    exit 1
fi
"$target/debug/spikegrid-mpi" --version
[ "${1:-}" = build ] && exit 0

python_environment
cargo test --workspace "${cargo[@]}"
