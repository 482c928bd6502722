#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh: everything make check runs, and the line that sums it up
#
# A step goes on after another one failed. What exists in the tree must be tested: a module
# without KUnit suites or selftests is a failure, not a pass.
set -uo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
cd "$repo" || exit 1
export CKPT_RESULTS=$repo/build/results/check
# what the day draws: one day, also at midnight
CKPT_DAY=$(date +%Y%j)
export CKPT_DAY
[[ ${CKPT_SEED:-$CKPT_DAY} =~ ^[0-9]+$ ]] || { echo "check: CKPT_SEED is a number" >&2; exit 1; }
drawn=$((10#${CKPT_SEED:-$CKPT_DAY}))
mkdir -p build/results
: >"$CKPT_RESULTS"
export CKPT_FAILED=$CKPT_RESULTS.failed
rm -f "$CKPT_FAILED"
status=0

step() {	# NAME COMMAND...
	local name=$1 before start=$SECONDS

	shift
	echo "== $name"
	before=$(awk '{ f += $2 } END { print f + 0 }' "$CKPT_RESULTS")
	if ! "$@" </dev/null; then
		status=1
		# a step that broke before it could count counts as one failure
		[ "$before" != "$(awk '{ f += $2 } END { print f + 0 }' "$CKPT_RESULTS")" ] ||
			echo "0 1 0 $name" >>"$CKPT_RESULTS"
	fi
	echo "== $name: $((SECONDS - start)) s"
}
have() { compgen -G "$1" >/dev/null; }
needs() {	# PATTERN: what must be there once the module is
	have "$1" || { echo "not ok - $1: the module has no such tests"; return 1; }
}

# Those that run on the debug kernel alone
debug_only() {
	grep -l '^ \* kernel: debug' tests/selftests/*_test.c | sed 's|.*/||; s|_test.c$||' | xargs
}
# So many of the others, but for those whose first comment has the line given
draw() {	# COUNT SEED LINE
	grep -L "^ \* \($3\|kernel: \)" tests/selftests/*_test.c |
		sed 's|.*/||; s|_test.c$||' | grep -vx fuzz |
		awk -v seed="$2" 'BEGIN { srand(seed) } { print rand(), $1 }' |
		sort -n | head -n "$1" | cut -d' ' -f2 | xargs
}
# All of it takes an hour there: KUnit, some messages at random, what runs nowhere else and what
# the day draws
on_debug() {
	local seed=$drawn names only

	# two more that are not slow there
	names=$(draw 2 "$seed" "debug: slow")
	only=$(debug_only)
	[ -n "$names" ] && [ -n "$only" ] || { echo "not ok - nothing is drawn"; return 1; }
	echo "# on the debug kernel: fuzz $only $names (the last two drawn by CKPT_SEED=$seed)"
	# the names are words
	# shellcheck disable=SC2086
	CKPT_SEED=$seed CKPT_MESSAGES=3000 tests/run/debug.sh fuzz $only $names
}
# All of them run on 6.1: here those that see what is different, and a third of the others
on_6_12() {
	local seed=$drawn always="areas fuzz ksm marks kinds" names
	local all=(tests/selftests/*_test.c)

	names=$(draw $((${#all[@]} / 3)) "$seed" "kernel: ")
	[ -n "$names" ] || { echo "not ok - nothing is drawn"; return 1; }
	names=$(tr ' ' '\n' <<<"$always $names" | sort -u | xargs)
	echo "# on 6.12, drawn by CKPT_SEED=$seed: $names"
	# shellcheck disable=SC2086
	tests/run/selftests.sh --kernel 6.12 $names
}
# What nothing looked at, where it cannot be overlooked
unproven=
not_on_debug() {
	local suites

	suites=$(grep -l '^ \* kernel: debug' tests/kunit/*_kunit.c |
		sed 's|.*/||; s|_kunit.c$||' | xargs)
	unproven="# NOT PROVEN, since $1 (make vm-test KERNEL=debug):
#   that allocations which fail lose nothing, by selftests: $(debug_only)
#   what the module does to entries of page tables, by KUnit: $suites
#   that no memory is misused (KASAN) or leaked (kmemleak), and that locks are in order (lockdep)"
	echo "$unproven"
}

# The unit tests, natively, and the selftests on all kernels side by side: a machine of one test
# after the other leaves a processor idle.
unit_and_selftests() {
	local kernel kernels="6.1 6.12" pids="" pid rc=0 out=build/results/selftests

	# half an hour of building has to be asked for; what is there counts, every third day
	if [ $((drawn % 3)) != 0 ]; then
		not_on_debug "the debug kernel has its share every third day"
	elif tests/vm/runner/kernel-debug.sh --cached >/dev/null; then
		kernels="$kernels debug"
	else
		not_on_debug "no debug kernel has been built"
	fi
	make -s test-programs || return 1
	for kernel in $kernels; do
		make -s kmod KDIR="$(tests/vm/runner/kernel.sh $kernel)/headers" || return 1
	done
	# a part of the rounds of what takes longest; make selftest has all of them
	export CKPT_TEST_TIMEOUT=360 CKPT_EPOCHS=5 CKPT_UNLOADS=2
	# what runs behind ignores the keyboard
	trap 'trap - INT TERM; kill 0' INT TERM
	rm -f $out-*
	make unit >$out-unit 2>&1 &
	pids=$!
	on_6_12 >$out-6.12 2>&1 &
	pids="$pids $!"
	if [ "${kernels%debug}" != "$kernels" ]; then
		on_debug >$out-debug 2>&1 &
		pids="$pids $!"
	fi
	tests/run/selftests.sh --kernel 6.1 || rc=1
	for pid in $pids; do
		wait "$pid" || rc=1
	done
	trap - INT TERM
	cat $out-*
	return $rc
}

vm_tests() {	# each on the kernels of its header
	make -s test-programs && tests/run/vm-tests.sh
}

step setup tests/setup/packages.sh
step "setup of the agent from npm" tests/setup/agent.sh
step "setup of other programs" tests/setup/programs.sh
step tools make tools
step lint tests/lint/lint.sh
step kmod make kmod
step "kunit suites" needs 'tests/kunit/*_kunit.c'
step "selftest programs" needs 'tests/selftests/*_test.c'
step kunit make kunit
step "unit and selftest" unit_and_selftests
step vm-test vm_tests
[ -z "$unproven" ] || echo "$unproven"
tests/run/sum.sh "$CKPT_RESULTS" "$status"
