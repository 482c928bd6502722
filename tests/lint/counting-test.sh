#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# counting-test.sh: the runners count what there is, and a broken test never passes
set -u
repo=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
CKPT_RESULTS=$tmp/results
unset CKPT_FAILED	# that of who runs this is not for its cases
. "$repo/tests/run/tap.sh"
bad=0

count() {	# WANTED TEXT STATUS [ktap]: what tap_record makes of a log
	local got

	printf '%b' "$2" >"$tmp/log"
	: >"$CKPT_RESULTS"
	tap_record name "$tmp/log" "$3" "${4:-}" >/dev/null
	got=$?:$(cat "$CKPT_RESULTS")
	if [ "$got" != "$1 name" ]; then
		echo "'$2' with status $3 gives $got, not $1"
		bad=1
	fi
}
sum() {	# WANTED STATUS RESULTS
	local got

	printf '%b' "$3" >"$CKPT_RESULTS"
	got=$("$repo/tests/run/sum.sh" "$CKPT_RESULTS" "$2" | tail -n 1; echo "${PIPESTATUS[0]}")
	if [ "$got" != "$1" ]; then
		echo "'$3' sums up to $got, not $1"
		bad=1
	fi
}

count "0:2 0 0" "1..2\nok 1 - a\nok 2 - b\n" 0
count "1:1 1 0" "ok 1 - a\nnot ok 2 - b\n1..2\n" 0
count "1:1 1 0" "1..2\nok 1 - a\n" 0
count "1:1 1 0" "1..1\nok 1 - a\n" 3
count "1:0 1 0" "hello\n" 0
count "0:1 0 1" "ok 1 - a\nok 2 - b # SKIP no such thing\n1..2\n" 0
count "1:2 1 0" "ok 1 - a\nok 2 - b\n" 0
count "1:1 1 0" "ok 1 - a\nBail out! gone\n" 1
count "0:1 0 0" "okay\nnot okay\nok 1 - a\n1..1\n" 0
count "0:1 0 0" "TAP version 13\nok 1 - a\n1..1\n" 0
count "0:0 0 1" "TAP version 13\n1..0 # SKIP no such thing\n" 4
count "0:1 0 1" "ok 1 - a\nok 2 - the rest # SKIP no such thing\n1..2\n" 4
count "1:1 1 1" "ok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no such thing\n1..3\n" 4
count "1:1 1 0" "ok 1 - a\n1..1\n" 4
count "1:0 1 0" "" 4
count "1:0 1 0" "1..0\n" 0
count "1:0 1 1" "1..0 # SKIP no such thing\n" 1
count "0:2 0 0" "    # Subtest: x\n    ok 1 a\n    ok 2 b\nok 1 x\n" 0 ktap
count "1:1 1 0" "    ok 1 a\n    not ok 2 b\nnot ok 1 x\n" 0 ktap
shown() {	# WANTED: at the end, of all that was said
	"$repo/tests/run/sum.sh" "$CKPT_RESULTS" 1 | grep -qx "$1" && return
	echo "'$1' is not shown at the end"
	bad=1
}

CKPT_FAILED=$CKPT_RESULTS.failed
count "1:1 1 0" "1..2\nok 1 - a\n# why\nnot ok 2 - b\n# because\n" 1
shown "not ok 2 - b"
shown "# because"
rm -f "$CKPT_FAILED"
count "1:0 1 0" "it broke\n" 1
shown "it broke"
rm -f "$CKPT_FAILED"
sum "$(printf '3 passed, 0 failed, 0 skipped\n0')" 0 "1 0 0 a\n2 0 0 b\n"
sum "$(printf '1 passed, 1 failed, 0 skipped\n1')" 0 "1 0 0 a\n0 1 0 b\n"
sum "$(printf '1 passed, 0 failed, 1 skipped\n1')" 0 "1 0 1 a\n"
sum "$(printf '1 passed, 1 failed, 0 skipped\n1')" 1 "1 0 0 a\n"
sum "$(printf '0 passed, 0 failed, 0 skipped\n1')" 0 ""

