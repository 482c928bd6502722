#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vm-tests.sh: run test scripts, each in an emulated machine of its own
#
# usage: vm-tests.sh [--kernel K] [NAME|FILE]...      (default: all of tests/vm, e2e and fault)
# A test whose header says "where: native" runs on this machine instead; "both" is two runs.
# Without --kernel it runs on each kernel of its header.
# docs/testing.md describes the header lines of a test.
#
# Two lanes: emulated machines run two at a time, since one alone leaves a processor idle half
# of the time; the native tests run one after the other, since they share this machine's
# cgroups. CKPT_LANES=1 runs everything in turn.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
. "$repo/tests/run/tap.sh"
only=
if [ "${1:-}" = --kernel ]; then
	only=$2
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

run_native() {	# FILE: the test on this machine
	local name log rc=0

	name=$(name_of "$1")
	log=$repo/build/vm/$name/native
	mkdir -p "${log%/*}"
	echo "# $name, natively"
	cd "$repo"
	CKPT_REPO=$repo CKPT_BOOT=1 timeout -k 5 "$(limit "$1")" \
		"$1" </dev/null >"$log" 2>&1 || rc=$?
	cat "$log"
	tap_record "$name" "$log" "$rc"
}

boot_each() {	# FILE LOG KERNELS ARGUMENT...: a boot of each, until one fails
	local file=$1 log=$2 kernels=$3 kernel boot=0 rc=0

	shift 3
	for kernel in $kernels; do
		boot=$((boot + 1))
		# the status of the machine, not of what copies its output
		set +e
		"$repo/tests/vm/runner/vm.sh" --kernel "$kernel" "$@" --env "CKPT_BOOT=$boot" \
			-- "$file" </dev/null 2>&1 | tee -a "$log"
		rc=${PIPESTATUS[0]}
		set -e
		[ "$rc" = 0 ] || break
	done
	return "$rc"
}

run_vm() {	# FILE KERNEL: the test in machines of its own
	local file=$1 kernel=$2 name log work rc=0 kernels other args=()

	name=$(name_of "$file")
	# the sum prints one word: the kernel is part of it, where there are two
	[ -n "$only" ] || [ "$kernel" = 6.1 ] || name=$name-$kernel
	work=$repo/build/vm/$name
	log=$work/log
	rm -rf "$work/out"
	mkdir -p "$work/out"
	: >"$log"
	kernels=$(boot_kernels "$file" "$kernel")
	args+=(--out "$work/out"
		--timeout "$(limit "$file")"
		--mem "$(tap_header "$file" mem 2048)" --swap "$(tap_header "$file" swap '')"
		--append "$(tap_header "$file" kernel-args '')"
		--env "CKPT_VM_ARGS=${CKPT_VM_ARGS:-}" --env "CKPT_SEED=${CKPT_SEED:-}"
		--env "CKPT_FULL=${CKPT_FULL:-}")
	if [ -e "$repo/kmod/Kbuild" ] && [ "$(tap_header "$file" module yes)" = yes ]; then
		args+=(--module)
	fi
	other=$(tap_header "$file" other-module '')
	[ -z "$other" ] || args+=(--other-module "$other")
	[ "${kernels/ /}" = "$kernels" ] || args+=(--disk "$work/disk")
	echo "# $name on $kernels"
	boot_each "$file" "$log" "$kernels" "${args[@]}" || rc=$?
	if [ "$rc" = 126 ]; then
		rm -f "$work/disk"
		: >"$log"
		rc=0
		boot_each "$file" "$log" "$kernels" "${args[@]}" || rc=$?
	fi
	rm -f "$work/disk"
	tap_record "$name" "$log" "$rc"
}

boot_kernels() {	# FILE KERNEL: what it boots, one after the other
	local boots

	boots=$(tap_header "$1" boot-kernels '')
	[ -n "$boots" ] ||
		boots=$(for _ in $(seq "$(tap_header "$1" boots 1)"); do echo "$2"; done | xargs)
	echo "$boots"
}

