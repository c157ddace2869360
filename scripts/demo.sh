#!/usr/bin/env bash
# Installs, builds, and tries the program on two ranks. Usage: scripts/demo.sh [FOLDER]
set -euo pipefail
folder=$(realpath -m "${1:-demo}")
source "$(dirname "$0")/environment.sh"

cargo build --release
mpirun -n 2 target/release/spikegrid-mpi demo "$folder"

cat <<EOT

To look at the grids in Python (pip install h5py):
  import h5py
  grids = h5py.File("$folder/processed_spike_grids_demo/subject_1/preaugmented_grids.h5")["grids"]
  print(grids.shape, grids[100, 3].sum())
EOT
