#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 093-language-server.sh: clangd over kill and restore
# where: both
# check: native
# timeout: 900
#
# A file grows in its memory; each question of a step is answered once, and as in an undisturbed
# run.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=language-server
program=("$CKPT_REPO/tests/workloads/programs/language_server.py")
each=3 spare=2
children='sleep|sha256sum'
run_program
done_testing
