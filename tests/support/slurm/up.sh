#!/bin/sh
# A Slurm of two nodes on this machine, each with fake NPUs, without systemd, cgroups or accounting.
#
#     tests/support/slurm/up.sh STATE_DIR [NPUS_PER_NODE=8]      prints the variables to set; stop with down.sh STATE_DIR
#
# Node n1 is this machine, node n2 a network namespace of it with an address of its own: what msrun asks of a
# node, whether the master's address is one of its own, has a different answer on each.
# Needs root and: apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge iproute2
set -eu
S=${1:?STATE_DIR}; NPUS=${2:-8}
mkdir -p "$S/ctld" "$S/log"

# a killed run never came to down.sh
if ! pgrep -x -r D,R,S slurmctld > /dev/null; then
  pkill -x slurmd || true
  ip netns delete distillery-n2 2> /dev/null || true
  ip link delete distillery-v1 2> /dev/null || true
fi
# pairs of 10.213.7.0/24: unlikely to be in use, and gone with the namespace
ip netns add distillery-n2
ip link add distillery-v1 type veth peer name distillery-v2 netns distillery-n2
ip address add 10.213.7.1/24 dev distillery-v1
ip link set distillery-v1 up
ip -n distillery-n2 address add 10.213.7.2/24 dev distillery-v2
ip -n distillery-n2 link set distillery-v2 up
ip -n distillery-n2 link set lo up

H=$(hostname -s)
: > "$S/gres.conf"; : > "$S/nodes"
for i in 1 2; do
  mkdir -p "$S/spool.n$i" "$S/dev.n$i"
  for d in $(seq 0 $((NPUS - 1))); do : > "$S/dev.n$i/davinci$d"; done
  echo "NodeName=n$i Name=npu File=$S/dev.n$i/davinci[0-$((NPUS - 1))]" >> "$S/gres.conf"
  echo "NodeName=n$i NodeHostname=$H NodeAddr=10.213.7.$i Port=$((17000 + i)) CPUs=8 RealMemory=20000" \
       "Gres=npu:$NPUS State=UNKNOWN" >> "$S/nodes"
done
cat > "$S/slurm.conf" <<C
ClusterName=distillery
SlurmctldHost=$H(10.213.7.1)
SlurmctldPort=16817
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=npu
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MinJobAge=3600
KillWait=20
OverTimeLimit=0
StateSaveLocation=$S/ctld
SlurmdSpoolDir=$S/spool.%n
SlurmctldPidFile=$S/ctld.pid
SlurmdPidFile=$S/slurmd.%n.pid
SlurmctldLogFile=$S/log/ctld.log
SlurmdLogFile=$S/log/slurmd.%n.log
SlurmdParameters=config_overrides
$(cat "$S/nodes")
PartitionName=npu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
C

# Snakemake's jobstep drops SLURM_CONF with the other SLURM_ variables: the default path must lead here too
mkdir -p /etc/slurm
ln -sfn "$S/slurm.conf" /etc/slurm/slurm.conf
ln -sfn "$S/gres.conf" /etc/slurm/gres.conf
if ! munge -n > /dev/null 2>&1; then
  mkdir -p /run/munge; chown munge: /run/munge /var/log/munge /var/lib/munge
  runuser -u munge -- /usr/sbin/munged
  : > "$S/munge.ours"
fi
export SLURM_CONF="$S/slurm.conf"
slurmctld -c -f "$SLURM_CONF"
slurmd -N n1 -f "$SLURM_CONF"
# not `ip netns exec`: it mounts another /sys, without the cgroups that slurmd looks for. Numbers of devices are a node's
# own, and so is the folder of their locks
LOCKS="${TMPDIR:-/tmp}/distillery-locks"
mkdir -p "$S/locks.n2" "$LOCKS"; chmod 1777 "$S/locks.n2" "$LOCKS"
nsenter --net=/run/netns/distillery-n2 unshare --mount sh -c \
  "mount --bind '$S/locks.n2' '$LOCKS' && slurmd -N n2 -f '$SLURM_CONF'"
n=0
until [ "$(sinfo -h -N -t idle | wc -l)" -ge 2 ]; do
  n=$((n + 1)); [ $n -le 100 ] || { sinfo -N -l; cat "$S"/log/*.log; exit 1; }
  sleep 0.1
done
echo "export SLURM_CONF=$SLURM_CONF"
