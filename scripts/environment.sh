# Sourced by the other scripts: installs what the build needs (on Debian and Ubuntu) and settles the environment.
# Elsewhere, load the modules of an MPI library and of an HDF5 built with it, and set HDF5_DIR, before calling them.
# A script that sets `with_mpi=no` before it sources this one builds without MPI, against a serial HDF5.

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

# Makes a Python with NumPy, SciPy and h5py, which tests call to make input and to check output, unless SPIKEGRID_TEST_PYTHON names one.
python_environment() {
    [ -n "${SPIKEGRID_TEST_PYTHON:-}" ] && return 0
    install_packages python3-venv
    local python="$PWD/target/python/bin/python"
    if ! "$python" -c "import h5py, numpy, scipy" 2>/dev/null; then
        echo "installing NumPy, SciPy and h5py into target/python"
        python3 -m venv --clear target/python
        "$python" -m pip install --quiet --disable-pip-version-check numpy h5py scipy
    fi
    export SPIKEGRID_TEST_PYTHON="$python"
}

# Makes a Python with an older h5py, whose wheel brings an older HDF5: 3.8.0 has 1.12, 3.11.0 has 1.14.
older_h5py() {
    local python="$PWD/target/h5py-$1/bin/python"
    "$python" -c "import h5py" 2>/dev/null && return 0
    # There are wheels for some versions of Python only.
    python3 -m venv --clear "target/h5py-$1"
    if ! "$python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "h5py==$1" "numpy<2"; then
        echo "NOT RUN: h5py $1, which cannot be installed for this Python" >&2
        rm -rf "target/h5py-$1"
    fi
}

if [ "${with_mpi:-yes}" = yes ]; then
    hdf5_flavour=openmpi
    install_packages build-essential pkg-config libclang-dev libopenmpi-dev openmpi-bin libhdf5-openmpi-dev
else
    hdf5_flavour=serial
    install_packages build-essential pkg-config libhdf5-dev
fi

if ! command -v cargo >/dev/null; then
    echo "cargo is not on the PATH: install Rust 1.89 or later, see https://rustup.rs" >&2
    exit 2
fi
if [ "${with_mpi:-yes}" = yes ] && ! command -v mpicc >/dev/null; then
    echo "mpicc is not on the PATH: install an MPI library with its headers, or load its module" >&2
    exit 2
fi

# The scripts look for what cargo builds here, whatever the user's own settings are.
export CARGO_TARGET_DIR="$PWD/target"

debian_hdf5="/usr/lib/$(uname -m)-linux-gnu/hdf5/$hdf5_flavour"
# A script that builds with MPI may have called the one that builds without.
[[ "$hdf5_flavour ${HDF5_DIR:-}" = "serial "*/hdf5/openmpi ]] && unset HDF5_DIR
if [ -z "${HDF5_DIR:-}" ] && [ -d "$debian_hdf5" ]; then
    export HDF5_DIR="$debian_hdf5"
fi

# Open MPI: allow root (containers), more ranks than cores, and no binding of a rank's threads to one core.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Open MPI 4 reads the first line; the launcher of Open MPI 5, PRRTE, reads the second. tests/common/mod.rs sets the same.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe PRTE_MCA_hwloc_default_binding_policy=none
