#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# runner-itself.sh: the VM runner notices every way a test can fail
# where: native
# timeout: 600
vm=$(dirname "$0")/runner/vm.sh
n=0
expect() {	# NAME STATUS PATTERN ARGUMENT...
	local name=$1 want=$2 pattern=$3 out rc

	shift 3
	out=$("$vm" "$@" 2>&1)
	rc=$?
	n=$((n + 1))
	if [ $rc = "$want" ] && grep -q "$pattern" <<<"$out"; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name (status $rc, not $want, or no '$pattern')"
		sed 's/^/# /' <<<"$out"
	fi
}

stale() {	# NAME STATUS LINE...: what stale-int3.sh says of a kernel log
	local name=$1 want=$2 rc=0

	shift 2
	printf '[    1.000000] %s\n' "$@" | "${vm%/*}/stale-int3.sh" || rc=$?
	n=$((n + 1))
	if [ $rc = "$want" ]; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name (status $rc, not $want)"
	fi
}

echo 1..18
expect "a kernel that nobody supports is refused" 125 \
	"unknown, KERNEL is 6.1, 6.12, newest or debug" \
	--kernel 5.10 -- true
expect "a failing command's exit status comes back" 7 "^out$" -- sh -c 'echo out; exit 7'
expect "a warning in the kernel log fails the run" 125 "not ok - kernel log" -- \
	sh -c 'echo "WARNING: CPU: 0 PID: 1 at nowhere" >/dev/kmsg'
expect "a panic fails the run" 125 "not ok - kernel log" -- \
	sh -c 'echo c >/proc/sysrq-trigger; sleep 60'
expect "a guest that powers off fails the run" 125 "the guest died" -- busybox poweroff -f
expect "a machine that stands still is ended" 125 "not ok - kernel log" --timeout 100 -- \
	sh -c 'echo "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!" >/dev/kmsg; sleep 1000'
expect "a command that hangs is ended" 124 "ran past" --timeout 12 -- sleep 1000

oops="Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"
stale "a breakpoint that is gone is the emulator's" 0 "$oops" "Call Trace:" \
	"Code: eb 97 0f <1f> 44 00 00" "Kernel panic - not syncing"
stale "on 6.1 as well" 0 "int3: 0000 [#1] PREEMPT SMP" "Code: eb 97 66 <66> 90" "Call Trace:"
lockup="watchdog: BUG: soft lockup - CPU#0 stuck for 22s!"
stale "one that is run again for ever is" 0 "rcu: INFO: rcu_preempt detected stalls" "$lockup" \
	"Code: eb 97 cc <65> 8b" "Call Trace:" " asm_exc_int3+0x35/0x40" "Code: 97 0f <1f> 44"
stale "but not one that is there" 1 "$lockup" "Code: eb 97 0f <1f> 44" "Call Trace:" \
	" asm_exc_int3+0x35/0x40" "Code: eb 97 cc <1f> 44"
stale "nor one after another complaint, which stands still" 1 "WARNING: CPU: 0" "$lockup" \
	"Call Trace:" " asm_exc_int3+0x35/0x40" "Code: eb 97 0f <1f> 44"
stale "found at the entry of that exception" 0 "rcu: INFO: rcu_preempt detected stalls" \
	"RIP: 0010:asm_exc_int3+0xd/0x40" "Code: 18 <ff> 15" "Call Trace:" \
	"RIP: 0010:kmem_cache_alloc+0x5e/0x300" "Code: 02 00 00 0f <1f> 44"
stale "there as well, but the breakpoint is in memory" 1 "rcu: INFO: rcu_preempt detected stalls" \
	"RIP: 0010:asm_exc_int3+0xd/0x40" "Code: 18 <ff> 15" "Call Trace:" \
	"RIP: 0010:kmem_cache_alloc+0x5e/0x300" "Code: 02 00 00 cc <1f> 44"
stale "or at what does nothing, after it" 0 "rcu: INFO: rcu_preempt detected stalls" \
	"RIP: 0010:kmem_cache_alloc+0x5d/0x300" "Code: 02 00 00 <0f> 1f 44 00 00 f7" "$lockup"
stale "of two bytes, too" 0 "rcu: INFO: rcu_preempt detected stalls" \
	"RIP: 0010:detach_if_pending+0x1f/0xd0" "Code: 3b 00 74 7d <66> 90 48 8b 03 48" "$lockup"
stale "but at nothing else" 1 "rcu: INFO: rcu_preempt detected stalls" \
	"RIP: 0010:kmem_cache_alloc+0x5d/0x300" "Code: 02 00 00 <f3> 90 eb 00 00 f7" "$lockup"
stale "one that is there is not" 1 "$oops" "Code: eb 97 cc <1f> 44 00 00"
stale "nor one after another complaint" 1 "WARNING: CPU: 0" "$oops" "Code: eb 97 0f <1f> 44"
stale "nor one that the processor does not show" 1 "$oops" "Call Trace:"
stale "nor another exception" 1 "Oops: 0002 [#1] PREEMPT SMP NOPTI" "Code: eb 97 0f <1f> 44"
stale "nor a log without complaint" 1 "Code: eb 97 0f <1f> 44"
