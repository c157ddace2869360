#!/usr/bin/env bash
# Builds the wheel that holds the program (one rank, HDF5 linked in, the models beside it), and tries it on a bare Debian 12 and 13: pip
# install, then the demo. The trial needs root. Usage: scripts/wheel.sh [build|try]; without an argument both.
set -euo pipefail
with_mpi=no
source "$(dirname "$0")/environment.sh"
install_packages python3-venv

most_bytes=60000000
folder="$PWD/target/wheel"
tools="$folder/tools/bin"

build() {
    # Zig links against an older glibc than this machine's, so that the wheel also runs on older systems. HDF5 needs CMake 3.26.
    if [ ! -x "$tools/maturin" ] || [ ! -x "$tools/cmake" ]; then
        python3 -m venv --clear "$folder/tools"
        "$tools/pip" install --quiet --disable-pip-version-check "maturin>=1.9,<2" cargo-zigbuild ziglang "cmake<4"
    fi
    rm -rf "$folder/dist" "$folder/spikegrid_mpi.data"
    local share="$folder/spikegrid_mpi.data/data/share" hdf5
    mkdir -p "$share/spikegrid-mpi" "$share/doc/spikegrid-mpi"
    cp -r models "$share/spikegrid-mpi/"
    hdf5=$(cargo metadata --format-version 1 --locked --features static-hdf5 |
        python3 -c 'import json, sys; print(*(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "hdf5-metno-src"))')
    cp LICENSE-MIT LICENSE-APACHE "$share/doc/spikegrid-mpi/"
    cp "$(dirname "$hdf5")/ext/hdf5/LICENSE" "$share/doc/spikegrid-mpi/LICENSE-HDF5"
    # Should a dependency ask for MPI after all, its build fails.
    (cd packaging/wheel && env -u HDF5_DIR MPICC=false PATH="$tools:$PATH" maturin build --release --zig --compatibility manylinux2014 \
        --target "$(uname -m)-unknown-linux-gnu" --target-dir "$folder/build" --out "$folder/dist")
    local wheel bytes
    wheel=$(echo "$folder"/dist/*.whl)
    bytes=$(stat -c %s "$wheel")
    echo "$wheel: $bytes bytes"
    if [ "$bytes" -gt "$most_bytes" ]; then
        echo "the wheel has more than $most_bytes bytes" >&2
        exit 1
    fi
}

try() {
    local suite
    for suite in bookworm trixie; do
        # shellcheck disable=SC2016 # for the shell there
        scripts/bare-debian.sh "$suite" "$folder/dist" sh -euc '
            apt-get update -qq
            apt-get install -y -qq --no-install-recommends python3-venv >/dev/null 2>&1
            python3 -m venv /venv
            /venv/bin/pip install --quiet --no-index /given/*.whl
            cd /tmp
            /venv/bin/spikegrid-mpi --version
            /venv/bin/spikegrid-mpi models list
            /venv/bin/spikegrid-mpi demo
            /venv/bin/spikegrid-mpi verify demo/processed_spike_grids_demo
            /venv/bin/pip uninstall --quiet --yes spikegrid-mpi
            # pip leaves empty folders.
            left=$(find /venv -ipath "*spikegrid*" -type f)
            [ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }'
    done
}

case "${1:-all}" in
build) build ;;
try) try ;;
*)
    build
    try
    ;;
esac
