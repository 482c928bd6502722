#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 061-near-limit.sh: a group that has more memory than its limit allows, the rest of it in swap
# where: vm
# check: third
# timeout: 600
# swap: 512
#
# What is read from swap is charged to the group. Nobody is killed for that, what lies in swap and
# was not written is not read again, and a restore under the same limit brings all of it back.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=near-limit
ticks=$base/$group/ticks
mib=$((1 << 20))
most=$((40 * mib)) held=96
program='
import hashlib, os, sys, time
ticks, held = sys.argv[1], int(sys.argv[2])
page = lambda n: hashlib.sha256(b"%d" % n).digest() * 128
memory = bytearray(b"".join(page(n) for n in range(held * 256)))
tick = 0
while True:
    tick += 1
    at = tick % 8
    memory[at << 20:(at + 1) << 20] = (b"%08d" % tick) * (1 << 17)
    with open(ticks, "a") as file:
        file.write("%d\n" % tick)
    if os.path.exists(ticks + ".ask"):
        os.unlink(ticks + ".ask")
        whole = all(memory[n * 4096:(n + 1) * 4096] == page(n) for n in range(2048, held * 256))
        with open(ticks + ".told", "w") as file:
            file.write("whole\n" if whole else "lost\n")
    time.sleep(0.2)
'

killed() { awk '$1 == "oom_kill" { print $2 }' "$(group_dir $group)/memory.events"; }

unharmed() {	# WHAT
	local at

	at=$(lines "$ticks")
	is "$1: nobody was killed for memory" "$(killed)" 0
	ok "$1: it goes on" wait_for 60 has_lines "$ticks" $((at + 3))
}

whole() {	# WHAT: the program has looked at what it never writes
	rm -f "$ticks.told"
	touch "$ticks.ask"
	ok "$1: it has looked" wait_for 120 has_lines "$ticks.told" 1
	is "$1: nothing is lost" "$(cat "$ticks.told")" whole
}

# before it has any memory, which else is another cgroup's
mkdir -p "$cgroup_mount/ckpt"
echo +memory >"$cgroup_mount/cgroup.subtree_control"
echo +memory >"$cgroup_mount/ckpt/cgroup.subtree_control"
start_program $group "$ticks" python3 -c "$program" "$ticks" "$held"
dir=$(group_dir $group)
echo "$most" >"$dir/memory.max"
at_least "most of it is in swap" "$(cat "$dir/memory.swap.current")" $((held * mib / 2))

take $group
is "the first one is full" "$(json kind "$said")" full
at_least "it has read what was in swap" "$(json memory_read "$said")" $((held * mib))
unharmed "full"

take $group
swapped=$(cat "$dir/memory.swap.current")
take $group
kind=$(json kind "$said")
is "the third one is incremental" "$kind" incremental
at_most "it reads no more than the dirty pages" "$(json memory_read "$said")" \
	$(($(json dirty_pages "$said") * 4096))
at_most "and few of all pages" "$(json memory_read "$said")" $((held * mib / 4))
at_least "what lies in swap stays there" "$(cat "$dir/memory.swap.current")" \
	$((swapped - 16 * mib))
note "in swap $((swapped / mib)) MiB, read $(($(json memory_read "$said") / mib)) MiB"
unharmed "incremental"

ok "it is killed" kill_group $group
ok "it is restored under its limit" "$tool" restore $group
is "the limit is the same" "$(cat "$(group_dir $group)/memory.max")" $most
unharmed "restored"
whole "restored"
done_testing
