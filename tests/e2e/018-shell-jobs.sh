#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 018-shell-jobs.sh: an interactive shell with jobs over kill and restore
# where: both
# check: native
# timeout: 900
#
# On a terminal: jobs in the background, stopped and interrupted ones, fg, wait, traps, pipelines.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=shell-jobs
program=("$CKPT_REPO/tests/workloads/programs/shell_jobs.py")
each=10
children='sleep|sha256sum|sort|tac|tr'
run_program
done_testing
