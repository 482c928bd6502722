#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 019-make-jobs.sh: make -j over kill and restore
# where: both
# check: native
# timeout: 900
#
# A tree that is changed and built again, by a compiler and by rules of the shell.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=make-jobs
program=("$CKPT_REPO/tests/workloads/programs/make_jobs.sh")
each=8
children='make|sleep|sha256sum|gcc|cc1|as|collect2|ld'
run_program
done_testing
