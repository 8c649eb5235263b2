#!/bin/bash
# Tests scripts/slurm on a Slurm of one node that it starts itself: an array of short runs, some requeued
# while they train and some stopped at their time limit, and the comparison that depends on it. The weights
# must equal those of an undisturbed sweep.
#
#   scripts/test-slurm.sh
#
# Needs root and Debian's slurm-wlm and munge; without them it says so and exits with 0. MDN names the
# binary (default: mdn).
set -euo pipefail

for program in slurmctld slurmd munged sbatch; do
    if ! PATH=$PATH:/usr/sbin command -v "$program" >/dev/null; then
        echo "test-slurm: skipped: no $program here (apt-get install slurm-wlm munge)"
        exit 0
    fi
done
if [ "$(id -u)" -ne 0 ]; then
    echo "test-slurm: skipped: expected root, to start a Slurm of its own"
    exit 0
fi
export PATH=$PATH:/usr/sbin
scripts=$(cd "$(dirname "$0")" && pwd)
MDN=$(command -v "${MDN:-mdn}")
export MDN

work=$(mktemp -d)
mkdir -p "$work"/{ctld,d,log,run}
export SLURM_CONF=$work/slurm.conf
stop() {
    scontrol shutdown >/dev/null 2>&1 || true
    if [ -n "${munge:-}" ]; then kill "$munge" 2>/dev/null || true; fi
    sleep 1
    rm -rf "$work"
}
trap stop EXIT

if ! munge -n 2>/dev/null | unmunge >/dev/null 2>&1; then
    install -d -o munge -g munge -m 0755 /run/munge
    runuser -u munge -- /usr/sbin/munged
    munge=$(cat /run/munge/munged.pid)
fi
cat >"$SLURM_CONF" <<C
ClusterName=mdntest
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$work/ctld
SlurmdSpoolDir=$work/d
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/log/slurmctld.log
SlurmdLogFile=$work/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=10
MinJobAge=3600
NodeName=localhost NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
C
slurmctld -c -f "$SLURM_CONF"
slurmd -c -f "$SLURM_CONF" -N localhost
for _ in $(seq 100); do
    [ "$(sinfo -h -o %t 2>/dev/null)" = idle ] && break
    sleep 0.2
done

cd "$work/run"
cp "$scripts/torture.toml" .
long=(torture.toml 'seeds=[0]' train.steps=20000 train.patience=0 train.validate_every=500)
"$MDN" --quiet train "${long[@]}" --data ring --out undisturbed >/dev/null

read -r array compare < <(SHARES=3 SBATCH_OPTIONS="--mem=0" "$scripts/slurm/submit.sh" "${long[@]}" \
    --data ring --checkpoint-every 0.2)
echo "test-slurm: array $array, comparison $compare"
# Requeue tasks twice while they train, and shorten the wait of a requeued task.
for _ in 1 2; do
    sleep 2
    for task in 0 1 2; do
        scontrol requeue "${array}_$task" 2>/dev/null || true
    done
    sleep 1
    for task in 0 1 2; do
        scontrol update jobid="${array}_$task" StartTime=now 2>/dev/null || true
    done
done
for _ in $(seq 600); do
    state=$(scontrol -o show job "$compare" | grep -o 'JobState=[A-Z_]*')
    case $state in
        JobState=COMPLETED) break ;;
        JobState=PENDING | JobState=RUNNING | JobState=COMPLETING) sleep 0.5 ;;
        *)
            echo "test-slurm: the comparison ended as $state" >&2
            cat slurm/*.out >&2
            exit 1
            ;;
    esac
done
[ "$state" = JobState=COMPLETED ] || { cat slurm/*.out >&2; exit 1; }
restarts=$(scontrol -o show job "$array" | grep -o 'Restarts=[0-9]*' | awk -F= '{ n += $2 } END { print n + 0 }')
[ "$restarts" -gt 0 ] || { echo "test-slurm: expected tasks that were requeued; got none" >&2; exit 1; }
grep -q "^spline " slurm/mdn-compare_*.out
count=0
while IFS= read -r file; do
    cmp "undisturbed/$file" "results/$file" >&2
    count=$((count + 1))
done < <(cd undisturbed && find . -name model.safetensors -o -name metrics.csv -o -name history.csv)
echo "test-slurm: $restarts restarts: the same bytes in $count files"
