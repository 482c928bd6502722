#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mutants-guest.sh: the part of mutants.sh that runs in the VM
#
# usage: mutants-guest.sh FOLDER OPERATIONS SEED SECONDS NAME...
set -uo pipefail
work=$1 ops=$2 seed=$3 seconds=$4
shift 4
export CKPT_AUDIT_NOTES=1

run() {	# TEST LOG
	case $1 in
	audit)
		timeout -k 5 $((seconds + 20)) build/audit/audit "$ops" "$seed" "$seconds" ;;
	*)
		timeout -k 5 120 "build/selftests/${1}_test" ;;
	esac </dev/null >"$2" 2>&1
}
what() {	# LOG STATUS: what a test that failed says first
	grep -m 1 LOST "$1" || grep -m 1 '^not ok' "$1" ||
		{ [ "$2" = 124 ] && echo "its time limit"; } || echo "status $2: $(tail -n 1 "$1")"
}
try() {	# NAME TEST: 0 if it is found; a test that is not there finds nothing
	local log=/out/$1.$2.log rc=0

	[ "$2" = audit ] || [ -x "build/selftests/${2}_test" ] || return 1
	echo "$1 $2" >/out/now
	sync /out/now 2>/dev/null
	dmesg -C
	run "$2" "$log" || rc=$?
	if ! dmesg | tests/vm/runner/klog.sh >/tmp/klog; then
		echo "$2: kernel log: $(head -n 1 /tmp/klog)" >"/out/$1.found"
		return 0
	fi
	[ "$rc" != 0 ] || return 1
	echo "$2: $(what "$log" "$rc")" >"/out/$1.found"
}
clean() {	# what a test leaves when it gives up
	local g

	pkill -9 -f build/selftests/ || :
	for g in $(find /sys/fs/cgroup -mindepth 1 -depth -type d); do
		echo 0 >"$g/cgroup.freeze"
		[ ! -e "$g/cgroup.kill" ] || echo 1 >"$g/cgroup.kill"
		rmdir "$g"
	done 2>/dev/null
	sleep 1
	find /sys/fs/cgroup -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null
	grep -o '/[^ ]*ckpt[^ ]*\|/tmp/[^ ]*\|/scratch/[^ ]*' /proc/mounts | tac |
		xargs -r -n 1 umount 2>/dev/null
	rm -rf /scratch/audit.* /tmp/audit.*
}

for name; do
	insmod "$work/$name.ko" || exit 1
	read -ra tests </out/"$name".tests
	for t in "${tests[@]}"; do
		try "$name" "$t" && break
	done
	touch "/out/$name.done"
	clean
	rmmod ckpt || exit 1
done
