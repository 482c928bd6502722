#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.sh: build the KUnit suites with the files they test and run them on user-mode Linux
#
# usage: run.sh [--kernel debug] [NOUN]...     (all suites, without one)
# --kernel debug runs them on the debug kernel of the VM instead, where KASAN and lockdep look on.
# A suite tests/kunit/<noun>_kunit.c is linked with kmod/<noun>.c, or with what a line
# " * needs: a.c b.c" of its first comment names. One with a line " * kernel: debug" is about
# entries of page tables as x86 has them, which user-mode Linux has not.
# CKPT_KMOD is another folder with the module's files: one with a fault, so that in the VM no
# minutes are spent on a look for leaks. Exit status 2: they do not compile.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
. "$repo/tests/run/tap.sh"
kernel=uml
if [ "${1:-}" = --kernel ]; then
	[ "$2" = 6.1 ] || kernel=$2
	shift 2
fi
case $kernel in
uml | debug) ;;
*) echo "kunit: KERNEL=$kernel has no KUnit, it is left out or debug" >&2; exit 1 ;;
esac
kmod=${CKPT_KMOD:-$repo/kmod}
# one with a fault may leave something unused
errors=${CKPT_KMOD:+-Wno-error}
errors=${errors:--Werror}
# apart, since make would take what it built of other sources for that of older ones
dir=$repo/build/kunit${CKPT_KMOD:+-faults}
[ "$kernel" = uml ] || dir=$dir-$kernel

shopt -s nullglob
suites=("$repo"/tests/kunit/*_kunit.c)
[ $# = 0 ] || suites=("${@/#/$repo/tests/kunit/}")
[ $# = 0 ] || suites=("${suites[@]/%/_kunit.c}")
for s in "${suites[@]}"; do
	[ -e "$s" ] || { echo "kunit: there is no $s" >&2; exit 1; }
done
if [ "$kernel" = uml ]; then
	kdir=$("$repo/tests/kunit/uml.sh")
	make=(make -s -C "$kdir" ARCH=um)
else
	make=(make -s -C "$("$repo/tests/vm/runner/kernel.sh" "$kernel")/headers")
fi

mkdir -p "$dir/kmod" "$dir/suites"
ln -sfn "$repo/uapi" "$dir/uapi"
find "$dir/kmod" "$dir/suites" -xtype l -delete
objects=()
for f in "$kmod"/*.[ch]; do
	ln -sfn "$f" "$dir/kmod/${f##*/}"
done
ln -sfn "$kmod/compat" "$dir/kmod/compat"
for s in "${suites[@]}"; do
	n=$(basename "$s" .c)
	on=$(sed -n '1,/\*\//s/^ \* kernel: *//p' "$s")
	if [ "${on:-$kernel}" != "$kernel" ]; then
		[ $# = 0 ] || { echo "kunit: $n runs with KERNEL=$on alone" >&2; exit 1; }
		continue
	fi
	ln -sfn "$s" "$dir/suites/$n.c"
	objects+=("suites/$n.o")
	needs=$(sed -n '1,/\*\//s/^ \* needs: *//p' "$s" | tr ',' ' ')
	for c in ${needs:-${n%_kunit}.c}; do
		if [ ! -e "$kmod/$c" ]; then
			echo "kunit: $n needs kmod/$c, there is no such file" >&2
			exit 1
		fi
		objects+=("kmod/${c%.c}.o")
	done
done
for h in "$repo"/tests/kunit/*.h; do
	ln -sfn "$h" "$dir/suites/${h##*/}"
done
mapfile -t objects < <(printf '%s\n' "${objects[@]}" | sort -u)
cat >"$dir/Kbuild.new" <<K
obj-m := ckpt_kunit.o
ckpt_kunit-y := ${objects[*]}
ccflags-y := -I\$(src) -I\$(src)/kmod -I\$(src)/uapi -Wall $errors -g
K
# what reads the entries themselves needs to know the kernel, as the module does
[ "$kernel" = uml ] || cat >>"$dir/Kbuild.new" <<'K'
ccflags-y += -I$(src)/kmod/compat -I$(obj) -include $(src)/kmod/compat/compat.h
$(addprefix $(obj)/,$(ckpt_kunit-y)): $(obj)/have.h
$(obj)/have.h: $(src)/kmod/compat/probe.sh $(wildcard $(src)/kmod/compat/probes/*.c)
	$(Q)CC="$(CC)" $< $(src)/kmod/compat/probes $(abspath $(objtree)) $(obj)
K
cmp -s "$dir/Kbuild.new" "$dir/Kbuild" || cp "$dir/Kbuild.new" "$dir/Kbuild"
"${make[@]}" M="$dir" modules >"$dir/build.log" 2>&1 </dev/null || {
	cat "$dir/build.log" >&2
	exit 2
}
grep -v 'Module.symvers' "$dir/build.log" || true

on_uml() {
	# plain-fpu.py: only the registers of SSE are kept, so nothing in there may use others
	local hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-XSAVE,-XSAVEC

	timeout -k 2 120 setarch -R "$repo/tests/kunit/plain-fpu.py" "$kdir/linux" mem=256M \
		root=/dev/root rootfstype=hostfs rootflags=/ ro init="$repo/tests/kunit/init" \
		con=null con0=fd:0,fd:1 time-travel=inf-cpu CKPT_KUNIT="$dir" \
		"GLIBC_TUNABLES=glibc.cpu.hwcaps=$hwcaps" </dev/null
}
in_vm() {
	local out=$repo/build/vm/kunit/$kernel/out rc=0

	rm -rf "$out"
	mkdir -p "$out"
	"$repo/tests/vm/runner/vm.sh" --kernel "$kernel" --out "$out" \
		--env CKPT_KUNIT="$dir" ${CKPT_KMOD:+--env CKPT_LEAKS=no} \
		-- tests/kunit/guest.sh >"$dir/vm.log" 2>&1 </dev/null || rc=$?
	cat "$out/kunit" 2>/dev/null
	[ $rc != 0 ] || return 0
	sed 's/^/# /' "$dir/vm.log"
	echo "    not ok - the machine ended with status $rc"
	return $rc
}

rc=0
if [ "$kernel" = uml ]; then
	on_uml >"$dir/log" 2>&1 || rc=$?
else
	in_vm >"$dir/log" 2>&1 || rc=$?
fi
# the memory leaks go into the count, and so does a kernel that complained
sed -i 's/\r$//' "$dir/log"
if ! grep -q '^KUNIT DONE' "$dir/log"; then
	echo "    not ok - the KUnit kernel died" >>"$dir/log"
fi
if ! "$repo/tests/vm/runner/klog.sh" <"$dir/log" >"$dir/klog"; then
	echo "    not ok - kernel log" >>"$dir/log"
fi
if [ "$rc" != 0 ] || grep -q '^ *not ok' "$dir/log"; then
	# from the first suite on, or all of a kernel that got to none
	from='KTAP version\|# Subtest'
	grep -q "$from" "$dir/log" || from=^
	sed -n "/$from/,\$p" "$dir/log"
fi
name=kunit
[ "$kernel" = uml ] || name=kunit-$kernel
tap_record "$name" "$dir/log" 0 ktap
