#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# linux-source.sh: the kernel source of Debian's linux-source-6.1, unpacked into the cache
#
# Prints its folder. It is for the KUnit kernel and checkpatch.pl; parts that neither needs
# are left out. A run that finds the folder needs no network.
set -euo pipefail
package=linux-source-6.1
cache=${CKPT_CACHE:-$HOME/.cache/ckpt}/linux-source
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

known=$cache/resolved
if [ "$known" -nt /var/lib/apt/lists ] && [ -e "$(cat "$known")/Makefile" ]; then
	exec cat "$known"
fi
candidate() {
	apt-cache policy "$package" | sed -n 's/^ *Candidate: //p' | grep -vx '(none)'
}
version=$(candidate) || { apt-get -q update >/dev/null </dev/null && version=$(candidate); } || {
	echo "linux-source: no package $package in the archive" >&2
	exit 1
}
final=$cache/$version
if [ ! -e "$final/Makefile" ]; then
	echo "kernel source: fetching $package $version" >&2
	tmp=$final.tmp
	rm -rf "$tmp"
	mkdir -p "$tmp/dl" "$tmp/src"
	download() {
		(cd "$tmp/dl" && apt-get -q -o APT::Sandbox::User=root download "$package" \
			>/dev/null </dev/null)
	}
	download || { apt-get -q update >/dev/null </dev/null; download; }
	dpkg-deb --fsys-tarfile "$tmp"/dl/*.deb |
		tar -x -O "./usr/src/$package.tar.xz" |
		xz -dc -T0 |
		tar -x -C "$tmp/src" --strip-components=1 --wildcards \
			--exclude='*/Documentation/*.rst' --exclude='*/tools/testing/*' \
			--exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/media/*.[ch]' \
			--exclude='*/drivers/infiniband/*.[ch]' \
			--exclude='*/drivers/staging/*.[ch]' \
			--exclude='*/sound/*.[ch]' --exclude='*.dts' --exclude='*.dtsi'
	rm -rf "$final"
	mv "$tmp/src" "$final"
	rm -rf "$tmp"
fi
echo "$final" >"$known"
echo "$final"
