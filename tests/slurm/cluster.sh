#!/usr/bin/env bash
# A Slurm cluster of one node on loopback, for tests: its own munge key and socket, its own ports, nothing of the system's.
# Says "ready" once jobs can be submitted, and lasts until its standard input ends.
# Usage: unshare --pid --mount-proc --fork --kill-child tests/slurm/cluster.sh FOLDER PORT
# In a process namespace of its own, daemons and jobs end with this script, however it ends.
set -euo pipefail
folder=$(realpath "$1")
port=$2
host=$(hostname -s)
mkdir -p "$folder"/{munge,state,spool,logs}
exec 2>"$folder/logs/cluster.sh"

daemon() {
    local name=$1
    shift
    "$@" >"$folder/logs/$name.out" 2>&1 </dev/null &
}

# munged refuses folders that others can write to, among them /tmp above the socket.
dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
chmod 600 "$folder/munge/key"
daemon munged munged --foreground --force --socket "$folder/munge/socket" --key-file "$folder/munge/key" \
    --pid-file "$folder/munge/pid" --seed-file "$folder/munge/seed" --log-file "$folder/logs/munged"

cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
# A requeued job waits until the credential of its last start is over: 120 s by default.
AuthInfo=socket=$folder/munge/socket,cred_expire=15
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/logs/slurmctld
SlurmdLogFile=$folder/logs/slurmd
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=0
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
MpiDefault=none
ReturnToService=2
KillWait=5
OverTimeLimit=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=2000 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=test Nodes=$host Default=YES MaxTime=10 PriorityTier=1 GraceTime=30
PartitionName=urgent Nodes=$host MaxTime=10 PriorityTier=2
CONF
# In /tmp a folder that another cluster's job of the same number left would keep ours from starting.
echo "PMIxCliTmpDirBase=$folder/spool" >"$folder/mpi.conf"
export SLURM_CONF="$folder/slurm.conf"

for _ in $(seq 100); do
    [ -S "$folder/munge/socket" ] && break
    sleep 0.1
done
daemon slurmctld slurmctld -D
daemon slurmd slurmd -D
for _ in $(seq 300); do
    if sinfo --noheader --format=%T 2>/dev/null | grep -q idle; then
        echo ready
        cat >/dev/null
        exit 0
    fi
    sleep 0.1
done
echo "the cluster does not start; its logs:"
tail -n 20 "$folder"/logs/*
exit 1
