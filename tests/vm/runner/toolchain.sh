#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# toolchain.sh: the compiler of another Debian suite, in a folder of the cache
#
# usage: toolchain.sh create SUITE COMPILER MIRROR
#		prints the folder of a minimal root with COMPILER and make, made when missing
#	toolchain.sh run ROOT FOLDER... -- COMMAND...
#		runs COMMAND in ROOT, where FOLDERs are seen under their own names; the current
#		directory is the first of them
# A kernel's modules want the compiler that built the kernel, and its tools want their own C
# library. Needs root; what is mounted for a run is seen by that run alone.
set -euo pipefail
die() { echo "toolchain: $*" >&2; exit 1; }

create() {
	local suite=$1 compiler=$2 mirror=$3 final

	final=${CKPT_CACHE:-$HOME/.cache/ckpt}/kernels/toolchain-$suite-$compiler
	if [ ! -e "$final/ready" ]; then
		[ "$(id -u)" = 0 ] || die "cannot make a root with $compiler: not root"
		echo "toolchain: making a root of $suite with $compiler, a few minutes, once" >&2
		rm -rf "$final"
		debootstrap --variant=minbase --include="$compiler,make,libelf1t64,pahole,sparse" \
			--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
			"$suite" "$final" "$mirror" >"$final.log" 2>&1 </dev/null ||
			{ tail -n 20 "$final.log" >&2; die "debootstrap of $suite failed"; }
		rm -rf "$final"/var/cache/apt/archives/*.deb "$final"/var/lib/apt/lists/*
		touch "$final/ready"
	fi
	echo "$final"
}

run() {
	local root=$1 f folders=()

	shift
	while [ "$1" != -- ]; do
		folders+=("$1")
		shift
	done
	shift
	# objtool and others look at /proc/self
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	for f in "${folders[@]}"; do
		mkdir -p "$root$f"
		mount --bind "$f" "$root$f"
	done
	exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "${folders[0]}" "$@"
}

case ${1:-} in
create) create "${@:2}" ;;
run)
	[ -n "${CKPT_UNSHARED:-}" ] || CKPT_UNSHARED=1 exec unshare --mount "$0" "$@"
	unset CKPT_UNSHARED
	run "${@:2}"
	;;
*) die "usage: toolchain.sh create|run ..." ;;
esac
