#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mutants.sh: build the module with one fault at a time and see which test finds it
#
# usage: mutants.sh [--kernel K] [--ops N] [--seed N] [--seconds N] [NAME|TEST]...
# The faults are in tests/run/mutants, each with the tests that have to find it; named is a
# fault, or a test for all of its faults. First the unchanged module has to pass each of those
# tests; if it does not, nothing that they find means anything (status 2). What finding is,
# tests/run/found.sh says. Faults of one kernel run in one machine, one after the other, and a
# machine that dies of one goes on with the next. Prints what each was found by; logs are in
# build/mutants/<kernel>/out. Status 1: one was not found, or could not be tried. A test has
# --seconds, with the unchanged module three times that.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
. "$repo/tests/run/found.sh"
kernel=6.1 ops=20000 seed=1 seconds=240
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--ops) ops=$2; shift ;;
	--seed) seed=$2; shift ;;
	--seconds) seconds=$2; shift ;;
	*) break ;;
	esac
	shift
done
work=$repo/build/mutants/$kernel
out=$work/out
headers=$("$repo/tests/vm/runner/kernel.sh" "$kernel")/headers

change() {	# NAME FILE SED
	cp "$repo/kmod/$2" "$work/kmod/$2"
	sed -i "$3" "$work/kmod/$2"
	! cmp -s "$repo/kmod/$2" "$work/kmod/$2" || { echo "$1: changes nothing in $2"; return 1; }
}
build() {	# NAME: all in one folder, so that one file is compiled for each
	"$repo/tests/run/kmake.sh" "$headers" M="$work/kmod" modules >"$work/log" 2>&1 ||
		{ echo "$1: does not compile"; cat "$work/log"; return 1; }
	mv "$work/kmod/ckpt.ko" "$work/$1.ko"
}
suite() {	# SUITE LOG: run it on user-mode Linux, or on the debug kernel what has to be there
	local args=()

	! grep -q '^ \* kernel: debug' "$repo/tests/kunit/${1#ckpt_}_kunit.c" ||
		args=(--kernel debug)
	CKPT_KMOD=$work/kmod CKPT_RESULTS=/dev/null \
		"$repo/tests/kunit/run.sh" "${args[@]}" "${1#ckpt_}" >"$2" 2>&1
}
control_suite() {	# SUITE: once, with the unchanged module
	[ ! -e "$out/control.$1" ] || return 0
	suite "$1" "$out/control.$1.log" || {
		tail -n 40 "$out/control.$1.log"
		echo "mutants: the unchanged module does not pass $1"
		exit 2
	}
	touch "$out/control.$1"
}
on_kunit() {	# NAME SUITE EXPECTED: 1 if it cannot be tried
	local rc=0 log=$out/$1.log

	suite "$2" "$log" || rc=$?
	if [ $rc = 2 ]; then
		echo "$1: does not compile"
		cat "$log"
		return 1
	fi
	if [ "$3" = "(dies)" ]; then
		! grep -q 'not ok - kernel log' "$log" || echo "the kernel died" >"$out/$1.found"
	else
		found_by "kunit:$2" $rc "$log" "$3" | sed 's/^ *//' >"$out/$1.found" || :
	fi
	[ ! -s "$out/$1.found" ] || sed -i "s/^/$2: /" "$out/$1.found"
	{ grep -m 1 'not ok' "$log" || echo "status $rc"; } | sed "s/^ */$2: /" >"$out/$1.said"
}
asked() {	# NAME TEST...: is this fault among those named?
	local name=$1 t

	[ ${#chosen[@]} -gt 0 ] || return 0
	for t; do
		[[ " ${chosen[*]} " != *" $t "* ]] || return 0
	done
	return 1
}

chosen=("$@")
rm -rf "$work"
mkdir -p "$out"
cp -r "$repo/kmod" "$repo/uapi" "$work/"
# a fault may leave something unused
sed -i "s/ -Werror//" "$work/kmod/Kbuild"
all=() left=() other=() needed=() bad=0
declare -A wanted
while IFS=$'\t' read -r name file script tests expected; do
	[[ -n $name && $name != '#'* ]] || continue
	read -ra words <<<"$tests"
	asked "$name" "$name" "${words[@]}" || continue
	if [ "${words[0]#kernel=}" != "${words[0]}" ]; then
		[ "${words[0]}" = "kernel=$kernel" ] || { other+=("$name"); continue; }
		words=("${words[@]:1}")
	elif [ ${#chosen[@]} = 0 ] && [ "$kernel" != 6.1 ]; then
		continue
	fi
	all+=("$name")
	wanted[$name]=${expected:-}
	if [ "${words[0]#kunit:}" != "${words[0]}" ]; then
		control_suite "${words[0]#kunit:}"
		change "$name" "$file" "$script" &&
			on_kunit "$name" "${words[0]#kunit:}" "${expected:-}" || bad=1
	elif change "$name" "$file" "$script" && build "$name"; then
		printf '%s\n' "${words[*]}" "${expected:-}" >"$out/$name.tests"
		left+=("$name")
		needed+=("${words[@]}")
	else
		bad=1
	fi
	cp "$repo/kmod/$file" "$work/kmod/$file"
done <"$repo/tests/run/mutants"
[ ${#all[@]} -gt 0 ] || { echo "mutants: nothing is named so" >&2; exit 2; }

if [ ${#left[@]} -gt 0 ]; then
	make -s -C "$repo" test-programs
	mapfile -t needed < <(printf '%s\n' "${needed[@]}" | sort -u)
	build control || exit 2
	printf '%s\n' "${needed[*]}" "" >"$out/control.tests"
	left=(control "${left[@]}")
fi
append="numa=fake=2 proc_mem.force_override=always memmap=64M!1G secretmem.enable=1"
again=0
while [ ${#left[@]} -gt 0 ]; do
	rm -f "$out/now"
	rc=0
	"$repo/tests/vm/runner/vm.sh" --kernel "$kernel" --swap 512 --out "$out" \
		--timeout $((120 + (${#left[@]} + 3 * ${#needed[@]}) * (seconds + 60))) \
		--append "$append" -- \
		"$repo/tests/run/mutants-guest.sh" "$work" "$ops" "$seed" "$seconds" "${left[@]}" \
		>"$out/all" 2>&1 </dev/null || rc=$?
	if [ -s "$out/control.said" ] || [ ! -e "$out/control.done" ]; then
		cat "$out/control.said" 2>/dev/null || tail -n 20 "$out/all"
		echo "mutants: the unchanged module does not pass its tests"
		exit 2
	fi
	rest=()
	for name in "${left[@]}"; do
		[ -e "$out/$name.done" ] || rest+=("$name")
	done
	left=("${rest[@]}")
	[ ${#left[@]} -gt 0 ] || break
	# the emulator's own fault says nothing
	if [ $rc = 126 ] && [ $again -lt 3 ]; then
		again=$((again + 1))
		continue
	fi
	now=$(cat "$out/now" 2>/dev/null || echo "${left[0]}")
	[ ! -e "$out/${now%% *}.done" ] || continue
	# it died of the one it was at
	now=${now%% *}
	cp "$out/console" "$out/$now.console" 2>/dev/null || :
	echo "its machine ended with status $rc" >"$out/$now.said"
	if [ "${wanted[$now]}" = "(dies)" ] && [ $rc = 125 ] &&
			! "$repo/tests/vm/runner/klog.sh" <"$out/console" >/dev/null; then
		echo "the kernel died" >"$out/$now.found"
	fi
	touch "$out/$now.done"
	rest=()
	for name in "${left[@]}"; do
		[ "$name" = "$now" ] || rest+=("$name")
	done
	left=("${rest[@]}")
done
for name in "${all[@]}"; do
	if [ -s "$out/$name.found" ]; then
		echo "$name: found by $(head -n 1 "$out/$name.found")"
	else
		echo "$name: NOT FOUND$(sed 's/^/; /' "$out/$name.said" 2>/dev/null | tr -d '\n')"
		bad=1
	fi
done
[ ${#other[@]} = 0 ] || echo "on another kernel (--kernel): ${other[*]}"
exit $bad
