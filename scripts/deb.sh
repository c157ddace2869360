#!/usr/bin/env bash
# Builds the .deb of the program with MPI, and tries it on a bare Debian 12: installation, the demo on two ranks, man page, completions, removal.
# The trial needs root. Usage: scripts/deb.sh [build|try]; without an argument both.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages dpkg-dev

folder="$PWD/target/deb"

build() {
    if [ ! -x "$folder/tools/bin/cargo-deb" ]; then
        cargo install --quiet --locked --root "$folder/tools" --target-dir "$folder/tools/build" cargo-deb@3.8.0
    fi
    rm -rf "$folder/root" "$folder/dist"
    make install PREFIX=/usr DESTDIR="$folder/root"
    "$folder/tools/bin/cargo-deb" --no-build --strip --locked --output "$folder/dist/"
    ls -l "$folder/dist"
}

try() {
    # shellcheck disable=SC2016 # for the shell there
    scripts/bare-debian.sh bookworm "$folder/dist" bash -euc '
        export DEBIAN_FRONTEND=noninteractive OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends man-db bash-completion >/dev/null 2>&1
        apt-get install -y -qq --no-install-recommends /given/*.deb >/dev/null
        cd /tmp
        spikegrid-mpi --version
        mpirun --oversubscribe -n 2 spikegrid-mpi demo
        spikegrid-mpi verify demo/processed_spike_grids_demo
        man -P cat spikegrid-mpi >page
        grep -q -- --input_dir page
        man -P cat spikegrid-mpi-doctor >page
        grep -q -- --json page
        bash -c ". /usr/share/bash-completion/bash_completion; _completion_loader spikegrid-mpi; complete -p spikegrid-mpi"
        test -s /usr/share/zsh/vendor-completions/_spikegrid-mpi
        test -s /usr/share/fish/vendor_completions.d/spikegrid-mpi.fish
        apt-get purge -y -qq spikegrid-mpi >/dev/null
        left=$(find /usr /etc /var/lib/dpkg/info -iname "*spikegrid*")
        [ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }
        echo "removed without leftovers"'
}

case "${1:-all}" in
build) build ;;
try) try ;;
*)
    build
    try
    ;;
esac
