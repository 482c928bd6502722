#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# klog.sh: the lines of a kernel log (standard input) that mean a broken kernel
#
# usage: klog.sh [--since MARK]
# Prints them; exit status 1 when there are any. With a mark only what follows it counts, and a
# log that does not hold it any more is as bad as a broken kernel: nobody knows what it held. The
# taint of an out-of-tree module and a program's own segmentation fault are not among them, nor the
# stack that the OOM killer prints when it kills, vmalloc when a test makes it fail, or Linux since
# 6.5 when memory below a stack is read ("GUP no longer grows the stack").
mark=
[ "${1:-}" != --since ] || mark=$2
bad='BUG:|BUG |WARNING:|Oops|general protection|Kernel panic|kernel BUG at'
bad="$bad|rcu: INFO|INFO: rcu|rcu_.*self-detected stall|detected stalls|blocked for more than"
bad="$bad|soft lockup|hard LOCKUP|KASAN|UBSAN:|KCSAN|refcount_t:|Bad page|Bad rss-counter"
bad="$bad|possible circular locking|possible recursive locking|inconsistent lock state"
bad="$bad|suspicious RCU usage|sleeping function called|scheduling while atomic"
bad="$bad|list_add corruption|list_del corruption|double fault|stack segment|Call Trace:"
bad="$bad|unable to handle|kmemleak:.*new suspected|unreferenced object"
bad="$bad|leak detector disabled|the log begins after its mark"
since='!found && index($0, mark) { found = 1; next }
found { print }
END { if (!found) print "the log begins after its mark: " mark }'
harmless='/invoked oom-killer:|: vmalloc error:|GUP no longer grows the stack/ { stack = 1 }
stack && /Call Trace:/ { stack = 0; next }
{ print }'
if { if [ -n "$mark" ]; then awk -v mark="$mark" "$since"; else cat; fi; } |
		awk "$harmless" | grep -aE "$bad"; then
	exit 1
fi
exit 0
