#!/usr/bin/env bash
# Installs, checks formatting, lints and documentation, and runs every test.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages poppler-utils procps python3-venv iproute2 slurm-wlm munge

# What the tests of one program share outlives them: all of it goes with this folder.
TMPDIR="$(mktemp -d)"
export TMPDIR
trap 'rm -rf "$TMPDIR" || true' EXIT

echo "== formatting, lints, documentation"
cargo fmt --check
cargo clippy --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet

echo "== readers for the outputs: h5py"
python=target/python/bin/python
if ! "$python" -c "import h5py, numpy, scipy" 2>/dev/null; then
    python3 -m venv target/python
    target/python/bin/pip install --quiet numpy h5py scipy
fi
export SPIKEGRID_TEST_PYTHON="$PWD/$python"

echo "== GPU build"
scripts/cuda-toolkit.sh
cargo clippy --features cuda --all-targets -- -D warnings
cargo test --features cuda --test gpu --test gpu_program

echo "== tests with MPICH"
scripts/test-mpich.sh
mpich="$PWD/target/mpich/debug/spikegrid-mpi"
[ -x "$mpich" ] && export SPIKEGRID_MPICH_PROGRAM="$mpich"

echo "== tests"
cargo test
