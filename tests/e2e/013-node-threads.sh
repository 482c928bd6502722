#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 013-node-threads.sh: threads of Node over kill and restore
# where: both
# check: native
# timeout: 900
#
# Workers that share memory and wait for one another, the pool of threads behind the loop, streams,
# children, a connection on loopback.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=node-threads
program=("$("$CKPT_REPO/tests/setup/agent.sh")/node"
	"$CKPT_REPO/tests/workloads/programs/node_threads.js")
each=14
children='sleep|sha256sum'
run_program
done_testing
