#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build-kmod.sh: build the module out of tree, once per kernel release
#
# usage: build-kmod.sh [KDIR]
# The sources are linked into build/kmod/<release>/kmod, so that the tree stays clean and
# two kernels do not disturb each other. A warning is an error, one of modpost too. With
# KMOD_LINT=1 in the environment it runs sparse over every file instead. Leaves
# build/kmod/<release>/ckpt.ko and, as the last one built, build/ckpt.ko. With
# KMOD_GENL_VERSION=N it builds, for the test of the tool's refusal, a module that speaks version
# N of the interface: build/kmod/<release>-genlN/ckpt.ko.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
kdir=${1:-}
if [ -z "$kdir" ]; then
	kdir=/lib/modules/$(uname -r)/build
	[ -e "$kdir/Makefile" ] || kdir=$("$repo/tests/vm/runner/kernel.sh" 6.1)/headers
fi
uts=$kdir/include/generated/utsrelease.h
if [ ! -e "$uts" ]; then
	echo "kmod: $kdir holds no kernel headers, give KDIR=" >&2
	exit 1
fi
release=$(sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' "$uts")
dir=$repo/build/kmod/$release
flags=(W=1)
if [ -n "${KMOD_LINT:-}" ]; then
	dir=$repo/build/lint/kmod-$release
	flags=(C=2 "CF=-Wsparse-error -Wno-unknown-attribute")
fi
[ -z "${KMOD_GENL_VERSION:-}" ] || dir=$dir-genl$KMOD_GENL_VERSION
mkdir -p "$dir/kmod"
exec 9>"$dir/lock"
flock 9
if [ -n "${KMOD_GENL_VERSION:-}" ]; then
	mkdir -p "$dir/uapi/linux"
	sed "s/^\(#define CKPT_GENL_VERSION\t\).*/\1$KMOD_GENL_VERSION/" "$repo/uapi/linux/ckpt.h" \
		>"$dir/uapi/linux/ckpt.h"
else
	ln -sfn "$repo/uapi" "$dir/uapi"
fi
# links of sources that are gone would still be built by a wildcard
find "$dir/kmod" -xtype l -delete
(cd "$repo/kmod" && find . -type d -printf '%P\n') | while read -r d; do
	mkdir -p "$dir/kmod/$d"
done
(cd "$repo/kmod" && find . -type f -printf '%P\n') | while read -r f; do
	[ -L "$dir/kmod/$f" ] || ln -sfn "$repo/kmod/$f" "$dir/kmod/$f"
done
"$repo/tests/run/kmake.sh" "$kdir" M="$dir/kmod" "${flags[@]}" modules 2>&1 |
	{ grep -vE 'BTF|vmlinux is unavailable' || true; } | tee "$dir/log"
# modpost only warns, and only when it runs: the next build would not tell
if grep -q '^WARNING: ' "$dir/log"; then
	rm -f "$dir/kmod/Module.symvers" "$dir/kmod/ckpt.ko"
	echo "kmod: a warning of modpost is an error" >&2
	exit 1
fi
[ -z "${KMOD_LINT:-}" ] || exit 0
# an emulated machine may be reading the old one
put() {	# FILE: the module goes there, if it is another one
	cmp -s "$dir/kmod/ckpt.ko" "$1" || { cp "$dir/kmod/ckpt.ko" "$1.new" && mv "$1.new" "$1"; }
}
put "$dir/ckpt.ko"
[ -n "${KMOD_GENL_VERSION:-}" ] || put "$repo/build/ckpt.ko"
