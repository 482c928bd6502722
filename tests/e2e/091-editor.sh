#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 091-editor.sh: vim in tmux over kill and restore
# where: both
# check: native
# timeout: 900
#
# It is typed to, in the midst of an insertion, of what it has to undo, of a program that it waits
# for; a client outside finds it on the screen that was restored.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=editor
program=("$CKPT_REPO/tests/workloads/programs/vim_editor.sh")
each=3 spare=3
children='sleep|sha256sum|tmux: client'

when_restored() {
	is "its server answers from outside" "$(tmux -S "$base/$group/workspace/socket" \
		list-panes -t editor -F '#{pane_current_command} #{pane_width}' 2>&1)" \
		"vim.basic 90"
}

run_program
done_testing
