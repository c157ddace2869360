#!/usr/bin/env bash
# Fuzzes each reader of files from elsewhere. Usage: scripts/fuzz.sh [SECONDS [TARGET...]], half an hour for all by default.
# Needs Rust nightly and cargo-fuzz (cargo install cargo-fuzz).
set -euo pipefail
source "$(dirname "$0")/environment.sh"
seconds="${1:-1800}"
shift || true
[ $# -gt 0 ] || set -- mat pth safetensors config journal
for target in "$@"; do
    mkdir -p "fuzz/corpus/$target"
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024
done
