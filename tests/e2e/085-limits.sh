#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 085-limits.sh: a restored group has the limits that its cgroup had, after a reboot as well
# where: vm
# module: no
# boots: 2
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=limited
ticks=$base/$group/ticks
limits=(pids.max=17 memory.max=268435456 memory.high=201326592 memory.low=4194304
	cpu.weight=50 "cpu.max=60000 100000" cgroup.max.depth=3 hugetlb.2MB.max=4194304
	hugetlb.2MB.rsvd.max=2097152)

set_limits() {	# DIR
	local limit

	for limit in "${limits[@]}"; do
		echo "${limit#*=}" >"$1/${limit%%=*}"
	done
}

have_limits() {	# WHAT
	local dir limit

	dir=$(group_dir $group)
	for limit in "${limits[@]}"; do
		is "$1: ${limit%%=*}" "$(cat "$dir/${limit%%=*}" 2>&1)" "${limit#*=}"
	done
}

# Every cgroup of ours goes, and what is enabled for it
forget() {
	ok "it is killed" kill_group $group
	find "$cgroup_mount/ckpt" -depth -type d -exec rmdir {} + 2>/dev/null || true
	ok "its cgroup is gone" test ! -e "$cgroup_mount/ckpt"
}

restored() {	# WHAT
	ok "$1: it is restored" "$tool" restore $group
	have_limits "$1"
	ok "$1: it goes on" wait_for 60 has_lines "$ticks" $(($(lines "$ticks") + 2))
}

if [ "$CKPT_BOOT" = 1 ]; then
	start_program $group "$ticks" \
		sh -c 'while :; do echo tick >>"$1"; sleep 0.2; done' sh "$ticks"
	echo "+pids +memory +cpu +hugetlb" >"$cgroup_mount/ckpt/cgroup.subtree_control"
	set_limits "$(group_dir $group)"
	have_limits "as set"
	take $group
	forget
	restored "the same boot"
	take $group
else
	at_exit "end_group $group"
	restored "another boot"
fi
done_testing
