#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# criu.sh: CRIU of a newer Debian, in a folder of the cache
#
# Prints two lines: its version, and a command that runs it, in words without quotes.  Debian 12's
# own does not start on newer kernels.  The program of the folder is run with the folder's loader
# and libraries on the files of this machine: in a chroot it would look for those of the processes
# there.  Made when missing, by debootstrap, which takes root and a minute; a run that finds it
# needs no network.
set -euo pipefail
suite=forky
cache=${CKPT_CACHE:-$HOME/.cache/ckpt}
mkdir -p "$cache"
die() { echo "criu: $*" >&2; exit 1; }
exec 9>"$cache/criu.lock"
flock 9

ready=$(compgen -G "$cache/criu-*/ready" | sort -V | tail -n 1) || true
if [ -z "$ready" ]; then
	[ "$(id -u)" = 0 ] || die "cannot make a folder with CRIU: not root"
	uri=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' |
		sed -n 's/^Debian main bookworm \(.*\)/\1/p' | head -n 1)
	[ -n "$uri" ] || die "apt-get indextargets names no mirror of bookworm, add one"
	echo "criu: making a folder with that of $suite, a minute, once" >&2
	tmp=$cache/criu.tmp
	rm -rf "$tmp"
	# a suite that is newer than debootstrap itself is made as the newest it knows
	debootstrap --variant=minbase --include=criu \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		"$suite" "$tmp" "$uri" /usr/share/debootstrap/scripts/sid \
		>"$tmp.log" 2>&1 </dev/null ||
		{ tail -n 20 "$tmp.log" >&2; die "debootstrap of $suite failed"; }
	rm -rf "$tmp"/var/cache/apt/archives/*.deb "$tmp"/var/lib/apt/lists/*
	version=$(sed -n '/^Package: criu$/,/^$/s/^Version: \(.*\)-.*/\1/p' \
		"$tmp/var/lib/dpkg/status")
	[ -n "$version" ] || die "debootstrap of $suite has no CRIU"
	touch "$tmp/ready"
	rm -rf "$cache/criu-$version"
	mv "$tmp" "$cache/criu-$version"
	ready=$cache/criu-$version/ready
fi
root=${ready%/ready}
command="$root/lib64/ld-linux-x86-64.so.2 --library-path $root/usr/lib/x86_64-linux-gnu"
command+=" $root/usr/sbin/criu"
$command check >"$cache/criu.log" 2>&1 </dev/null ||
	{ cat "$cache/criu.log" >&2; die "it does not work on this kernel"; }
echo "${root##*/criu-}"
echo "$command"
