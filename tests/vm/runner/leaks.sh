#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# leaks.sh: what the module has allocated and nothing points to any more
#
# usage: leaks.sh SYMBOLS [REPORT]	after the module was unloaded; without a report of kmemleak
#					it asks for one
# Prints the objects allocated by ckpt, or by code that has been unloaded since (it has no name
# any more), and exits with 1 when there are any. SYMBOLS are the module's lines of
# /proc/kallsyms, from before: its functions are named by them. A kernel without kmemleak has
# no leaks.
set -u
report=${2:-/sys/kernel/debug/kmemleak}
if [ $# = 1 ]; then
	[ -e "$report" ] || exit 0
	# an object must be five seconds old, and unchanged between two looks
	sleep 6
	echo scan >"$report"
	echo scan >"$report"
fi
awk '
function flush() { if (text ~ mine) { printf "%s", text; bad = 1 } text = "" }
# of addresses of one length the order is that of their letters
function name_of(address,  i, best) {
	for (i = 1; i <= n; i++)
		if (at[i] "" <= address "" && (!best || at[i] "" > at[best] ""))
			best = i
	return best ? " (" name[best] ")" : ""
}
BEGIN { mine = "\\[ckpt(_kunit)?\\]|\\] 0x[0-9a-f]+" }
FILENAME == ARGV[1] { at[++n] = $1; name[n] = $3; next }
/^unreferenced object/ { flush() }
/\] 0x[0-9a-f]+$/ { $0 = $0 name_of(substr($NF, 3)) }
{ text = text $0 "\n" }
END { flush(); exit bad }' "$1" "$report"
