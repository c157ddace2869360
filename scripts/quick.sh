#!/usr/bin/env bash
# What to run while you work: formatting, lints and unit tests, in less than two minutes once everything was built.
# Usage: scripts/quick.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"

echo "== formatting and lints"
cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings

echo "== unit tests"
cargo test --workspace --lib --bins
