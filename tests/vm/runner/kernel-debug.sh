#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kernel-debug.sh: the kernel that looks for what others let pass, built once into the cache
#
# usage: kernel-debug.sh [--cached]	prints its folder, as kernel.sh does
# Debian's linux-source-6.1 with tests/vm/debug.config: KASAN, lockdep, kmemleak, failing
# allocations, KUnit. The folder is named by a hash over the configuration, the source and the
# compiler. With --cached it builds nothing and fails when there is none.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
config=$here/../debug.config
source=$("$here/../../setup/linux-source.sh")
cache=${CKPT_CACHE:-$HOME/.cache/ckpt}/kernels
key=$({ basename "$source"; grep '^CONFIG' "$config"; gcc -dumpfullversion; } |
	sha256sum | cut -c1-16)
final=$cache/debug-$key
build=$final/build
if [ "${1:-}" = --cached ]; then
	[ -e "$final/vmlinux" ] || exit 1
	echo "$final"
	exit 0
fi
mkdir -p "$cache"
exec 9>"$cache/lock-debug"
flock 9

configure() {
	local line

	make -s -C "$source" O="$build" tinyconfig
	(cd "$build" && "$source/scripts/kconfig/merge_config.sh" -m .config "$config")
	make -s -C "$source" O="$build" olddefconfig
	while read -r line; do
		case $line in
		CONFIG_*=n) grep -q "^${line%=n}=" "$build/.config" || continue ;;
		CONFIG_*) ! grep -qx "$line" "$build/.config" || continue ;;
		*) continue ;;
		esac
		echo "the kernel does not take $line"
		return 1
	done <"$config"
}

compile() {
	local release

	make -s -j"$(nproc)" -C "$source" O="$build" bzImage modules &&
	make -s -C "$source" O="$build" INSTALL_MOD_PATH="$final/base" modules_install &&
	release=$(cat "$build/include/config/kernel.release") || return 1
	rm -rf "$final/modules"
	mv "$final/base/lib/modules/$release" "$final/modules"
	rm -rf "$final/base" "$final/modules/build" "$final/modules/source"
	ln -sfn build "$final/headers"
	echo "$release" >"$final/release"
	# modules are built against headers and symbols, the objects are 2 GB
	find "$build" \( -name '*.o' -o -name '*.a' -o -name '*.ko' \) \
		! -path "$build/scripts/*" ! -path "$build/tools/*" -delete
	rm -f "$build"/vmlinux "$build"/.tmp_vmlinux*
	# QEMU starts a plain vmlinux by its PVH note alone, and this one has none
	mv "$build/arch/x86/boot/bzImage" "$final/vmlinux"
}

if [ ! -e "$final/vmlinux" ]; then
	echo "kernel debug: building it, half an hour on two processors, once" >&2
	mkdir -p "$build"
	{ configure && compile; } >"$final/build.log" 2>&1 </dev/null ||
		{ tail -n 20 "$final/build.log" >&2; exit 1; }
fi
echo "$final"
