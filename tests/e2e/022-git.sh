#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 022-git.sh: git over kill and restore
# where: native
# module: no
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
run_program
done_testing
