#!/bin/sh
# Runs a command on one of the hosts of network.sh, as ssh would. Usage: agent.sh [-x] HOST COMMAND...
[ "$1" = -x ] && shift # MPICH's launcher says so to ssh
host=$1
shift
exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"
