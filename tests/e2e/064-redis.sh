#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 064-redis.sh: a Redis server and its clients over kill and restore
# where: both
# check: native
# timeout: 900
#
# Pipelines, waiting lists, subscriptions, scripts and transactions by TCP and by a path, a log that
# is written, snapshots of forked children.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=redis
program=("$CKPT_REPO/tests/workloads/programs/redis_clients.py")
each=4 spare=3
children='redis-cli'
run_program
done_testing
