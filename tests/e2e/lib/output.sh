# SPDX-License-Identifier: GPL-2.0-or-later
#
# output.sh: what ckpt-tool prints and how it ends; read in (".") after group.sh

# started NAME: the group lives, and who started it has let go of its lock
started() { group_runs "$1" && flock -n "/run/ckpt/$1.lock" true; }

# said COMMAND...: its status in $rc, its output in $base/out, its errors in $base/err
said() {
	rc=0
	"$@" >"$base/out" 2>"$base/err" || rc=$?
}

# ends NAME STATUS PATTERN COMMAND...: the pattern is for standard error, '' for nothing there
ends() {
	local name=$1 status=$2 pattern=$3

	shift 3
	said "$@"
	is "$name: exit status" $rc "$status"
	if [ -n "$pattern" ]; then
		like "$name: the sentence" "$(cat "$base/err")" "$pattern"
		is "$name: one line" "$(wc -l <"$base/err")" 1
	else
		is "$name: no complaint" "$(cat "$base/err")" ""
	fi
}

# document NAME EXPRESSION EXPECTED: of what was said last, one document in UTF-8, which is d
document() {
	local got

	got=$(/usr/bin/python3 -X utf8 - "$base/out" "$2" 2>&1 <<'PY'
import json, sys
data = open(sys.argv[1], "rb").read()
d = json.loads(data.decode("utf-8"))
assert data.endswith(b"\n") and data.count(b"\n") == 1, "one line"
print(eval(sys.argv[2]))
PY
	) || got="no document: ${got##*$'\n'}"
	is "$1" "$got" "$3"
}

has_control() { LC_ALL=C grep -q '[[:cntrl:]]' "$1"; }
