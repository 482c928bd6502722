#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# rules-test.sh: every rule of rules.py finds what it is for, and nothing in a clean tree
set -u
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
git -C "$tmp" init -q
mkdir -p "$tmp"/{kmod,tools/libckpt/{base,nl,store,flow},docs,tests/run}
echo 'What a fault is told by: `told`' >"$tmp/docs/testing.md"
bad=0
gpl='/* SPDX-License-Identifier: GPL-2.0 */'
later='/* SPDX-License-Identifier: GPL-2.0-or-later */'
try() {	# RULE FILE CONTENT EXPECTED-STATUS
	printf '%b' "$3" >"$tmp/$2"
	if "$here/rules.py" "$1" "$tmp" >/dev/null 2>&1; then rc=0; else rc=1; fi
	if [ $rc != "$4" ]; then
		echo "rule $1 on $2: status $rc, not $4"
		bad=1
	fi
	rm -f "$tmp/$2"
}
store=tools/libckpt/store/a.c
try spdx $store "int a;\n" 1
try spdx kmod/a.c "$later\n" 1
try spdx kmod/a.c "$gpl\n" 0
try spdx $store "$later\n" 0
try size $store "$(yes | head -n 801 | tr '\n' '@' | sed 's/@/\\n/g')" 1
try size $store "$(yes | head -n 700 | tr '\n' '@' | sed 's/@/\\n/g')" 0
word=TO; word=${word}DO
try words $store "/* $word: later */\n" 1
try words docs/a.md "$word\n" 1
try words $store "/* done */\nchar t[] = \"/tmp/a.XXXXXX\";\n" 0
try includes $store '#include "nl/nl.h"\n' 1
try includes $store '#include "../nl/nl.h"\n' 1
try includes $store '#include "base/err.h"\n#include "store/b.h"\n' 0
try includes tools/libckpt/flow/a.c '#include "nl/nl.h"\n#include "store/a.h"\n' 0
try includes tools/libckpt/base/a.c '#include "store/a.h"\n' 1
try includes $store '#include "net/if.h"\n' 1
try includes $store '#include <net/if.h>\n' 0
try pure kmod/dirty.c 'static int count;\n' 1
try pure kmod/dirty.c 'static DEFINE_MUTEX(lock);\n' 1
try pure kmod/dirty.c '#include <linux/fs.h>\n' 1
try pure kmod/dirty.c '#include <linux/slab.h>\nstatic const int max = 3;\nint f(int a)\n{\n' 0
try pure kmod/group.c 'static int count;\n' 0
try columns $store "$(printf '%0101d' 1)\n" 1
try columns $store "int a; \n" 1
try columns $store "\tint a;\n" 0
try exec docs/a.sh '#!/bin/sh\n' 1
try quiet kmod/a.c 'static int take(int a)\n{\n\tpr_info("taken\\n");\n}\n' 1
try quiet kmod/a.c 'int take(int a)\n{\n\tWARN_ON(a);\n}\n' 1
try quiet kmod/a.c 'int take(int a)\n{\n\tWARN_ON_ONCE(a);\n}\n' 0
try quiet kmod/a.c 'static int __init ckpt_init(void)\n{\n\tpr_err("no\\n");\n}\n' 0
echo 'int a[1];' >"$tmp/kmod/pte.c"
try faults tests/run/mutants 'untold\tpte.c\ts/a/b/\tstates\n' 1
try faults tests/run/mutants '# Of pages\ntold\tpte.c\ts/a/b/\tstates\n' 0
try faults tests/run/mutants 'told\tpte.c\ts/a[1]/b/\tstates\n' 1
try faults tests/run/mutants 'told\tpte.c\ts/a/b\tstates\n' 1
try faults tests/run/mutants 'told\tgone.c\ts/a/b/\tstates\n' 1
rm "$tmp/kmod/pte.c"
exit $bad
