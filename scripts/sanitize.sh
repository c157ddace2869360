#!/usr/bin/env bash
# Runs under AddressSanitizer the unit tests and, on 1 to 8 ranks, the tests of the whole program that pass through its `unsafe` code:
# messages between ranks, chunks of HDF5 files, memory in huge pages. The MPI and HDF5 libraries are not instrumented, so leaks are not looked for.
# Usage: scripts/sanitize.sh. Needs Rust nightly.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
python_environment
export RUSTFLAGS=-Zsanitizer=address
export ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:allocator_may_return_null=1
host=$(rustc -vV | sed -n 's/^host: //p')
cargo +nightly test --target "$host" --target-dir target/sanitize --workspace --lib --test end_to_end --test resume "$@"
