# Sourced first by scripts that need root and mounts: starts the script again in a mount namespace of its own, whose mounts end with the
# script, however it ends.

if [ "$(id -u)" -ne 0 ]; then
    echo "this needs root: for chroot and for mounts" >&2
    exit 2
fi
if [ -z "${SPIKEGRID_OWN_MOUNTS:-}" ]; then
    exec env SPIKEGRID_OWN_MOUNTS=yes unshare --mount --propagation private "$0" "$@"
fi
unset SPIKEGRID_OWN_MOUNTS
