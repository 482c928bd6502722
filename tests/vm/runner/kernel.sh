#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kernel.sh: a kernel and its headers, unpacked into the cache
#
# usage: kernel.sh KERNEL        prints the folder, which then holds
#	release      the kernel's release string
#	vmlinux      the bootable file
#	modules/     /lib/modules/<release>, with modules.dep
#	headers      what KDIR has to be
#	toolchain    where this machine's compiler will not do: the root with one that does
#
# 6.1 and 6.12 are Debian's for Debian 12, newest is that of its unstable suite on the day,
# debug is built here (kernel-debug.sh). Nothing is installed on this machine. The folder is
# named after the package version, so a new kernel in the archive makes a new folder, and a
# run that finds its folder needs no network.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kernel=${1:?usage: kernel.sh KERNEL}
cache=${CKPT_CACHE:-$HOME/.cache/ckpt}/kernels
mkdir -p "$cache"

die() { echo "kernel $kernel: $*" >&2; exit 1; }

# The apt options that reach the suite; its own lists when it is not one of this machine's
apt_opts=()
case $kernel in
6.1) image=linux-image-amd64 headers=linux-headers-amd64 suite= ;;
6.12) image=linux-image-amd64 headers=linux-headers-amd64 suite=bookworm-backports ;;
newest) image=linux-image-amd64 headers=linux-headers-amd64 suite=sid ;;
debug) exec "$here/kernel-debug.sh" ;;
*) die "unknown, KERNEL is 6.1, 6.12, newest or debug" ;;
esac

apt_update() {
	apt-get -q "${apt_opts[@]}" update >/dev/null </dev/null
}

# A suite that is not among this machine's sources gets lists of its own in the cache,
# from the mirror this machine already uses.
use_suite() {
	local dir=$cache/apt-$1

	uri=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' |
		sed -n 's/^Debian main bookworm \(.*\)/\1/p' | head -n 1)
	[ -n "$uri" ] || die "apt-get indextargets names no mirror of bookworm, add one"
	mkdir -p "$dir/lists/partial"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $1 main" \
		>"$dir/sources.list"
	apt_opts=(-o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o Dir::State::Lists="$dir/lists"
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
		-o APT::Sandbox::User=root -o APT::Default-Release="$1")
	[ -s "$dir/stamp" ] || { apt_update; echo 1 >"$dir/stamp"; }
}

candidate() {
	apt-cache "${apt_opts[@]}" policy "$1" | sed -n 's/^ *Candidate: //p' | grep -vx '(none)'
}

depends() {
	apt-cache "${apt_opts[@]}" show --no-all-versions "$1" |
		sed -n 's/^Depends: //p' | tr ',' '\n' | sed 's/ *|.*//;s/^ *//;s/ .*//'
}

