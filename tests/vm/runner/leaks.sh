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
# no leaks, but the debug kernel must have it, and one that does not look finds nothing: kmemleak
# ends itself where it runs out of memory, and then an empty report is none.
# CKPT_KMEMLEAK and CKPT_KMEMLEAK_AGE are another file and another age, for the test of this.
set -u
report=${2:-${CKPT_KMEMLEAK:-/sys/kernel/debug/kmemleak}}
fail() { echo "$*"; exit 1; }
if [ $# = 1 ]; then
	if [ ! -e "$report" ]; then
		[ "${CKPT_KERNEL:-}" != debug ] || fail "the debug kernel has no $report"
		exit 0
	fi
	# an object must be five seconds old, and unchanged between two looks
	sleep "${CKPT_KMEMLEAK_AGE:-6}"
	{ echo scan >"$report" && echo scan >"$report"; } 2>/dev/null ||
		fail "kmemleak does not look: $report takes no scan"
	! dmesg | grep 'leak detector disabled' || fail "kmemleak has ended itself"
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
