#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guest.sh: the KUnit suites in the VM: loads them, looks for leaks; /out/kunit is their log
#
# As init does on user-mode Linux; here the kernel's own checks are the reason to run them.
f=/sys/kernel/debug/failslab
echo Y >$f/task-filter
echo 100 >$f/probability
echo 1 >$f/interval
echo -1 >$f/times
echo N >$f/ignore-gfp-wait
echo 0 >$f/verbose
mark="ckpt-test: kunit starts"
echo "$mark" >/dev/kmsg
bad=
insmod "$CKPT_KUNIT/ckpt_kunit.ko" || bad="$bad insmod"
grep '\[ckpt_kunit\]' /proc/kallsyms >/run/symbols
rmmod ckpt_kunit || bad="$bad rmmod"
dmesg | grep -qF "$mark" || bad="$bad log"
leaks=
[ "${CKPT_LEAKS:-}" = no ] || leaks=$(tests/vm/runner/leaks.sh /run/symbols) || bad="$bad kmemleak"
{
	dmesg -t | sed "1,/$mark/d"
	[ -z "$leaks" ] || echo "$leaks"
	for b in $bad; do
		echo "    not ok - $b"
	done
	echo "KUNIT DONE"
} >/out/kunit
[ -z "$bad" ]
