#!/usr/bin/env bash
# Kills many runs at random moments, each rank at each stage, and fills disks, then checks that a rerun gives the bytes of
# an undisturbed run. Usage: scripts/fault.sh [RUNS], 100 by default; `cargo test` does the same in a short form.
# Full disks need the right to mount a tmpfs (root).
set -euo pipefail
source "$(dirname "$0")/environment.sh"
export SPIKEGRID_FAULT_RUNS="${1:-100}"
exec cargo test --test fault -- --nocapture --test-threads 1
