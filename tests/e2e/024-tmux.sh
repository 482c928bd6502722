#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 024-tmux.sh: tmux over kill and restore
# where: both
# check: native
# timeout: 900
#
# A server with two windows, whose shells are typed to; it answers to clients inside and outside.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=tmux
program=("$CKPT_REPO/tests/workloads/programs/tmux_windows.sh")
each=10
children='tmux: client|sleep|sha256sum'

# A client outside the tree, at the socket that was restored
when_restored() {
	is "its server answers from outside" "$(tmux -S "$base/$group/workspace/socket" \
		list-windows -t main -F '#{window_name} #{window_panes}' 2>&1 | xargs)" \
		"left 1 right 1"
}

run_program
done_testing
