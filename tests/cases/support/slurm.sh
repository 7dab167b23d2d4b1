#!/usr/bin/env bash
# A SLURM cluster of one node on this machine, for tests: munged, slurmctld and slurmd as root, their files in a directory.
#   slurm.sh start DIR CPUS    starts it and waits until the node is idle; clients want SLURM_CONF=DIR/slurm.conf
#   slurm.sh stop DIR          stops what start began
# Exit code 77: it cannot run here, and why.
set -euo pipefail
action=$1
mkdir -p "$2"
dir=$(realpath "$2")

skip() {
    echo "SKIPPED: no SLURM here: $*"
    exit 77
}

stop() {
    local name pid
    for name in slurmd slurmctld munged; do
        pid=$(cat "$dir/$name.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || true
        for _ in {1..100}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    done
}

start() {
    local cpus=$1 host memory name
    ((EUID == 0)) || skip "it wants root"
    for name in munged slurmctld slurmd sbatch; do
        command -v "$name" >/dev/null || skip "there is no $name (apt-get install slurm-wlm munge)"
    done
    host=$(hostname -s)
    memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
    chmod 755 "$dir"
    mkdir -p "$dir"/{state,spool,munge}
    (umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key")
    cat >"$dir/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${SLURM_TEST_PORT:-16817}
SlurmdPort=$((${SLURM_TEST_PORT:-16817} + 1))
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,requeue_delay=1
KillWait=20
OverTimeLimit=0
MinJobAge=300
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=low Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20
PartitionName=high Nodes=$host MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
END
    export SLURM_CONF=$dir/slurm.conf
    munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munge/seed" >"$dir/start.log" 2>&1 ||
        skip "munged: $(tail -n 1 "$dir/start.log")"
    slurmctld -c >>"$dir/start.log" 2>&1 || { stop; skip "slurmctld: $(tail -n 1 "$dir/start.log")"; }
    slurmd >>"$dir/start.log" 2>&1 || { stop; skip "slurmd: $(tail -n 1 "$dir/start.log")"; }
    for _ in {1..150}; do
        [[ $(sinfo --noheader --format=%t --partition=low 2>/dev/null) == idle ]] && return
        sleep 0.2
    done
    stop
    skip "the node does not become idle: $(tail -n 1 "$dir/slurmctld.log") $(tail -n 1 "$dir/slurmd.log")"
}

case $action in
    start) start "$3" ;;
    stop) stop ;;
    *) echo "slurm.sh start DIR CPUS | stop DIR" >&2 && exit 2 ;;
esac
