#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# uapi-test.sh: the contract's two forms agree, and every way to differ is found
set -u
here=$(cd "$(dirname "$0")" && pwd)
repo=$here/../..
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/uapi/linux"
bad=0
"$here/uapi-matches-spec" "$repo" || bad=1
try() {	# SED-EXPRESSION: a header changed like this is refused
	cp "$repo/uapi/ckpt.yaml" "$tmp/uapi/"
	sed "$1" "$repo/uapi/linux/ckpt.h" >"$tmp/uapi/linux/ckpt.h"
	if cmp -s "$repo/uapi/linux/ckpt.h" "$tmp/uapi/linux/ckpt.h"; then
		echo "'$1' changes nothing in the header"
		bad=1
	elif "$here/uapi-matches-spec" "$tmp" >/dev/null; then
		echo "'$1' is not noticed"
		bad=1
	fi
}
try 's/CKPT_A_ROUND,/CKPT_A_TURN,/'
try '/CKPT_CMD_ROOT_DEL,/d'
try 's/(1U << 12)/(1U << 13)/'
try 's|/\* u64, reported dirty|/* u32, reported dirty|'
try 's/__u32 pages;/__u64 pages;/'
try 's/CKPT_NAME_MAX\t*63/CKPT_NAME_MAX 64/'
exit $bad
