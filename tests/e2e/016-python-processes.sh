#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 016-python-processes.sh: multiprocessing and subprocess over kill and restore
# where: both
# check: native
# timeout: 900
#
# Processes that share memory, locks and pipes with the first one, forked and spawned ones that live
# for some milliseconds, pipelines.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=python-processes
program=("$CKPT_REPO/tests/workloads/programs/python_processes.py")
each=9 slow=200
children='sleep|sha256sum|sort|seq'
run_program
done_testing
