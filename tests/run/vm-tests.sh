#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vm-tests.sh: run test scripts, each in an emulated machine of its own
#
# usage: vm-tests.sh [--kernel K] [NAME|FILE]...      (default: all of tests/vm, e2e and fault)
# A test whose header says "where: native" runs on this machine instead.
# docs/testing.md describes the header lines of a test.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
. "$repo/tests/run/tap.sh"
kernel=6.1
if [ "${1:-}" = --kernel ]; then
	kernel=$2
	shift 2
fi

find_test() {
	local f

	for f in "$1" "$repo/tests"/{vm,e2e,fault}/"$1.sh" "$repo/tests/$1"; do
		[ ! -f "$f" ] || { realpath "$f"; return; }
	done
	echo "vm-test: no test $1 in tests/vm, tests/e2e or tests/fault" >&2
	return 1
}

run_native() {	# FILE NAME WORK: the test on this machine
	local rc=0

	echo "# $2, natively"
	cd "$repo"
	CKPT_REPO=$repo CKPT_BOOT=1 timeout -k 5 "$(tap_header "$1" timeout 300)" \
		"$1" </dev/null >"$3/log" 2>&1 || rc=$?
	cat "$3/log"
	tap_record "$2" "$3/log" "$rc"
}

run_one() {	# FILE
	local file=$1 name log work rc=0 boot boots where other bad=0 args=()

	name=$(realpath --relative-to="$repo/tests" "$file")
	name=${name%.sh}
	work=$repo/build/vm/$name
	rm -rf "$work"
	mkdir -p "$work/out"
	log=$work/log
	where=$(tap_header "$file" where vm)
	if [ "$where" != vm ]; then
		run_native "$file" "$name" "$work" || bad=1
		[ "$where" != native ] || return $bad
	fi
	: >"$log"
	boots=$(tap_header "$file" boots 1)
	args+=(--kernel "$kernel" --out "$work/out"
		--timeout "$(tap_header "$file" timeout 300)"
		--mem "$(tap_header "$file" mem 2048)" --swap "$(tap_header "$file" swap '')"
		--env "CKPT_VM_ARGS=${CKPT_VM_ARGS:-}" --env "CKPT_SEED=${CKPT_SEED:-}"
		--env "CKPT_FULL=${CKPT_FULL:-}")
	if [ -e "$repo/kmod/Kbuild" ] && [ "$(tap_header "$file" module yes)" = yes ]; then
		args+=(--module)
	fi
	other=$(tap_header "$file" other-module '')
	[ -z "$other" ] || args+=(--other-module "$other")
	[ "$boots" = 1 ] || args+=(--disk "$work/disk")
	echo "# $name on $kernel"
	for boot in $(seq "$boots"); do
		# the status of the machine, not of what copies its output
		set +e
		"$repo/tests/vm/runner/vm.sh" "${args[@]}" --env "CKPT_BOOT=$boot" \
			-- "$file" </dev/null 2>&1 | tee -a "$log"
		rc=${PIPESTATUS[0]}
		set -e
		[ "$rc" = 0 ] || break
	done
	rm -f "$work/disk"
	tap_record "$name" "$log" "$rc" && return $bad
}

files=()
if [ $# -gt 0 ]; then
	for t in "$@"; do
		f=$(find_test "$t")
		files+=("$f")
	done
else
	for f in "$repo"/tests/{vm,e2e,fault}/*.sh; do
		[ -f "$f" ] && [ "$(tap_header "$f" check yes)" = yes ] && files+=("$f")
	done
fi
bad=0
for f in "${files[@]}"; do
	run_one "$f" || bad=1
done
exit $bad
