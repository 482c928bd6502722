#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# programs.sh: programs that tests checkpoint and that packages.txt does not bring, in the cache
#
# usage: programs.sh [NAME]      (prints the folder of that one; without a name it makes all)
#
# nginx and postgresql are packages that would start a service on this machine: they are unpacked
# here and never installed; packages.txt has the libraries that they need. The others are compiled.
# A run that finds what it looks for needs no network.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
sources=$repo/tests/workloads/programs
cache=${CKPT_CACHE:-$HOME/.cache/ckpt}/programs
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

unpacked() {	# FOLDER PACKAGE...: as the archive has them
	local final=$cache/$1 tmp=$cache/$1.tmp deb

	shift
	# what an emulated machine finds was looked up before it was started
	if [ ! -e "$final" ] ||
		{ [ -z "${CKPT_IN_VM:-}" ] && [ /var/lib/apt/lists -nt "$final" ]; }; then
		rm -rf "$tmp"
		mkdir -p "$tmp/debs"
		get() {
			(cd "$tmp/debs" && apt-get -q -o APT::Sandbox::User=root download "$@" \
				>/dev/null </dev/null)
		}
		get "$@" || { apt-get -q update >/dev/null </dev/null; get "$@"; } >&2
		for deb in "$tmp/debs"/*.deb; do
			dpkg-deb -x "$deb" "$tmp"
		done
		rm -rf "$tmp/debs" "$final"
		touch "$tmp"
		mv "$tmp" "$final"
	fi
	echo "$final"
}

compiled() {	# NAME SOURCE VERSION-COMMAND COMPILE-COMMAND: into the folder that is $1 of it
	local key final

	key=$( (cat "$sources/$2"; [ -n "${CKPT_IN_VM:-}" ] || $3) | sha256sum | cut -c 1-16)
	# emulated, a compiler takes seconds to say which one it is
	final=$cache/$1-$key
	[ -z "${CKPT_IN_VM:-}" ] || final=$(find "$cache" -maxdepth 1 -name "$1-*" | head -n 1)
	if [ ! -e "$final" ]; then
		rm -rf "$cache/$1"-*
		mkdir "$final.tmp"
		$4 "$final.tmp" "$sources/$2" >&2
		mv "$final.tmp" "$final"
	fi
	echo "$final"
}

with_go() {
	local rc=0

	GOCACHE=$1/cache GO111MODULE=off /usr/bin/go build -o "$1/${2##*/}.out" "$2" || rc=$?
	rm -rf "$1/cache"
	mv "$1/${2##*/}.out" "$1/goroutines"
	return $rc
}
with_rust() { /usr/bin/rustc -O -D warnings --edition 2021 -o "$1/rust_threads" "$2"; }
with_java() { javac -Xlint:all -Werror -d "$1" "$2"; }

make_one() {
	case $1 in
	nginx) unpacked nginx nginx nginx-common ;;
	postgresql) unpacked postgresql postgresql-15 postgresql-client-15 ;;
	go) compiled go goroutines.go "/usr/bin/go version" with_go ;;
	rust) compiled rust rust_threads.rs "/usr/bin/rustc --version" with_rust ;;
	java) compiled java Threads.java "javac --version" with_java ;;
	*)
		echo "programs: no $1" >&2
		exit 1
		;;
	esac
}

if [ $# -gt 0 ]; then
	make_one "$1"
else
	for name in nginx postgresql go rust java; do
		make_one $name
	done
fi
