#!/usr/bin/env bash
# Fuzzes the readers of files from elsewhere. Usage: scripts/fuzz.sh [SECONDS [TARGET...]], half an hour for each by default.
# Needs Rust nightly and cargo-fuzz (cargo install cargo-fuzz).
set -euo pipefail
source "$(dirname "$0")/environment.sh"
seconds="${1:-1800}"
shift || true
[ $# -gt 0 ] || set -- mat keras pth safetensors config journal lzf pickle npy
export ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:allocator_may_return_null=1
for target in "$@"; do
    mkdir -p "fuzz/corpus/$target"
    # The HDF5 library crashes on some of what it is given, so its fuzzer goes on after that.
    seeds="fuzz/seeds/$target"
    survive=()
    if [ "$target" = keras ]; then
        seeds=tests/fixtures/cascade/keras
        survive=(-fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1)
    fi
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "$seeds" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2560 -malloc_limit_mb=1024 "${survive[@]}"
done
