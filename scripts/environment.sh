# Sourced by the other scripts: installs what the build needs (on Debian and Ubuntu) and settles the environment.
# Elsewhere, load the modules of an MPI library and of an HDF5 built with it, and set HDF5_DIR, before calling them.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

install_packages() {
    command -v apt-get >/dev/null || return 0
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "installing ${missing[*]}"
    local sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_packages build-essential pkg-config libclang-dev libopenmpi-dev openmpi-bin libhdf5-openmpi-dev

if ! command -v cargo >/dev/null; then
    echo "cargo is not on the PATH: install Rust 1.89 or later, see https://rustup.rs" >&2
    exit 2
fi
if ! command -v mpicc >/dev/null; then
    echo "mpicc is not on the PATH: install an MPI library with its headers, or load its module" >&2
    exit 2
fi

# The scripts look for what cargo builds here, whatever the user's own settings are.
export CARGO_TARGET_DIR="$PWD/target"

debian_hdf5="/usr/lib/$(uname -m)-linux-gnu/hdf5/openmpi"
if [ -z "${HDF5_DIR:-}" ] && [ -d "$debian_hdf5" ]; then
    export HDF5_DIR="$debian_hdf5"
fi

# Open MPI: allow root (containers), more ranks than cores, and no binding of a rank's threads to one core.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
