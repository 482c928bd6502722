#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 023-sqlite.sh: SQLite in WAL mode over kill and restore
# where: both
# check: native
# timeout: 900
#
# Threads, processes and the shell of SQLite write to and read from one database.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=sqlite
program=("$CKPT_REPO/tests/workloads/programs/sqlite_wal.py")
each=15
children='sqlite3|sleep'
run_program
done_testing
