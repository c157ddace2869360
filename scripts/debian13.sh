#!/usr/bin/env bash
# Makes a Debian 13 (HDF5 1.14, Open MPI 5) in a folder, and in it runs the demo and the quick tests, or another command. Needs root, and
# lends the Rust toolchain and the crates of this machine to the folder. The folder stays, with what was built, for the next time.
# Usage: scripts/debian13.sh [FOLDER [COMMAND...]]
#   scripts/debian13.sh                                      into target/debian13
#   scripts/debian13.sh target/debian13 scripts/test.sh      every test
set -euo pipefail

source "$(dirname "$0")/own-mounts.sh"

folder=$(realpath -m "${1:-$(dirname "$0")/../target/debian13}")
shift || true
if [ $# -eq 0 ]; then
    set -- sh -c "scripts/demo.sh /tmp/demo && scripts/quick.sh"
fi
source "$(dirname "$0")/debian.sh"
root="$folder/root"
make_debian trixie "$root"
enter_debian "$root"
# All crates are fetched here: in there, nothing is written to cargo's folder.
cargo fetch --locked --quiet --target "$(rustc -vV | sed -n 's/^host: //p')"
lend "$root" "${CARGO_HOME:-$HOME/.cargo}" rust/cargo ro
lend "$root" "${RUSTUP_HOME:-$HOME/.rustup}" rust/rustup ro
lend "$root" . source
# What is built in there is linked to other libraries than what is built here.
mkdir -p "$folder/build"
lend "$root" "$folder/build" source/target
[ ! -d ../shared ] || lend "$root" ../shared shared ro

echo "== Debian $(cat "$root/etc/debian_version"): $*"
debian_path=/rust/cargo/bin: CARGO_HOME=/rust/cargo RUSTUP_HOME=/rust/rustup CARGO_NET_OFFLINE=true \
    in_debian "$root" sh -c 'cd /source && exec "$@"' sh "$@"
