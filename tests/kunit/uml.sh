#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# uml.sh: the user-mode Linux kernel of the KUnit suites, built once into the cache
#
# Prints its build folder, named by a hash over the configuration and the source version;
# it holds the program "linux" and is what KDIR has to be for its modules.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$("$here/../setup/linux-source.sh")
cache=${CKPT_CACHE:-$HOME/.cache/ckpt}/uml
key=$({ basename "$source"; cat "$here/uml.config"; gcc -dumpfullversion; } |
	sha256sum | cut -c1-16)
final=$cache/$key
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$final/built" ]; then
	echo "kunit: building the user-mode Linux kernel, a few minutes, once" >&2
	rm -rf "$final"
	mkdir -p "$final"
	log=$final/build.log
	{
		make -s -C "$source" ARCH=um O="$final" tinyconfig
		(cd "$final" && "$source/scripts/kconfig/merge_config.sh" -m .config \
			"$here/uml.config")
		make -s -C "$source" ARCH=um O="$final" olddefconfig
	} >"$log" 2>&1 </dev/null
	while read -r line; do
		case $line in
		CONFIG_*=n) grep -q "^${line%=n}=" "$final/.config" || continue ;;
		CONFIG_*) ! grep -qx "$line" "$final/.config" || continue ;;
		*) continue ;;
		esac
		echo "kunit: the kernel does not take $line" >&2
		exit 1
	done <"$here/uml.config"
	if ! make -s -j"$(nproc)" -C "$source" ARCH=um O="$final" linux modules_prepare \
			>>"$log" 2>&1 </dev/null; then
		tail -n 20 "$log" >&2
		exit 1
	fi
	# no module was built, so its symbols are those of the kernel alone
	cp "$final/vmlinux.symvers" "$final/Module.symvers"
	touch "$final/built"
fi
echo "$final"
