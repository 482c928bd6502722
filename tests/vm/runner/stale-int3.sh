#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# stale-int3.sh: did the emulator run a breakpoint that memory no longer held?
#
# Reads a kernel log. Exit status 0 when its first complaint is a breakpoint that the kernel does
# not know, and the byte that the processor says it ran (the one before <..> of the Code line)
# is another instruction; docs/testing.md says how that comes about. With kprobes the kernel takes
# it for one that has just been removed, and runs it again for ever: then the first complaints are
# that it stands still, and the trace says where; also when it was found at the entry of that
# exception, whose own Code line comes first then. Everything else is 1.
here=$(cd "$(dirname "$0")" && pwd)
log=$(cat)
begins='/int3: [0-9a-f]* \[#1\]/' before='^$'
if ! grep -q 'int3: [0-9a-f]* \[#1\]' <<<"$log"; then
	begins='/[ :]asm_exc_int3+/' before='rcu: INFO|soft lockup|Call Trace:'
	grep -qE 'rcu: INFO|soft lockup' <<<"$log" || exit 1
fi
! sed "$begins,\$d" <<<"$log" | "$here/klog.sh" | grep -qvE "$before" || exit 1
sed -n "$begins,\$p" <<<"$log" | awk '
NR == 1 && / RIP: / { entry = 1 }
/ Code: / && entry { entry = 0; next }
/ Code: / {
	for (i = 2; i <= NF; i++)
		if ($i ~ /^</) {
			stale = $(i - 1) ~ /^[0-9a-f][0-9a-f]$/ && $(i - 1) != "cc"
			exit
		}
	exit
}
END { exit !stale }'
