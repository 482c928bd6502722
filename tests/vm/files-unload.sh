#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# files-unload.sh: the module goes while files below its roots change, mapped and unmounted
#
# timeout: 240
# kernel-args: preempt=full
set -u
work=/tmp/unload
sys=/sys/kernel/ckpt
n=0
check() {	# STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

mkdir -p $work/a $work/m /scratch/unload /sys/fs/cgroup/unload
writer() {
	local i=0
	while :; do
		i=$((i + 1))
		echo $i >>"$1/$((i % 20))"
		mv "$1/$((i % 20))" "$1/x$((i % 7))"
		[ $((i % 5)) != 0 ] || rm -f "$1"/x*
	done 2>/dev/null
}
writer $work/a &
writers=$!
writer /scratch/unload &
writers="$writers $!"
trap 'kill $writers 2>/dev/null; wait 2>/dev/null' EXIT

for round in 1 2 3 4 5 6; do
	mount -t tmpfs none $work/m
	tagged=0
	echo "unload /unload" >$sys/tag || tagged=1
	for root in $work/a $work/m /scratch/unload; do
		echo "$root" >$sys/groups/unload/add_root || tagged=1
	done
	check $tagged "round $round: three roots on three file systems"
	echo x >$work/m/f
	sleep 0.5
	[ "$(cat $sys/groups/unload/changed_inodes)" -gt 2 ]
	check $? "round $round: changes are recorded"
	# On odd rounds the file system goes first, on even ones the module.
	[ $((round % 2)) = 0 ] || umount $work/m
	rmmod ckpt
	check $? "round $round: the module is unloaded, a group and its roots with it"
	mountpoint -q $work/m && umount $work/m
	! mountpoint -q $work/m
	check $? "round $round: the file system is unmounted"
	insmod "$CKPT_KO"
	check $? "round $round: and the module is loaded again"
	[ -z "$(ls $sys/groups)" ]
	check $? "round $round: it knows no group"
done
echo "1..$n"
