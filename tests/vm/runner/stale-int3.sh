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
# exception, whose own Code line comes first then, or before the instruction that is run again,
# where it is one that does nothing, at which no processor stands still. Everything else is 1.
here=$(cd "$(dirname "$0")" && pwd)
log=$(cat)
begins='/int3: [0-9a-f]* \[#1\]/' before='^$'
if ! grep -q 'int3: [0-9a-f]* \[#1\]' <<<"$log"; then
	begins='/[ :]asm_exc_int3+/' before='rcu: INFO|soft lockup|Call Trace:'
	grep -qE 'rcu: INFO|soft lockup' <<<"$log" || exit 1
	grep -q asm_exc_int3 <<<"$log" || begins='/ RIP: /'
fi
! sed "$begins,\$d" <<<"$log" | "$here/klog.sh" | grep -qvE "$before" || exit 1
sed -n "$begins,\$p" <<<"$log" | awk '
NR == 1 && / RIP: / { entry = ($0 ~ /asm_exc_int3/); nop = !entry }
/ Code: / && entry { entry = 0; next }
/ Code: / {
	for (i = 2; i <= NF; i++)
		if ($i ~ /^</) {
			if (nop)
				stale = ($i $(i + 1)) == "<66>90" ||
					($i $(i + 1) $(i + 2) $(i + 3) $(i + 4)) == "<0f>1f440000"
			else
				stale = $(i - 1) ~ /^[0-9a-f][0-9a-f]$/ && $(i - 1) != "cc"
			exit
		}
	exit
}
END { exit !stale }'
