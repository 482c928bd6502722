#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 037-labels.sh: a tree is restored with the security labels it had, or not at all
# where: vm
# kernel-args: security=selinux selinux=1 enforcing=0
# timeout: 300
#
# SELinux without a policy knows its initial labels, of which a task may choose one.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=labelled
file=$base/$group/ticks

label_of() { tr -d '\0' <"/proc/$1/attr/current"; }

# ckpt-tool with another label
as_other() { sh -c 'printf unlabeled >/proc/self/attr/current && exec "$@"' sh "$tool" "$@"; }

refused() {	# NAME PATTERN COMMAND...
	local name=$1 pattern=$2 rc=0 said

	shift 2
	said=$("$@" 2>&1) || rc=$?
	is "$name: exit status" $rc 4
	like "$name: the sentence" "$said" "$pattern"
	note "$said"
}

own=$(label_of self)
isnt "this kernel gives tasks labels" "$own" ""
isnt "a task may choose another" \
	"$(sh -c 'printf unlabeled >/proc/self/attr/current; cat /proc/self/attr/current' |
	tr -d '\0')" "$own"

start_program $group "$file" "$programs/periodic" "$file"
take $group
refused "a checkpoint by a ckpt-tool of another label" 'has the security label .*unlabeled' \
	as_other checkpoint $group
ok "the program runs on" wait_for 20 has_lines "$file" $(($(lines "$file") + 20))
ok "untraced" untraced $group
ok "it is killed" kill_group $group
before=$(sha256sum <"$file")
refused "a restore by a ckpt-tool of another label" 'had the security label .*unlabeled' \
	as_other restore $group
is "it has changed no file" "$(sha256sum <"$file")" "$before"
ok "the one with its label restores it" "$tool" restore $group
is "it has its label" "$(label_of "$(group_pids $group | tail -n 1)")" "$own"
ok "and runs" wait_for 20 has_lines "$file" $(($(lines "$file") + 20))
kill_group $group

# A label for files to come is a thread's own
group=creates
file=$base/$group/ticks
start_program $group "$file" sh -c 'printf unlabeled >/proc/self/attr/fscreate
	while :; do echo tick >>"$1"; sleep 0.2; done' sh "$file"
refused "a task that labels its new files" 'label .*unlabeled' "$tool" checkpoint $group
ok "it runs on" wait_for 20 has_lines "$file" $(($(lines "$file") + 3))
done_testing
