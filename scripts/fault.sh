#!/usr/bin/env bash
# Kills many runs at random moments, each rank at each stage, fills disks and lets calls of the system fail, then checks
# that a rerun gives the bytes of an undisturbed run; flips a bit in every byte of HDF5 files.
# Usage: scripts/fault.sh [RUNS], 100 by default; `cargo test` does the same in a short form.
# Full disks need the right to mount a tmpfs (root).
set -euo pipefail
source "$(dirname "$0")/environment.sh"
python_environment
export SPIKEGRID_FAULT_RUNS="${1:-100}"
export SPIKEGRID_IO_FAILURES="${1:-100}" SPIKEGRID_DAMAGE_STEP=1
exec cargo test --no-fail-fast --test fault --test io_failure --test damaged_input -- --nocapture --test-threads 1
