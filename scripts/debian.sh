# Sourced by scripts that work in a Debian of their own, a folder into which they change their root.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

make_debian() { # SUITE ROOT: a minimal Debian, once
    local suite=$1 root=$2 mirror
    [ ! -e "$root.complete" ] || return 0
    if ! command -v debootstrap >/dev/null; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
    fi
    # From where this machine's own packages come.
    # shellcheck disable=SC2016 # apt fills in the name
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
    echo "== Debian $suite into $root"
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${mirror:+"$mirror"} >"$root.log"
    touch "$root.complete"
}

lend() { # ROOT FROM PLACE [OPTION]: shows a folder of this machine there
    mkdir -p "$1/$3"
    mount --bind "$2" "$1/$3"
    mount -o "remount,bind,${4:-rw}" "$1/$3"
}

enter_debian() { # ROOT: what every process expects
    mount -t proc proc "$1/proc"
    mount -t sysfs sysfs "$1/sys"
    mount -t devpts devpts "$1/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
    # The certificates that this machine trusts beside Debian's own: its registries may need them.
    install -D -m 644 -t "$1/usr/local/share/ca-certificates" /usr/local/share/ca-certificates/*.crt 2>/dev/null || true
    chroot "$1" update-ca-certificates >/dev/null 2>&1
}

in_debian() { # ROOT COMMAND...: with no setting of this machine that means other files there
    local root=$1
    shift
    env -u HDF5_DIR -u MPICC -u SPIKEGRID_TEST_PYTHON -u SPIKEGRID_MODEL_DIR -u TMPDIR -u CARGO_TARGET_DIR -u PIP_FIND_LINKS \
        HOME=/root LC_ALL=C.UTF-8 PATH="${debian_path:-}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        chroot "$root" "$@"
}