. "$repo/tests/run/found.sh"
found() {	# WANTED TEST STATUS TEXT [EXPECTED]: what of a log shows that a fault was found
	local got

	printf '%b' "$4" >"$tmp/log"
	got=$(set -o pipefail; found_by "$2" "$3" "$tmp/log" "${5:-}" || echo none)
	if [ "$got" != "$1" ]; then
		echo "'$4' of $2 with status $3 shows '$got', not '$1'"
		bad=1
	fi
}
found "not ok 2 - b" states 1 "ok 1 - a\nnot ok 2 - b\n"
found "not ok 3 - c d" states 1 "not ok 2 - b\nnot ok 3 - c d\n" "c d"
found "not ok 1 - a" states 1 "$(printf 'not ok %d - a\\n' $(seq 1 9000))"
found none states 1 "not ok 2 - b\n" "c d"
found none states 1 "ok 1 - a\n"
found none states 124 "ok 1 - a\n"
found none states 1 "not ok - selftests/states_test: exit status 1\n"
found "its time limit" giveup 124 "ok 1 - a\n" "(hangs)"
found none giveup 1 "not ok 1 - a\n" "(hangs)"
found none files_roots 1 "not ok 1 - a\n" "(dies)"
found "# LOST 0x1000" audit 1 "# LOST 0x1000\nnot ok 1 - lost\n"
found none audit 1 "not ok 5 - 70 operations of 100\n"
pte="    # Subtest: ckpt_pte\n"
found "    not ok 2 b" kunit:ckpt_pte 1 "$pte    ok 1 a\n    not ok 2 b\n"
found none kunit:ckpt_pte 1 "$pte    ok 1 a\n    # Subtest: ckpt_told\n    not ok 1 b\n"
found none kunit:ckpt_pte 1 "    not ok - the KUnit kernel died\n    not ok - insmod\n"

klog() {	# WANTED TEXT [ARGUMENT]...: the status of klog.sh for a log
	local got=0 text=$2 want=$1

	shift 2
	printf '%b' "$text" | "$repo/tests/vm/runner/klog.sh" "$@" >/dev/null || got=1
	if [ $got != "$want" ]; then
		echo "kernel log '$text' $*: status $got, not $want"
		bad=1
	fi
}
klog 0 "[ 1.0] fine\n"
klog 1 "[ 1.0] BUG: a\n"
klog 0 "[ 1.0] BUG: a\n[ 1.1] ckpt-test: x starts\n[ 1.2] fine\n" --since "ckpt-test: x starts"
klog 1 "[ 1.1] ckpt-test: x starts\n[ 1.2] BUG: a\n" --since "ckpt-test: x starts"
klog 1 "[ 1.2] fine\n" --since "ckpt-test: x starts"
klog 1 "" --since "ckpt-test: x starts"
klog 1 "[ 9.0] kmemleak: Kernel memory leak detector disabled\n"

leak() {	# WANTED LINE [TEXT]: what leaks.sh makes of a report with LINE as one caller
	local got

	{
		printf 'unreferenced object 0xffff8880 (size 64):\n  backtrace:\n'
		printf '    [<0>] kmalloc_trace+0x20/0x90\n    [<0>] acpi_init+0x1/0x2\n'
		printf 'unreferenced object 0xffff8881 (size 32):\n  backtrace:\n'
		printf '    [<0>] kmalloc_trace+0x20/0x90\n    [<0>] %s\n' "$2"
	} >"$tmp/report"
	got=$("$repo/tests/vm/runner/leaks.sh" "$tmp/symbols" "$tmp/report")
	if [ "$(grep -c object <<<"$got")" != "$1" ] || [[ $got != *"${3:-}"* ]]; then
		echo "kmemleak: '$2' gives '$got'"
		bad=1
	fi
}
printf 'ffffffffc01%s t ckpt_%s\t[ckpt]\n' 23000 a 23400 b 24000 c >"$tmp/symbols"
leak 0 "ext4_init+0x1/0x2 [ext4]"
leak 1 "ckpt_group_new+0x1/0x2 [ckpt]"
leak 1 "suite_init+0x1/0x2 [ckpt_kunit]"
leak 1 "0xffffffffc0123456" "(ckpt_b)"
looks() {	# WANTED FILE [TEXT]: the status of leaks.sh that asks FILE, with TEXT in the log
	local got=0

	printf '#!/bin/sh\necho "%s"\n' "${3:-}" >"$tmp/dmesg"
	chmod +x "$tmp/dmesg"
	PATH=$tmp:$PATH CKPT_KMEMLEAK=$2 CKPT_KMEMLEAK_AGE=0 \
		"$repo/tests/vm/runner/leaks.sh" "$tmp/symbols" >/dev/null || got=1
	if [ $got != "$1" ]; then
		echo "kmemleak: asked by $2 with '${3:-}' in the log: status $got, not $1"
		bad=1
	fi
}
: >"$tmp/kmemleak"
looks 0 "$tmp/kmemleak"
looks 1 "$tmp/kmemleak" "kmemleak: Kernel memory leak detector disabled"
looks 1 /dev/full
looks 0 "$tmp/none"
CKPT_KERNEL=debug looks 1 "$tmp/none"
exit $bad