fetch() {	# PACKAGE FOLDER: unpack the candidate version of PACKAGE in FOLDER
	local dl=$2.dl

	mkdir -p "$dl" "$2"
	(cd "$dl" && apt-get -q "${apt_opts[@]}" -o APT::Sandbox::User=root download "$1" \
		>/dev/null </dev/null) || return 1
	dpkg-deb --fsys-tarfile "$dl"/*.deb | tar -x -C "$2" --exclude=./usr/share/doc
	rm -rf "$dl"
}

resolve() {
	version=$(candidate "$image") &&
	image_pkg=$(depends "$image" | grep -m1 '^linux-image-') &&
	headers_pkg=$(depends "$headers" | grep -m1 '^linux-headers-')
}

# what the image, in newer archives, and the headers consist of
parts() {
	depends "$image_pkg" | grep -E '^linux-(base|binary|modules)-[0-9]' || true
	echo "$headers_pkg"
	depends "$headers_pkg" | grep -E '^linux-(headers|kbuild)-'
}

exec 9>"$cache/lock-$kernel"
flock 9
# asking apt takes two seconds: its answer holds until its lists change, that of the newest
# kernel for a day
known=$cache/resolved-$kernel
lists=/var/lib/apt/lists
[ -z "$suite" ] || lists=$cache/apt-$suite/lists
stale=
if [ "$kernel" = newest ] && [ -z "$(find "$known" -mmin -1440 2>/dev/null)" ]; then
	stale=1
fi
if [ -z "$stale" ] && [ "$known" -nt "$lists" ] && [ -e "$(cat "$known")/vmlinux" ]; then
	exec cat "$known"
fi
[ -z "$suite" ] || use_suite "$suite"
# without the network the newest kernel is the newest one known
[ -z "$stale" ] || apt_update || echo "kernel $kernel: the archive cannot be asked" >&2
resolve || { apt_update && resolve; } || die "no package $image in the archive"
case $kernel-${image_pkg#linux-image-} in
newest-* | "$kernel-$kernel".*) ;;
*) die "$image resolves to $image_pkg, a Debian 12 archive is needed" ;;
esac

final=$cache/${image_pkg}_$version
if [ ! -e "$final/release" ]; then
	echo "kernel $kernel: fetching $image_pkg $version" >&2
	release=${image_pkg#linux-image-}
	tmp=$final.tmp
	rm -rf "$tmp" "$tmp.dl"
	mkdir -p "$tmp"
	fetch "$image_pkg" "$tmp" || { apt_update; fetch "$image_pkg" "$tmp"; } ||
		die "cannot download $image_pkg"
	for p in $(parts); do
		fetch "$p" "$tmp" || die "cannot download $p"
	done
	if [ "$kernel" = newest ]; then
		compiler=$(depends "$headers_pkg" | grep -m1 -oE '^gcc-[0-9]+') ||
			die "$headers_pkg names no compiler"
		"$here/toolchain.sh" create "$suite" "$compiler" "$uri" >"$tmp/toolchain" ||
			die "no $compiler of $suite"
		# the packages leave out what asks whether sparse is there
		for scripts in "$tmp"/usr/lib/linux-kbuild-*/scripts; do
			printf '#!/bin/sh\necho 1\n' >"$scripts/checker-valid.sh"
			chmod 755 "$scripts/checker-valid.sh"
		done
	fi
	if [ -d "$tmp/usr/lib/modules" ]; then
		mv "$tmp/usr/lib/modules/$release" "$tmp/modules"
	else
		mv "$tmp/lib/modules/$release" "$tmp/modules"
	fi
	rm -f "$tmp/modules/build" "$tmp/modules/source"
	# newer packages have it among the modules
	for f in "$tmp/boot/vmlinuz-$release" "$tmp/modules/vmlinuz"; do
		[ ! -e "$f" ] || mv "$f" "$tmp/vmlinuz"
	done
	# the headers name one absolute path, in their Makefile
	sed -i "s,/usr/src/,$final/usr/src/,g" "$tmp/usr/src/linux-headers-$release/Makefile"
	ln -s "usr/src/linux-headers-$release" "$tmp/headers"
	# depmod wants lib/modules/<release> below its base
	mkdir -p "$tmp/base/lib/modules"
	ln -s "$tmp/modules" "$tmp/base/lib/modules/$release"
	depmod -b "$tmp/base" "$release"
	rm -rf "$tmp/base" "$tmp/boot" "$tmp/lib" "$tmp/usr/share"
	echo "$release" >"$tmp/release"
	rm -rf "$final"
	mv "$tmp" "$final"
fi
# The bootable file unpacks itself, which takes seconds under emulation: do it here. What
# follows the compressed data makes the unpacker complain, so the result is looked at.
if [ ! -e "$final/vmlinux" ]; then
	for magic in '\xfd7zXZ\x00 xz' '\x28\xb5\x2f\xfd zstd'; do
		at=$(LC_ALL=C grep -abom1 -P "${magic% *}" "$final/vmlinuz" |
			head -n 1 | cut -d: -f1) || true
		[ -n "$at" ] || continue
		tail -c +$((at + 1)) "$final/vmlinuz" | "${magic#* }" -dcq 2>/dev/null \
			>"$final/vmlinux.tmp" || true
		if [ "$(head -c 4 "$final/vmlinux.tmp" | tail -c 3)" = ELF ]; then
			mv "$final/vmlinux.tmp" "$final/vmlinux"
			break
		fi
	done
	rm -f "$final/vmlinux.tmp"
	[ -e "$final/vmlinux" ] || cp "$final/vmlinuz" "$final/vmlinux"
fi
echo "$final" >"$known"
echo "$final"
