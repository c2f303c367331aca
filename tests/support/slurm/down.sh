#!/bin/sh
# Stop what up.sh started, by its pid files, and remove the namespace.
S=${1:?STATE_DIR}
for p in "$S"/slurmd.n*.pid "$S"/ctld.pid; do [ -s "$p" ] && kill "$(cat "$p")"; done
[ -e "$S/munge.ours" ] && kill "$(cat /run/munge/munged.pid)"
ip netns delete distillery-n2
ip link delete distillery-v1 2> /dev/null # goes with its peer, sooner or later
for f in slurm gres; do [ "$(readlink /etc/slurm/$f.conf)" = "$S/$f.conf" ] && rm "/etc/slurm/$f.conf"; done
exit 0
