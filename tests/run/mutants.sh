#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mutants.sh: build the module with one fault at a time and see which test finds it
#
# usage: mutants.sh [--kernel K] [--ops N] [--seed N] [--seconds N] [NAME|TEST]...
# The faults are in tests/run/mutants, each with the tests that have to find it; named is a
# fault, or a test for all of its faults. Faults of one kernel run in one machine, one after the
# other, and a machine that dies of one goes on with the next. Prints what each was found by;
# logs are in build/mutants/<kernel>/out. Status 1: one was not found.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
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
	make -s -C "$headers" M="$work/kmod" modules >"$work/log" 2>&1 ||
		{ echo "$1: does not compile"; cat "$work/log"; return 1; }
	mv "$work/kmod/ckpt.ko" "$work/$1.ko"
}
on_kunit() {	# NAME SUITE: on user-mode Linux, or on the debug kernel what has to be there
	local args=()

	! grep -q '^ \* kernel: debug' "$repo/tests/kunit/${2#ckpt_}_kunit.c" ||
		args=(--kernel debug)
	! CKPT_KMOD=$work/kmod CKPT_RESULTS=/dev/null \
		"$repo/tests/kunit/run.sh" "${args[@]}" "$2*" >"$out/$1.log" 2>&1 || return 0
	{ grep -m 1 'not ok' "$out/$1.log" || echo "its machine ended"; } |
		sed "s/^ */$2: /" >"$out/$1.found"
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
all=() left=() other=() bad=0
while IFS=$'\t' read -r name file script tests; do
	[[ -n $name && $name != '#'* ]] || continue
	read -ra words <<<"$tests"
	asked "$name" "$name" "${words[@]}" || continue
	if [ "${words[0]#kernel=}" != "${words[0]}" ]; then
		[ "${words[0]}" = "kernel=$kernel" ] || { other+=("$name"); continue; }
		words=("${words[@]:1}")
	elif [ ${#chosen[@]} = 0 ] && [ "$kernel" != 6.1 ]; then
		continue
	fi
	change "$name" "$file" "$script" || { bad=1; continue; }
	all+=("$name")
	if [ "${words[0]#kunit:}" != "${words[0]}" ]; then
		on_kunit "$name" "${words[0]#kunit:}"
	elif build "$name"; then
		echo "${words[*]}" >"$out/$name.tests"
		left+=("$name")
	else
		bad=1
	fi
	cp "$repo/kmod/$file" "$work/kmod/$file"
done <"$repo/tests/run/mutants"
[ ${#all[@]} -gt 0 ] || { echo "mutants: nothing is named so" >&2; exit 2; }

while [ ${#left[@]} -gt 0 ]; do
	rm -f "$out/now"
	"$repo/tests/vm/runner/vm.sh" --kernel "$kernel" --swap 512 --out "$out" \
		--timeout $((120 + ${#left[@]} * (seconds + 60))) \
		--append "numa=fake=2 proc_mem.force_override=always" -- \
		"$repo/tests/run/mutants-guest.sh" "$work" "$ops" "$seed" "$seconds" "${left[@]}" \
		>"$out/all" 2>&1 </dev/null || true
	rest=()
	for name in "${left[@]}"; do
		[ -e "$out/$name.done" ] || rest+=("$name")
	done
	left=("${rest[@]}")
	[ ${#left[@]} -gt 0 ] || break
	# it died of the one it was at
	now=$(cat "$out/now" 2>/dev/null || echo "${left[0]}")
	echo "the machine died" >"$out/${now%% *}.found"
	cp "$out/console" "$out/${now%% *}.console" 2>/dev/null || :
	touch "$out/${now%% *}.done"
	rest=()
	for name in "${left[@]}"; do
		[ "$name" = "${now%% *}" ] || rest+=("$name")
	done
	left=("${rest[@]}")
done
for name in "${all[@]}"; do
	if [ -s "$out/$name.found" ]; then
		echo "$name: found by $(head -n 1 "$out/$name.found")"
	else
		echo "$name: NOT FOUND"
		bad=1
	fi
done
[ ${#other[@]} = 0 ] || echo "on another kernel (--kernel): ${other[*]}"
exit $bad
