#!/usr/bin/env bash
# Slurm on loopback: a controller and two nodes on one host, used by test_cluster.py in namespaces of its own: … PYTHON FOLDER
# The daemons end with the namespace. Their key, sockets, files and logs lie in the folder; nothing of the host is touched.
set -euo pipefail
python=$1 folder=$2/slurm here=$(cd "$(dirname "$0")" && pwd)
export PATH="$PATH:/usr/sbin" SLURM_CONF="$folder/slurm.conf" OMP_NUM_THREADS=1
mkdir -p "$folder"
ip link set lo up
ip addr add 10.77.0.1/32 dev lo  # without an address beside 127.0.0.1 Slurm finds no host

host=$(hostname -s)
cat >"$SLURM_CONF" <<END
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5  # a requeued job waits as long as a credential holds
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SlurmctldParameters=preempt_send_user_signal
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MessageTimeout=5
SlurmdTimeout=5
KillWait=20
AccountingStorageType=accounting_storage/none
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/%n.log
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17001 CPUs=1 RealMemory=2000
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17002 CPUs=1 RealMemory=2000
PartitionName=main Nodes=ALL Default=YES MaxTime=60 PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes=ALL MaxTime=60 PriorityTier=2 PreemptMode=OFF
END
(umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
  --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
slurmctld
slurmd -N n1
slurmd -N n2
until [ "$(sinfo --noheader --nodes=n1,n2 --states=idle --partition=main --format=%D 2>/dev/null)" = 2 ]; do sleep 0.1; done
echo "two nodes"
"$python" "$here/slurm_on_loopback.py" "$folder"
