#!/usr/bin/env bash
# Checks formatting, lints, documentation, and the syntax of the scripts. Usage: scripts/check.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install_packages python3

echo "== formatting, lints, documentation"
cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

echo "== syntax of the scripts"
find .ci/run packaging scripts tests \( -name '*.sh' -o -name '*.sbatch' -o -name run \) -type f -print0 |
    xargs -0 -n 1 bash -n
find benches packaging scripts tests -name '*.py' -print0 |
    xargs -0 python3 -c 'import ast, sys; [ast.parse(open(path).read(), path) for path in sys.argv[1:]]'
