#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mutants.sh: build the module with one fault at a time and see whether the audit finds it
#
# usage: mutants.sh [--kernel K] [--ops N] [--seed N] [NAME]...
# The faults are in tests/audit/mutants.  All run one after the other in one machine; what
# each was found by is printed, and its log is in build/mutants/<kernel>/out.
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
headers=$("$repo/tests/vm/runner/kernel.sh" "$kernel")/headers

build() {	# NAME FILE SED: all in one folder, so that one file is compiled for each
	cp "$repo/kmod/$2" "$work/kmod/$2"
	sed -i "$3" "$work/kmod/$2"
	if cmp -s "$repo/kmod/$2" "$work/kmod/$2"; then
		echo "mutants: $1 changes nothing in $2" >&2
		return 1
	fi
	make -s -C "$headers" M="$work/kmod" modules >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; return 1; }
	mv "$work/kmod/ckpt.ko" "$work/$1.ko"
	cp "$repo/kmod/$2" "$work/kmod/$2"
}

names=()
rm -rf "$work"
mkdir -p "$work"
cp -r "$repo/kmod" "$repo/uapi" "$work/"
# a fault may leave something unused
sed -i "s/ -Werror//" "$work/kmod/Kbuild"
while IFS='|' read -r name file script; do
	[[ $name = '#'* ]] && continue
	[ $# = 0 ] || [[ " $* " = *" $name "* ]] || continue
	build "$name" "$file" "$script"
	names+=("$name")
done <"$repo/tests/audit/mutants"
[ ${#names[@]} -gt 0 ] || { echo "mutants: no fault of that name" >&2; exit 2; }

mkdir -p "$work/out"
"$repo/tests/vm/runner/vm.sh" --kernel "$kernel" --timeout $((60 + ${#names[@]} * (seconds + 30))) \
	--swap 512 --append numa=fake=2 --out "$work/out" -- \
	"$repo/tests/audit/mutants-guest.sh" "$work" "$ops" "$seed" "$seconds" "${names[@]}" \
	>"$work/out/all" 2>&1 || true
bad=0
for name in "${names[@]}"; do
	log=$work/out/$name.log
	if found=$(grep -m 1 LOST "$log" 2>/dev/null); then
		echo "$name: found after $(grep -c epoch "$log") notes: $found"
	else
		echo "$name: not found in $ops operations"
		bad=1
	fi
done
exit $bad
