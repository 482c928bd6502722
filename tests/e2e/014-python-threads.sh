#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 014-python-threads.sh: threads of Python over kill and restore
# where: both
# check: native
# timeout: 900
#
# Queues, locks, conditions, barriers, pools, timers and signals, and threads that live for some
# milliseconds.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=python-threads
program=("$CKPT_REPO/tests/workloads/programs/python_threads.py")
each=35 emulated=25
run_program
done_testing
