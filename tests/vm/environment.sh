#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# environment.sh: the VM is what docs/testing.md promises to tests
# boots: 2
# swap: 64
n=0
t() {	# NAME COMMAND...
	local name=$1

	shift
	n=$((n + 1))
	if "$@" >/dev/null 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
	fi
}
has_controllers() {
	local c

	for c in cpu memory pids io; do
		grep -qw $c /sys/fs/cgroup/cgroup.subtree_control || return 1
	done
}
is_fs() { [ "$(stat -f -c %T "$1")" = "$2" ]; }
kills_cgroup() {
	mkdir /sys/fs/cgroup/t && echo 1 >/sys/fs/cgroup/t/cgroup.freeze &&
		rmdir /sys/fs/cgroup/t
}
second_boot() {
	if [ "$CKPT_BOOT" = 1 ]; then
		cat /proc/sys/kernel/random/boot_id >/scratch/boot
	else
		[ "$(cat /scratch/boot)" != "$(cat /proc/sys/kernel/random/boot_id)" ]
	fi
}

t "the kernel is the one asked for" grep -q "^${CKPT_KERNEL}\\." /proc/sys/kernel/osrelease
t "there are two processors" test "$(nproc)" = 2
t "all controllers are on" has_controllers
t "a cgroup can be made and frozen" kills_cgroup
t "the repository is writable" touch "$CKPT_REPO/Makefile"
t "/tmp is a tmpfs" is_fs /tmp tmpfs
t "/dev/shm is a tmpfs" is_fs /dev/shm tmpfs
t "/scratch is ext4" is_fs /scratch ext2/ext3
t "/dev/pts works" /usr/bin/python3 -c 'import os; os.openpty()'
t "lo is up" bash -c 'busybox ping -c 1 -W 5 127.0.0.1'
t "modules load" modprobe unix_diag
t "swap is on" grep -q /dev/ /proc/swaps
t "gcc works" bash -c 'echo "int main(void) { return 0; }" | gcc -x c - -o /tmp/a && /tmp/a'
t "the scratch disk outlives the boot" second_boot
echo "1..$n"
