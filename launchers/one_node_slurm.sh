#!/usr/bin/env bash
# A real SLURM on this one machine, for trying sweeps and for `make test-slurm`: Debian or Ubuntu, root, loopback only.
# Its node claims 8 GPUs and 64 CPUs that need not exist, a second one on the same machine as many; nothing under /etc is
# touched. Partitions: main (one node), low (preempted by main), wide (both nodes).
#   launchers/one_node_slurm.sh start|stop|status|clean     (start installs slurm-wlm and munge if they are missing)
#   . "$(launchers/one_node_slurm.sh env)"                  then sbatch, squeue and `pirig ... hydra/launcher=slurm` work
# PIRIG_SLURM: where its files live (default /tmp/pirig-slurm); PIRIG_SLURM_PORT: the first of three ports (default 16827).
set -euo pipefail

home=${PIRIG_SLURM:-/tmp/pirig-slurm}
port=${PIRIG_SLURM_PORT:-16827}
gpus=8 cpus=64
host=$(hostname -s)
nodes=("$host" "$host-2")
export SLURM_CONF=$home/slurm.conf

fail() { echo "one_node_slurm.sh: $*" >&2; exit 1; }
alive() { [ -s "$home/run/$1.pid" ] && kill -0 "$(cat "$home/run/$1.pid")" 2>/dev/null; }
until_true() { # seconds, then a command that is asked every 0.1 s
  local end=$((SECONDS + $1)); shift
  until timeout 3 "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done
}

install_packages() {
  command -v slurmctld slurmd munged >/dev/null && return
  [ "$(id -u)" = 0 ] || fail "installing slurm-wlm and munge needs root"
  echo "installing slurm-wlm and munge" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm slurm-wlm-basic-plugins munge >/dev/null
}

write_configuration() {
  local memory_mb; memory_mb=$(awk '/^MemTotal/ {print int($2 / 1024) - 512}' /proc/meminfo)
  cat > "$SLURM_CONF" <<EOF
ClusterName=pirig
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a requeued job waits before it starts again (120 s otherwise)
AuthInfo=socket=$home/run/munge.sock,cred_expire=5
StateSaveLocation=$home/controller
SlurmdSpoolDir=$home/%n
SlurmctldPidFile=$home/run/slurmctld.pid
SlurmdPidFile=$home/run/%n.pid
SlurmctldLogFile=$home/log/slurmctld.log
SlurmdLogFile=$home/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
# the node may claim more than it has
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=100000,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# at preemption a job gets its --signal, not only SIGTERM
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
KillWait=20
CompleteWait=0
InactiveLimit=0
MinJobAge=3600
MaxArraySize=1001
ReturnToService=2
PropagateResourceLimits=NONE
NodeName=DEFAULT CPUs=$cpus Boards=1 SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=$memory_mb Gres=gpu:$gpus
NodeName=${nodes[0]} NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1))
NodeName=${nodes[1]} NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2))
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF DefMemPerCPU=64
# jobs of low give way to those of main and are queued again
PartitionName=low Nodes=$host MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=20 DefMemPerCPU=64
PartitionName=wide Nodes=${nodes[0]},${nodes[1]} MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF DefMemPerCPU=64
EOF
  echo "NodeName=${nodes[0]},${nodes[1]} Name=gpu File=$home/gpu[0-$((gpus - 1))]" > "$home/gres.conf"
  echo "CgroupAutomount=no" > "$home/cgroup.conf"
  echo "export SLURM_CONF=$SLURM_CONF" > "$home/env.sh"
}

start() {
  install_packages
  mkdir -p "$home"/{log,run,controller,munge} "${nodes[@]/#/$home/}" && chmod 755 "$home" && chmod 700 "$home/munge"
  write_configuration
  # slurmd wants character devices as GPUs; these are /dev/null's numbers
  for i in $(seq 0 $((gpus - 1))); do [ -c "$home/gpu$i" ] || mknod "$home/gpu$i" c 1 3; done
  if ! alive munged; then
    [ -s "$home/munge/key" ] || { head -c 1024 /dev/urandom > "$home/munge/key"; chmod 400 "$home/munge/key"; }
    munged --force --socket="$home/run/munge.sock" --key-file="$home/munge/key" --seed-file="$home/munge/seed" \
      --pid-file="$home/run/munged.pid" --log-file="$home/munge/log"
  fi
  alive slurmctld || slurmctld -f "$SLURM_CONF"
  until_true 20 sh -c "scontrol ping | grep -q ' UP'" || fail "slurmctld does not answer; see $home/log/slurmctld.log"
  local node
  for node in "${nodes[@]}"; do
    alive "$node" || slurmd -f "$SLURM_CONF" -N "$node"
    until_true 30 sh -c "sinfo -h -N -n $node -o %t | grep -qE '^(idle|mix|alloc)$'" || {
      sinfo -R >&2; tail -5 "$home/log/$node.log" >&2; fail "node $node did not come up"; }
  done
  timeout 20 srun -p wide -N2 true || fail "srun failed; see $home/log/$host.log"
  sinfo
  echo ". $home/env.sh    in a shell that shall use it"
}

stop() {
  local name
  for name in "${nodes[@]}" slurmctld munged; do
    if alive $name; then
      local pid; pid=$(cat "$home/run/$name.pid")
      kill "$pid"
      until_true 20 sh -c "! kill -0 $pid" || kill -9 "$pid"
    fi
    rm -f "$home/run/$name.pid"
  done
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  clean) stop; rm -rf "$home" ;;
  status) sinfo; squeue ;;
  env) echo "$home/env.sh" ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
