#!/usr/bin/env bash
# Several hosts on one machine, for tests: network namespaces host1 to hostN on one bridge, with addresses and names of
# their own, and this machine's files. Starts a command on host1 and ends with its exit status. Each line "down N" or
# "up N" on the standard input cuts host N off or brings it back; when the input ends, so does all.
# Usage: unshare --mount --net --pid --fork --kill-child --mount-proc tests/hosts/network.sh HOSTS COMMAND...
# In namespaces of its own, everything ends with this script, however it ends.
set -euo pipefail
hosts=$1
shift

mkdir -p /run/netns
mount -t tmpfs hosts /run/netns
# Process numbers start anew here, and MPI libraries name files by them.
mount -t tmpfs memory /dev/shm
mkdir /run/netns/tmp
export TMPDIR=/run/netns/tmp
names=/run/netns/names
echo "127.0.0.1 localhost" >"$names"
mount --bind "$names" /etc/hosts # in this mount namespace alone
ip link add bridge type bridge
ip link set bridge up
for n in $(seq "$hosts"); do
    ip netns add "host$n"
    ip link add "port$n" type veth peer name eth0 netns "host$n"
    ip link set "port$n" master bridge up
    ip -n "host$n" address add "10.77.0.$n/24" dev eth0
    ip -n "host$n" link set eth0 up
    ip -n "host$n" link set lo up
    echo "10.77.0.$n host$n" >>"$names"
done

exec 3<&0
"$(dirname "$0")/agent.sh" host1 "$(printf '%q ' "$@")" </dev/null 3<&- &
command=$!
{
    while read -r what n; do
        ip link set "port$n" "$what"
    done <&3
    kill "$command"
} &
status=0
wait "$command" || status=$?
exit "$status"
