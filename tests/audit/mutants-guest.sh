#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mutants-guest.sh: the part of tests/run/mutants.sh that runs in the VM
#
# usage: mutants-guest.sh FOLDER OPERATIONS SEED SECONDS NAME...
set -uo pipefail
work=$1 ops=$2 seed=$3 seconds=$4
shift 4
for name; do
	insmod "$work/$name.ko" || exit 1
	export CKPT_AUDIT_NOTES=1
	timeout -k 5 $((seconds + 20)) build/audit/audit "$ops" "$seed" "$seconds" </dev/null \
		>"/out/$name.log" 2>&1
	# what it leaves when it gives up
	for g in audit audit-away audit-slow; do
		[ ! -d /sys/fs/cgroup/$g ] || echo 1 >/sys/fs/cgroup/$g/cgroup.kill
	done
	sleep 1
	rmdir /sys/fs/cgroup/audit{,-away,-slow} 2>/dev/null
	rm -rf /scratch/audit.* /tmp/audit.*
	rmmod ckpt || exit 1
done
