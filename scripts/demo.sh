#!/usr/bin/env bash
# Installs, builds, makes demo data and processes it on two ranks. Usage: scripts/demo.sh [FOLDER]
set -euo pipefail
folder=$(realpath -m "${1:-demo}")
source "$(dirname "$0")/environment.sh"

cargo build --release
program=target/release/spikegrid-mpi
raw="$folder/raw_trace_data_demo"
spikes="$folder/processed_spike_grids_demo"

if [ ! -d "$raw" ]; then
    "$program" demo-data --subjects 3 --neurons 2000 --frames 2000 --output "$raw"
fi
mpirun -n 2 "$program" --input_dir "$raw" --output_dir "$spikes"

cat <<EOF

Written to $spikes, for each subject:
  preaugmented_grids.h5        spikes on grids (frames, z-planes, 256, 128)
  metadata.h5                  train and test frames, z-planes
  <subject>_visualization.pdf  what to look at first
and combined_metadata.h5 and report.json for all of them.

To look at the grids in Python (pip install h5py):
  import h5py
  grids = h5py.File("$spikes/subject_1/preaugmented_grids.h5")["grids"]
  print(grids.shape, grids[100, 3].sum())
EOF
