#!/usr/bin/env bash
# Runs a command in a bare Debian, as a user without Rust, MPI or HDF5 has it. Needs root. What the command installs and writes is gone
# afterwards; the Debian itself stays in target/bare-debian for the next time.
# Usage: scripts/bare-debian.sh bookworm|trixie FOLDER COMMAND...       FOLDER is seen there as /given, read-only
set -euo pipefail

source "$(dirname "$0")/own-mounts.sh"

suite=$1
given=$(realpath "$2")
shift 2
source "$(dirname "$0")/debian.sh"
base="$PWD/target/bare-debian/$suite"
make_debian "$suite" "$base"

# What is written goes to memory, and so away with the mounts.
root=$(mktemp -d)
trap 'umount -R "$root" 2>/dev/null || true; rmdir "$root" || true' EXIT
mount -t tmpfs tmpfs "$root"
mkdir "$root"/{upper,work,root}
mount -t overlay -o "lowerdir=$base,upperdir=$root/upper,workdir=$root/work" overlay "$root/root"
enter_debian "$root/root"
lend "$root/root" "$given" given ro
echo "== bare Debian $(cat "$base/etc/debian_version"): $*"
in_debian "$root/root" "$@"
