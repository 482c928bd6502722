#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 022-git.sh: git over kill and restore
# where: both
# check: native
# timeout: 900
#
# Two who commit and push at the same time, one who merges, packs and checks; the name of the last
# commit is a hash over everything.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=git
program=("$CKPT_REPO/tests/workloads/programs/git_loop.sh")
each=3
children='git'
# each step starts forty programs
[ -z "${CKPT_IN_VM:-}" ] || spare=1
run_program
done_testing
