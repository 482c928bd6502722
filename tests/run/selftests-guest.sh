#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# selftests-guest.sh: the part of selftests.sh that runs in the VM
#
# Each program gets its own log, its exit status and a look at the kernel log; the others
# run on after a failure.
bad=0
for n in "$@"; do
	n=${n}_test
	mark="ckpt-test: $n starts"
	echo "$mark" >/dev/kmsg
	echo "# selftests/$n"
	start=$SECONDS
	timeout -k 5 "${CKPT_TEST_TIMEOUT:-180}" "build/selftests/$n" </dev/null 2>&1 |
		tee "/out/$n.log"
	rc=${PIPESTATUS[0]}
	if ! dmesg | tests/vm/runner/klog.sh --since "$mark" >/tmp/klog; then
		{
			echo "not ok - $n: kernel log"
			sed 's/^/# /' /tmp/klog
		} | tee -a "/out/$n.log"
	fi
	echo "$rc" >"/out/$n.status"
	echo "# selftests/$n: $((SECONDS - start)) s"
	# 4: left out, and it says so
	[ "$rc" = 0 ] || [ "$rc" = 4 ] || bad=1
done
exit $bad
