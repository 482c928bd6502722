#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# uapi-test.sh: the contract's two forms agree, and every way to differ is found
set -u
here=$(cd "$(dirname "$0")" && pwd)
repo=$here/../..
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/uapi/linux" "$tmp/tests/lint"
cp "$here/uapi-numbers.txt" "$tmp/tests/lint/"
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
# changed in both forms alike: a number that programs know is another
both() {	# SED for the header, SED for the spec, WHAT IS SAID
	sed "$1" "$repo/uapi/linux/ckpt.h" >"$tmp/uapi/linux/ckpt.h"
	sed "$2" "$repo/uapi/ckpt.yaml" >"$tmp/uapi/ckpt.yaml"
	out=$("$here/uapi-matches-spec" "$tmp")
	if ! grep -q "$3" <<<"$out"; then
		echo "'$1' in both forms: '$3' is not said, but '$out'"
		bad=1
	fi
}
both 's/CKPT_A_ROUND,/CKPT_A_TURN,/' 's/name: round$/name: turn/;s/- round$/- turn/' \
	'CKPT_A_ROUND is gone'
both 's/CKPT_GENL_VERSION\t1/CKPT_GENL_VERSION\t2/' 's/^version: 1/version: 2/' \
	'CKPT_GENL_VERSION is 2'
both 's/\(CKPT_CMD_ROOT_\)ADD,/\1x,/;s/\(CKPT_CMD_ROOT_\)DEL,/\1ADD,/;s/ROOT_x/ROOT_DEL/' \
	's/name: root-add$/name: root-x/;s/name: root-del$/name: root-add/;s/root-x$/root-del/' \
	'CKPT_CMD_ROOT_DEL is 4, programs know it as 5'
both '/__CKPT_A_MAX$/s/^/\tCKPT_A_NEWS, \/* u32 *\/\n/' \
	'/permille of the memory limit/s/$/\n      -\n        name: news\n        type: u32/' \
	'CKPT_A_NEWS .* is missing'
both 's/__u16 state;/__u16 flags0;/' 's/^        name: state$/        name: flags0/' \
	'struct:ckpt_run is'
exit $bad
