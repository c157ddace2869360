#!/usr/bin/env bash
# Reads grids with h5py of several years, which were built on HDF5 1.10 (Debian's), 1.12, 1.14 and 2, and with HDF5's own tools.
# Usage: scripts/readers.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages hdf5-tools python3-h5py
python_environment
for version in 3.8.0 3.11.0 3.14.0; do
    older_h5py "$version"
done
exec cargo test --test output_readers -- --nocapture
