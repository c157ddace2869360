#!/usr/bin/env bash
# Builds with MPI against a serial HDF5, without the feature mpio, and runs the tests of the whole program; and checks that the build
# stops where mpio meets a serial HDF5. Debian only: elsewhere, set HDF5_DIR to your own serial HDF5.
# Usage: scripts/test-serial-hdf5.sh [TEST...], end_to_end by default.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages libhdf5-dev
serial="/usr/lib/$(uname -m)-linux-gnu/hdf5/serial"
if [ -d "$serial" ]; then
    export HDF5_DIR="$serial"
fi
cargo=(--no-default-features --target-dir target/serial-hdf5)

if said=$(cargo check "${cargo[@]}" -p spikegrid-files --features spikegrid-files/mpio 2>&1); then
    echo "${HDF5_DIR:-} is a parallel HDF5: set HDF5_DIR to a serial one" >&2
    exit 1
fi
if [[ $said != *'"mpio" feature requires HDF5 library built with MPI'* ]]; then
    echo "$said" >&2
    exit 1
fi

python_environment
tests=(--test end_to_end)
[ $# -eq 0 ] || tests=("${@/#/--test=}")
cargo test "${cargo[@]}" --features mpi "${tests[@]}"
