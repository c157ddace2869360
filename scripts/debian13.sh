#!/usr/bin/env bash
# Makes a Debian 13 (HDF5 1.14, Open MPI 5) in a folder, and in it runs the demo and the quick tests, or another command. Needs root, and
# lends the Rust toolchain and the crates of this machine to the folder. The folder stays, with what was built, for the next time.
# Usage: scripts/debian13.sh [FOLDER [COMMAND...]]
#   scripts/debian13.sh                                      into target/debian13
#   scripts/debian13.sh target/debian13 scripts/test.sh      every test
set -euo pipefail

if [ "$(id -u)" -ne 0 ]; then
    echo "this needs root: for chroot and for mounts" >&2
    exit 2
fi
# In a mount namespace of its own, whose mounts end with this script, however it ends.
if [ -z "${SPIKEGRID_OWN_MOUNTS:-}" ]; then
    exec env SPIKEGRID_OWN_MOUNTS=yes unshare --mount --propagation private "$0" "$@"
fi
unset SPIKEGRID_OWN_MOUNTS

folder=$(realpath -m "${1:-$(dirname "$0")/../target/debian13}")
shift || true
if [ $# -eq 0 ]; then
    set -- sh -c "scripts/demo.sh /tmp/demo && scripts/quick.sh"
fi
cd "$(dirname "$0")/.."
root="$folder/root"

if [ ! -e "$root/complete" ]; then
    if ! command -v debootstrap >/dev/null; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
    fi
    # From where this machine's own packages come.
    # shellcheck disable=SC2016 # apt fills in the name
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
    echo "== Debian 13 into $root"
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase --include=ca-certificates trixie "$root" ${mirror:+"$mirror"} >"$folder/debootstrap.log"
    touch "$root/complete"
fi

lend() { # FROM PLACE [OPTION]
    mkdir -p "$root/$2"
    mount --bind "$1" "$root/$2"
    mount -o "remount,bind,${3:-rw}" "$root/$2"
}
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t devpts devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
# All crates are fetched here: in there, nothing is written to cargo's folder.
cargo fetch --locked --quiet --target "$(rustc -vV | sed -n 's/^host: //p')"
lend "${CARGO_HOME:-$HOME/.cargo}" rust/cargo ro
lend "${RUSTUP_HOME:-$HOME/.rustup}" rust/rustup ro
lend . source
# What is built in there is linked to other libraries than what is built here.
mkdir -p "$folder/build"
lend "$folder/build" source/target
[ ! -d ../shared ] || lend ../shared shared ro
# The certificates that this machine trusts beside Debian's own: its registries may need them.
install -D -m 644 -t "$root/usr/local/share/ca-certificates" /usr/local/share/ca-certificates/*.crt 2>/dev/null || true
chroot "$root" update-ca-certificates >/dev/null 2>&1

echo "== Debian $(cat "$root/etc/debian_version"): $*"
env -u HDF5_DIR -u MPICC -u SPIKEGRID_TEST_PYTHON -u TMPDIR -u CARGO_TARGET_DIR -u PIP_FIND_LINKS \
    HOME=/root LC_ALL=C.UTF-8 CARGO_HOME=/rust/cargo RUSTUP_HOME=/rust/rustup CARGO_NET_OFFLINE=true \
    PATH=/rust/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" sh -c 'cd /source && exec "$@"' sh "$@"
