#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# stale-int3.sh: did the emulator run a breakpoint that memory no longer held?
#
# Reads a kernel log. Exit status 0 when its first complaint is a breakpoint that the kernel does
# not know, and the byte that the processor says it ran (the one before <..> of the Code line)
# is another instruction; docs/testing.md says how that comes about. Everything else is 1.
here=$(cd "$(dirname "$0")" && pwd)
log=$(cat)
before=$(sed '/int3: [0-9a-f]* \[#1\]/,$d' <<<"$log")
"$here/klog.sh" <<<"$before" >/dev/null || exit 1
sed -n '/int3: [0-9a-f]* \[#1\]/,$p' <<<"$log" | awk '
/ Code: / {
	for (i = 2; i <= NF; i++)
		if ($i ~ /^</) {
			stale = $(i - 1) ~ /^[0-9a-f][0-9a-f]$/ && $(i - 1) != "cc"
			exit
		}
	exit
}
END { exit !stale }'
