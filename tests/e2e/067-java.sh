#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 067-java.sh: a program in Java over kill and restore
# where: both
# check: native
# timeout: 900
#
# Pools of threads, queues, locks, timers, a selector, a collector (G1) that has much to do,
# children.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=java
program=("$CKPT_REPO/tests/workloads/programs/java_threads.sh"
	"$("$CKPT_REPO/tests/setup/programs.sh" java)")
each=3 spare=2
children='sleep|sha256sum'
run_program
done_testing
