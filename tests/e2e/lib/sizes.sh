# SPDX-License-Identifier: GPL-2.0-or-later
#
# sizes.sh: how big the main job is, in a VM and natively; read in (".") after group.sh
#
# Emulated, everything is 10 to 90 times slower, and an optimizing compiler whose pages are
# write-protected now and then may choose other instructions (docs/testing.md).
if [ -n "${CKPT_IN_VM:-}" ]; then
	# as many as the checkpoints of main-job.sh need
	iterations=8
	[ -z "${CKPT_FULL:-}${CKPT_DEMO:-}" ] || iterations=16
	agent=(--iterations "${CKPT_ITERATIONS:-$iterations}" --seed 11 --state-mb 48
		--think-ms 150 --optimize 0)
	child_answers=1 wait_ms=999 slack_ns=2000000000
	export CKPT_SPIN_US=500
else
	agent=(--iterations "${CKPT_ITERATIONS:-30}" --seed 11 --state-mb 300 --think-ms 150)
	child_answers=2 wait_ms=400 slack_ns=1000000000
fi

# A smaller agent for the other stories: about half a minute in a VM
small=(--iterations 12 --seed 12 --state-mb 8 --think-ms 60 --optimize 0)
[ -n "${CKPT_IN_VM:-}" ] || small=(--iterations 30 --seed 12 --state-mb 8 --think-ms 60)
