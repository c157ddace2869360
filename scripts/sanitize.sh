#!/usr/bin/env bash
# Runs under AddressSanitizer, on 1 to 8 ranks, the tests that pass through each `unsafe` of the program: the messages and
# the collective writes. The MPI and HDF5 libraries are not instrumented, so leaks are not looked for.
# Usage: scripts/sanitize.sh. Needs Rust nightly.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
export RUSTFLAGS=-Zsanitizer=address
export ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:allocator_may_return_null=1
export SPIKEGRID_TEST_PYTHON="${SPIKEGRID_TEST_PYTHON:-$PWD/target/python/bin/python}"
host=$(rustc -vV | sed -n 's/^host: //p')
cargo +nightly test --target "$host" --target-dir target/sanitize --lib --test end_to_end --test resume "$@"
