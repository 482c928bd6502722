#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 088-followed.sh: memory that a driver has followed is read whole in each stop, which is said
# where: vm
# timeout: 300
#
# A program makes a virtual machine and closes it: its address space keeps its mmu notifiers, so
# the module leaves its bits alone and tells all of it.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/output.sh"

group=machine
mkdir "$base/root"
modprobe kvm-amd
machine='
import fcntl, os, sys, time
kvm = os.open("/dev/kvm", os.O_RDWR)
os.close(fcntl.ioctl(kvm, 0xAE01, 0))
os.close(kvm)
kept = bytearray(os.urandom(4 << 20))
open("made", "w").write("a machine was here\n")
while True:
    time.sleep(0.05)
    if os.path.exists("ask"):
        open("sum", "w").write("%d\n" % sum(kept[::4096]))
        os.unlink("ask")'
"$tool" run --name $group --root "$base/root" --private-dir "$base/private" -- \
	/bin/sh -c 'cd "$1" && /usr/bin/python3 -c "$2" & exec sleep 1000000' sh "$base/root" \
	"$machine" >"$base/run" 2>&1 &
at_exit "end_group $group"
ok "a virtual machine has come and gone" wait_for 60 test -s "$base/root/made" ||
	bail "$(cat "$base/run")"

sum() {
	rm -f "$base/root/sum"
	: >"$base/root/ask"
	wait_for 60 test -s "$base/root/sum" && cat "$base/root/sum"
}

before=$(sum)
like "it has its memory" "$before" '^[0-9]+$'
for kind in full incremental; do
	ends "$kind" 0 '' "$tool" checkpoint $group --json
	document "$kind: its kind and tracker" 'd["kind"], d["tracker"]' "('$kind', 'kmod')"
	document "$kind: one address space is followed" 'd["followed"]' 1
	document "$kind: and read whole" 'd["memory_read"] > 4 << 20' True
	ends "$kind: show" 0 '' "$tool" show $group
	like "$kind: show says so" "$(cat "$base/out")" \
		'drivers follow 1 address spaces: each stop reads all of their memory'
	ends "$kind: show, document" 0 '' "$tool" show $group --json
	document "$kind: show, document" 'd["followed"]' 1
done
kill_group $group
ends "it is restored" 0 '' "$tool" restore $group --json
is "with its memory" "$(sum)" "$before"
ends "checkpoint of what nobody follows" 0 '' "$tool" checkpoint $group
not_ok "nothing is said" grep -q "drivers follow" "$base/out"
ends "and show" 0 '' "$tool" show $group --json
document "none" 'd["followed"]' 0
kill_group $group
done_testing
