#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# emulated-patching.sh: how the emulator bears a kernel that patches its own code, without ckpt
# module: no
# check: no
# timeout: 300
#
# Tracepoints go on and off while the other processor runs through them. The emulator runs a
# breakpoint that is not there any more within seconds, and the kernel dies of it.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"

points="writeback/writeback_dirty_folio sched/sched_switch sched/sched_waking timer/hrtimer_start
	irq/irq_handler_entry kmem/kmalloc"

while :; do cat /proc/self/stat; done >/dev/null &
while :; do echo x >/scratch/file; sync -f /scratch/file; done &
end=$((SECONDS + 120))
while [ $SECONDS -lt $end ]; do
	for on in 1 0; do
		for p in $points; do
			echo $on >"/sys/kernel/tracing/events/$p/enable"
		done
		# so that the oops shows what the patching left, not the next one
		sleep 0.2
	done
done
ok "the kernel lives" true
done_testing
