#!/usr/bin/env bash
# Measures the program against its floors and peers and prints one table. Usage: scripts/bench.sh [--long] [TARGET...]
# Targets: inference gpu scaling baseline grids reading pipeline cluster, and with --long alone memory growth. All of the form by default.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages python3-venv

echo "== program and benches"
cargo build --release
cargo bench --no-run --bench figures
for instruction_set in avx2 avx512; do
    features=()
    [ "$instruction_set" = avx512 ] && features=(--features avx512)
    cargo build --release --manifest-path benches/sgemm/Cargo.toml "${features[@]}" --target-dir "target/bench/sgemm-$instruction_set"
done

echo "== peers: NumPy, h5py, PyTorch, TensorFlow"
python=target/bench/python/bin/python
if ! "$python" -c "import h5py, numpy, scipy, tensorflow, torch" 2>/dev/null; then
    python3 -m venv target/bench/python
    "$python" -m pip install --quiet numpy h5py scipy tensorflow-cpu torch
fi

echo "== figures"
exec "$python" scripts/bench.py "$@"