limit() {	# FILE: its limit in seconds, twice that when another test runs beside it
	echo $(($(tap_header "$1" timeout 300) * (${show:+1} + 1)))
}

name_of() {	# FILE: e2e/010-main-job
	local name

	name=$(realpath --relative-to="$repo/tests" "$1")
	echo "${name%.sh}"
}

# In machines by the day: of "check: native" a sixteenth, which run natively each time, of
# "check: third" a third
drawn() {	# FILE
	local name=${1##*/} of number

	case $(tap_header "$1" check yes) in
	native) of=16 ;;
	third) of=3 ;;
	*) return 0 ;;
	esac
	# a word that is no number would end more than this function
	[[ $name =~ ^[0-9]+- ]] || { echo "not ok - $name has no number to draw it by"; exit 1; }
	number=$((10#${name%%-*}))
	# with the tens, so that not all of a third come on one day
	[ $(((number + number / 10 + day) % of)) = 0 ]
}

day=${CKPT_SEED:-${CKPT_DAY:-0}}
[[ $day =~ ^[0-9]+$ ]] || { echo "vm-test: CKPT_SEED is a number" >&2; exit 1; }
day=$((10#$day))
files=() all= left=""
if [ $# -gt 0 ]; then
	for t in "$@"; do
		f=$(find_test "$t")
		files+=("$f")
	done
else
	for f in "$repo"/tests/{vm,e2e,fault}/*.sh; do
		[ -f "$f" ] && [ "$(tap_header "$f" check yes)" != no ] && files+=("$f")
	done
	# make check draws; who asks for all gets all
	all=${CKPT_DAY:-}
fi
# The two queues; for emulated machines the longest first, by the limits they ask for
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'trap - INT TERM; kill 0' INT TERM
touch "$work"/{native,vm}
for f in "${files[@]}"; do
	where=$(tap_header "$f" where vm)
	[ "$where" = vm ] || echo "native $f" >>"$work/native"
	[ "$where" != native ] || continue
	[ -z "$all" ] || drawn "$f" || { left="$left ${f##*/}"; continue; }
	for k in ${only:-$(tap_header "$f" kernels 6.1)}; do
		echo "$(tap_header "$f" timeout 300) $k $f" >>"$work/vm"
	done
done
[ -z "$left" ] || echo "# in no machine on this day:$left"
sort -s -r -n -o "$work/vm" "$work/vm"
sed -i 's/^[0-9]* //' "$work/vm"

queued=$(cat "$work"/{native,vm} | wc -l)

next() {	# QUEUE: take its first line; false when it is empty
	local line

	{
		flock 8
		line=$(head -n 1 "$work/$1")
		sed -i 1d "$work/$1"
	} 8>>"$work/queue.lock"
	[ -z "$line" ] || echo "$line"
	[ -n "$line" ]
}
lane() {	# QUEUE...: until they are empty
	local queue entry file k start

	for queue; do
		while entry=$(next "$queue"); do
			start=$SECONDS
			read -r k file <<<"$entry"
			$show "run_$queue" "$file" "$k" || touch "$work/bad"
			echo "$queue $entry" >>"$work/ran"
			echo "# $(name_of "$file"), $k: $((SECONDS - start)) s"
		done
	done
}
whole() {	# COMMAND...: its output in one piece, when it is done
	local out

	out=$(mktemp "$work/out.XXXXXX")
	"$@" >"$out" 2>&1 || touch "$work/bad"
	flock "$work/lock" cat "$out"
}

show=
if [ "${CKPT_LANES:-2}" = 1 ] || [ "$queued" = 1 ]; then
	lane native vm
else
	show=whole
	lane native vm &
	beside=$!
	lane vm
	wait "$beside" || touch "$work/bad"
fi
# a lane that died, or a queue that could not be read, leaves tests that nobody ran
ran=$(cat "$work/ran" 2>/dev/null | wc -l)
[ "$ran" = "$queued" ] || { echo "not ok - $ran of $queued tests ran"; touch "$work/bad"; }
[ ! -e "$work/bad" ]
