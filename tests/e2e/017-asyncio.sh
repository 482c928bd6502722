#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 017-asyncio.sh: tasks of asyncio over kill and restore
# where: both
# check: native
# timeout: 900
#
# Streams on loopback and at a path, queues, timers, signals, children with pipes, threads behind
# the loop.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=asyncio
program=("$CKPT_REPO/tests/workloads/programs/python_asyncio.py")
each=14
children='sleep|sha256sum'
run_program
done_testing
