#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vim_editor.sh: vim in tmux, typed to: it inserts, searches, undoes, runs programs and saves
#
# usage: vim_editor.sh STEPS MODEL      (see journal.sh)
#
# In each step it stands in the midst of typing, of an insertion that is not saved, of a program.
# What it must save is known; what the screen shows goes into the journal.
set -euEo pipefail
. "${0%/*}/journal.sh"

mux() { tmux -S "$PWD/socket" -f /dev/null "$@"; }

keys() { mux send-keys -t editor "$@"; }

typed() { mux send-keys -t editor -l "$1"; }

screen() { mux capture-pane -p -t editor; }

# until COMMAND...: it succeeds
until_is() {
	local i

	for ((i = 0; i < 6000; i++)); do
		! "$@" 2>/dev/null || return 0
		nap 0.02
	done
	screen >&2
	return 1
}

shows() { grep -q -e "$1" <<<"$(screen)"; }

ends_with() { [ "$(tail -n 1 file)" = "$1" ]; }

# The end of the file, and nothing else
shows_end() {
	[ "$(screen | head -n $((rows - 1)) | grep -v '^~')" = "$(tail -n $((rows - 1)) wanted)" ]
}

is_gone() { ! mux has-session -t editor; }

export LC_ALL=C TERM=screen rows=24
cat >vimrc <<'VIM'
set nocompatible noesckeys ttimeout ttimeoutlen=10
set nomore shortmess=atI noruler noshowcmd showmode scrolloff=0
set undofile undodir=. viminfo= swapfile directory=. updatecount=1 updatetime=100
VIM
echo begin >wanted
# undo, the insertion and a register that is a macro are in its memory alone
mux new-session -d -s editor -x 90 -y $rows "exec vim.basic -u vimrc file"
until_is shows '^~'
typed ':let @q = "A!\e"'
keys Enter
typed "ibegin"
keys Escape
for ((step = 1; step <= steps; step++)); do
	wait_for_model $step
	typed "Go$step begins"
	until_is shows "^$step begins"
	nap "$(for_ms 20)"
	typed ", $step ends"
	keys Escape
	typed "@qonever saved"
	until_is shows "^never saved"
	keys Escape
	# taken back, made again, taken back
	typed "u"
	keys C-r
	typed "u:silent r !sleep $(for_ms 100); echo step $step | sha256sum"
	keys Enter
	# waits in the terminal until that program has ended
	typed ":w"
	keys Enter
	hash=$(echo "step $step" | sha256sum)
	printf '%s\n' "$step begins, $step ends!" "$hash" >>wanted
	until_is ends_with "$hash"
	typed "Gzb"
	keys C-l
	until_is shows_end
	cmp file wanted
	step_done $step "$(<file)" "$(screen | head -n $((rows - 1)))"
done
typed ":q"
keys Enter
until_is is_gone
[ ! -e .file.swp ]
cmp file wanted
step_done $((++steps)) "$(<file)"
all_done
