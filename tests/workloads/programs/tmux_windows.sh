#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tmux_windows.sh: a server of tmux with two windows, whose shells are typed to and answer in files
#
# usage: tmux_windows.sh STEPS MODEL      (see journal.sh)
set -euEo pipefail
. "${0%/*}/journal.sh"

mux() { tmux -S "$PWD/socket" -f /dev/null "$@"; }

cat >window.sh <<'WINDOW'
seen=0
step() {
	seen=$(echo "$seen $1" | sha256sum | cut -c 1-16)
	sleep "$pause"
	echo "$1 $seen" >>"$window"
	echo "said $1 $seen"
	tmux wait-for -S "$window-$1"
}
WINDOW
export LC_ALL=C TERM=screen pause=$(for_ms 50)
mux new-session -d -s main -n left -x 100 -y 40 \
	"window=left exec bash --noprofile --rcfile window.sh"
mux new-window -d -t main -n right "window=right exec bash --noprofile --rcfile window.sh"

for ((step = 1; step <= steps; step++)); do
	wait_for_model $step
	for window in left right; do
		mux send-keys -t "main:$window" "step $step" Enter
	done
	mux wait-for "left-$step" &
	mux wait-for "right-$step"
	wait $!
	seen=()
	for window in left right; do
		[ "$(lines=($(<"$window")); echo $((${#lines[@]} / 2)))" = $step ]
		seen+=("$(mux capture-pane -p -t "main:$window" | grep "^said $step ")")
	done
	[ "$(mux list-windows -t main -F '#W' | xargs)" = "left right" ]
	step_done $step "${seen[@]}"
done
mux kill-server
step_done $((++steps)) "$(<left)" "$(<right)"
all_done
