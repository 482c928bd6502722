#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mutants-guest.sh: the part of mutants.sh that runs in the VM
#
# usage: mutants-guest.sh FOLDER OPERATIONS SEED SECONDS NAME...
# NAME.ko in FOLDER has the fault, /out/NAME.tests holds the tests that have to find it and, in a
# second line, what shows it. What was found goes to /out/NAME.found, what a test that found
# nothing said all the same to /out/NAME.said. The fault "control" is none: all of its tests run,
# and one that does not pass ends everything.
set -uo pipefail
work=$1 ops=$2 seed=$3 seconds=$4
shift 4
export CKPT_AUDIT_NOTES=1
. tests/run/found.sh

run() {	# TEST LOG LIMIT
	case $1 in
	audit)
		timeout -k 5 $(($3 + 20)) build/audit/audit "$ops" "$seed" "$3" ;;
	*)
		timeout -k 5 "$3" "build/selftests/${1}_test" ;;
	esac </dev/null >"$2" 2>&1
}
what() {	# LOG STATUS: what a test that failed says first
	grep -m 1 LOST "$1" || grep -m 1 '^not ok' "$1" ||
		{ [ "$2" = 124 ] && echo "its time limit"; } || echo "status $2: $(tail -n 1 "$1")"
}
try() {	# NAME TEST EXPECTED: 0 if it is found; complaints of the kernel end the machine
	local log=/out/$1.$2.log rc=0 line klog= limit=$seconds

	echo "$1 $2" >/out/now
	sync /out/now 2>/dev/null
	dmesg -C
	# a busy machine is no reason to find nothing out
	[ "$1" != control ] || limit=$((3 * seconds))
	run "$2" "$log" "$limit" || rc=$?
	dmesg | tests/vm/runner/klog.sh >/tmp/klog || klog=$(head -n 1 /tmp/klog)
	if [ "$1" != control ] && line=$(found_by "$2" "$rc" "$log" "$3"); then
		echo "$2: $line" >"/out/$1.found"
	elif [ -n "$klog" ] && [ "$1" != control ] && [ "$3" = "(dies)" ]; then
		echo "$2: $klog" >"/out/$1.found"
	elif [ -n "$klog" ]; then
		echo "$2: kernel log: $klog" >>"/out/$1.said"
	elif [ "$rc" != 0 ]; then
		echo "$2: $(what "$log" "$rc")" >>"/out/$1.said"
	fi
	[ -z "$klog" ] || { touch "/out/$1.done"; exit 1; }
	[ -s "/out/$1.found" ]
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
	echo 1 >/proc/sys/kernel/ftrace_enabled
	grep -o '/[^ ]*ckpt[^ ]*\|/tmp/[^ ]*\|/scratch/[^ ]*' /proc/mounts | tac |
		xargs -r -n 1 umount 2>/dev/null
	rm -rf /scratch/audit.* /tmp/audit.*
}

for name; do
	# the test of unloading loads it again
	export CKPT_KO=$work/$name.ko
	insmod "$CKPT_KO" || exit 1
	{ read -ra tests; IFS= read -r expected; } </out/"$name".tests
	for t in "${tests[@]}"; do
		try "$name" "$t" "$expected" && break
	done
	touch "/out/$name.done"
	[ "$name" != control ] || [ ! -s /out/control.said ] || exit 1
	clean
	rmmod ckpt || exit 1
done
