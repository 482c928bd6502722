#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# uapi-test.sh: the contract's two forms agree, and every way to differ is found
set -u
here=$(cd "$(dirname "$0")" && pwd)
repo=$here/../..
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/uapi/linux" "$tmp/tests/lint" "$tmp/tests/selftests"
cp "$here/uapi-numbers.txt" "$tmp/tests/lint/"
cp "$repo/tests/selftests/contract_test.c" "$tmp/tests/selftests/"
cp -r "$repo/kmod" "$tmp/"
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
# the module, and what else speaks of the contract: a file changed like this is refused
cp "$repo/uapi/ckpt.yaml" "$tmp/uapi/"
cp "$repo/uapi/linux/ckpt.h" "$tmp/uapi/linux/"
differs() {	# FILE SED WHAT IS SAID
	local out

	sed "$2" "$repo/$1" >"$tmp/$1"
	out=$("$here/uapi-matches-spec" "$tmp")
	if cmp -s "$repo/$1" "$tmp/$1"; then
		echo "'$2' changes nothing in $1"
		bad=1
	elif ! grep -q "$3" <<<"$out"; then
		echo "'$2' in $1: '$3' is not said, but '$out'"
		bad=1
	fi
	cp "$repo/$1" "$tmp/$1"
}
policy=kmod/netlink-policy.c
differs $policy '/CKPT_A_CHANGED_INODES_MIN\] =/d' 'GROUP_SET: CHANGED_INODES_MIN is in one of'
differs $policy \
	'/CKPT_A_EVENTS\] =/p;s/\[CKPT_A_EVENTS\] = .*/[CKPT_A_LOST] = { .type = NLA_U64 },/' \
	'GROUP_SET: LOST is in one of'
differs $policy 's/\[CKPT_A_EPOCH\] = { .type = NLA_U64/[CKPT_A_EPOCH] = { .type = NLA_U32/' \
	"EPOCH is {'type': 'u32'}"
differs $policy 's/CKPT_EVENTS_TASK) - 1/CKPT_EVENTS_TASK) + 1/' "EVENTS is .*'mask': 9"
differs $policy 's/NLA_POLICY_MASK(NLA_U32, CKPT_EPOCH_FINAL)/{ .type = NLA_U32 }/' \
	"EPOCH_FLAGS is {'type': 'u32'}"
differs $policy 's/^#define SHARE.*/#define SHARE\t{ .type = NLA_U32 }/' \
	"SHARE_MIN is {'type': 'u32'}"
differs $policy 's/NLA_POLICY_EXACT_LEN(CKPT_ID_LEN)/{ .type = NLA_BINARY, .len = CKPT_ID_LEN }/' \
	'CHECKPOINT_ID is None'
differs $policy 's/NLA_POLICY_EXACT_LEN(CKPT_ID_LEN)/NLA_POLICY_EXACT_LEN(CKPT_NAME_MAX)/' \
	"CHECKPOINT_ID is .*'len': 63"
differs $policy 's/ckpt_policy_root\[CKPT_A_ROOT_PATH/ckpt_policy_root[CKPT_A_LOST/' \
	'root ends with LOST'
differs kmod/events.h 's/CKPT_SHARE_MAX 1000/CKPT_SHARE_MAX 100/' "'max': 100}, in"
differs kmod/netlink.c '/OP(GROUP_SET/d' 'GROUP_SET is in one of'
differs kmod/netlink.c 's/OP(EPOCH_ABORT, epoch_abort)/OP(EPOCH_ABORT, epoch_commit)/' \
	'EPOCH_ABORT: CHECKPOINT_ID is in one of'
differs kmod/netlink.c 's/OP(PAGE_DUMP, group), .dumpit/OP(PAGE_DUMP, group), .doit/' \
	"PAGE_DUMP has .*'doit'"
differs kmod/netlink.c 's/OP(GROUP_DEL, group),/OP(GROUP_DEL, group), .flags = GENL_ADMIN_PERM,/' \
	"GROUP_DEL has .*'flags'"
differs kmod/netlink.c 's/, .flags = GENL_MCAST_CAP_SYS_ADMIN//' 'the multicast groups'
differs kmod/netlink.c 's/nla_put_u32(msg, CKPT_A_ROUND/nla_put_u16(msg, CKPT_A_ROUND/' \
	'ROUND is put as u16'
differs kmod/netlink.c '/CKPT_A_TAKEN_INODES/d' 'netlink.c: TAKEN_INODES is in one of'
differs kmod/netlink.c 's/nla_get_u64(attrs\[CKPT_A_EPOCH\])/nla_get_u32(attrs[CKPT_A_EPOCH])/' \
	'EPOCH is read by nla_get_u32'
differs kmod/netlink-dump.c '/CKPT_A_AREA_INO/d' 'netlink-dump.c: AREA_INO is in one of'
differs kmod/netlink-group.c 's/CKPT_A_FEATURES/CKPT_A_ROUND/' 'FEATURES is in one of'
differs tests/selftests/contract_test.c \
	's/CKPT_CMD_ROOT_ADD, NLM_F_ACK, { CKPT_A_GROUP_NAME, /&CKPT_A_LOST, /' \
	'ROOT_ADD is tried with'
differs uapi/linux/ckpt.h 's|/\* GROUP_NAME, GROUP_CGROUP \*/|/* GROUP_NAME */|' \
	'GROUP_NEW is said to have'
differs uapi/linux/ckpt.h 's/CKPT_GENL_NAME\t*"ckpt"/CKPT_GENL_NAME "chkpt"/' \
	'the family is not ckpt'
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
