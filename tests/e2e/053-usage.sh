#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 053-usage.sh: what is wrong with a request is said, and a dry run says what the real one would
# where: native
# module: no
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/output.sh"

group=usage
mkdir -p "$base/root/bin" "$base/root/inner" "$base/cwd" "$base/dirs/usage-cmd" "$base/plain"
at_exit "end_group $group"
at_exit "rmdir '$cgroup_mount/ckpt/$group-2' 2>/dev/null"
at_exit "end_group $group-2"

# Options
ends "an unknown letter" 2 "unknown option '-x';" "$tool" checkpoint -x
ends "unknown letters" 2 "unknown option '-xy';" "$tool" checkpoint -xy
ends "unknown letters after another option" 2 "unknown option '-xy'" "$tool" checkpoint --full -xy
ends "unknown letters after an object" 2 "unknown option '-xy'" "$tool" checkpoint $group -xy
ends "a letter that is that of a long option" 2 "unknown option '-J'" "$tool" ps -J
ends "an unknown word" 2 "unknown option '--frob'" "$tool" restore $group --frob
ends "a dry run of what changes nothing" 2 "unknown option '--dry-run'" "$tool" ps --dry-run
ends "a missing argument" 2 "option '--store' needs an argument" "$tool" log $group --store
for verb in run tag checkpoint; do
	ends "a missing argument of $verb" $([ $verb = run ] && echo 125 || echo 2) \
		"option '--root' needs an argument" "$tool" $verb --root
done
ends "a missing argument of restore" 2 "option '--check' needs" "$tool" restore $group --check
ends "an argument too many" 2 "option '--json' takes no argument" "$tool" ps --json=yes
ends "too many roots" 2 'more than 64 roots' \
	"$tool" tag $group /x $(printf -- '--root / %.0s' {1..65})
ends "too many roots of run" 125 'more than 64 roots' \
	"$tool" run --name $group $(printf -- '--root / %.0s' {1..65}) -- true
ends "two objects for log" 2 'at most one object' "$tool" log a b

# Numbers
for id in '@ 2' '@+2' '@-0' '@0' '@-' '@' '@--2' '@0x2' '@2 ' '@2@3' \
	'@9223372036854775808' '@99999999999999999999' '@-9223372036854775808'; do
	for verb in verify show restore; do
		ends "$verb of '$id'" 2 'names no checkpoint' "$tool" $verb "$group$id"
	done
done
for pid in ' 1' +1 -1 0 1x 2147483648 18446744073709551617 ''; do
	ends "the pid '$pid'" 2 'is no pid' "$tool" checkpoint --pid "$pid" --name $group
done

# The reason of a checkpoint
for why in $'one\n     7  forged' $'\x1b[2J' $'\x7f' $'\xc2\x9b2J' $'tab\t'; do
	ends "a reason with a control character" 2 '--why takes one line' \
		"$tool" checkpoint $group --why "$why"
done

# A store that lacks the group: the advice works
mkdir -p "$base/store"
"$tool" run --name $group --root "$base/root" --private-dir "$base/private" -- sleep 1000 &
ok "a group is started" wait_for 20 started $group
ok "a checkpoint" "$tool" checkpoint $group
said "$tool" log absent
is "a group that is not in the store: exit status" $rc 1
advice=$(sed -n "s/.*run 'ckpt-tool \(log [^']*\)'.*/\1/p" "$base/err")
ends "its advice" 0 '' "$tool" $advice
is "its advice shows what there is" "$(cat "$base/out")" $group

# with both: the dry run ends as the real one, with the same sentence, and neither changes anything
state() {
	find /run/ckpt -name "$group*" ! -name '*.lock' -printf '%p %s %T@\n' | sort
	find "$base/root" "$base/cwd" "$base/dirs" "$base/plain" "$base/private" \
		-printf '%p %y\n' | sort
	find "$cgroup_mount/ckpt" -maxdepth 1 -name "$group*" | sort
}

both() {	# NAME STATUS PATTERN COMMAND VERB ARGUMENT...
	local name=$1 status=$2 pattern=$3 before sentence

	shift 3
	before=$(state)
	ends "$name, dry" "$status" "$pattern" "$tool" "$1" --dry-run "${@:2}"
	sentence=$(cat "$base/err")
	is "$name, dry: nothing has changed" "$(state)" "$before"
	[ "$status" = 0 ] || { ends "$name" "$status" "$pattern" "$tool" "$@"
		is "$name: it is the same sentence" "$(cat "$base/err")" "$sentence"
		is "$name: nothing is left" "$(state)" "$before"; }
}

mkdir "$cgroup_mount/$group-2"
at_exit "rmdir '$cgroup_mount/$group-2'"
both "a cgroup that is none" 2 "'/nonexistent' is no cgroup" tag $group-2 /nonexistent
both "a cgroup without a slash" 2 "'$group-2' is not a cgroup path" tag $group-2 $group-2
both "a name that is taken" 4 "'$group' is taken and alive" tag $group /$group-2
both "a root that is none" 2 "cannot use '/no/such'" tag $group-2 /$group-2 --root /no/such
both "the cgroup of the keepers" 4 'where the keepers' tag $group-2 /ckpt.keeper
both "a group that is fine" 0 '' tag $group-2 /$group-2 --root "$base/cwd"
both "an untag of nothing" 2 "no group '$group-2'" untag $group-2
both "an untag" 0 '' untag $group

run() {	# NAME STATUS PATTERN PRIVATE-DIR ARGUMENT...
	both "$1" "$2" "$3" run --name $group-2 --private-dir "$4" "${@:5}"
}
private=$base/private
echo 'exit 7' >"$base/cwd/usage-cmd"
cp "$base/cwd/usage-cmd" "$base/plain/usage-cmd"
chmod +x "$base/cwd/usage-cmd"
run "a directory as a command" 125 "cannot execute.*: Permission denied" "$private" -- /tmp
run "an empty command" 125 "cannot execute '': No such file" "$private" -- ""
run "a command that is none" 125 "execute '/no/such': No such file" "$private" -- /no/such
run "a name that is taken" 125 "'$group' is taken and alive" "$private" --name $group -- true
run "a private directory in a root" 125 "roots .* and .* overlap" "$base/root/private" \
	--root "$base/root" -- true
not_ok "a private directory in a root: it is not made" test -e "$base/root/private"
run "a private directory that is a root" 125 "overlap" "$base/root" --root "$base/root" -- true
mkdir -p "$private/$group-2"
run "a private directory that holds a root" 125 "overlap" "$private" \
	--root "$private/$group-2" -- true
rmdir "$private/$group-2"
mkdir -p "$base/beside/other"
run "a root beside the private directory" 0 '' "$base/beside" --root "$base/beside/other" -- true
run "a private directory that is a file" 125 "cannot use .*: Not a directory" \
	"$base/cwd/usage-cmd" -- true
run "a private directory whose parent is missing" 125 "cannot make .*: No such file" \
	"$base/no/such" -- true
run "no command of that name in PATH" 125 "execute 'usage-none': No such" "$private" -- usage-none

# PATH: what the dry run finds is what the real one finds
in_path() {	# NAME STATUS PATH: of the command usage-cmd, which ends with 7, from $base/cwd
	local name=$1 status=$2 found=$3
	local cmd=(sh -c 'cd "$1"; PATH=$2; shift 2; exec "$@"' sh "$base/cwd")

	ends "$name" "$status" "$([ "$status" = 7 ] || echo execute)" "${cmd[@]}" "$found" "$tool" \
		run --name $group-2 --private-dir "$private" -- usage-cmd
	ends "$name, dry" "$([ "$status" = 7 ] && echo 0 || echo "$status")" \
		"$([ "$status" = 7 ] || echo execute)" "${cmd[@]}" "$found" "$tool" \
		run --dry-run --name $group-2 --private-dir "$private" -- usage-cmd
}
in_path "an empty first element of PATH" 7 ":/usr/bin:/bin"
in_path "an empty last element" 7 "/usr/bin:/bin:"
in_path "an empty element between others" 7 "/usr/bin::/bin"
in_path "an empty PATH" 7 ""
in_path "a directory of that name first" 7 "$base/dirs:$base/cwd"
in_path "a file that is no program first" 7 "$base/plain:$base/cwd"
in_path "a directory of that name alone" 125 "$base/dirs:/usr/bin"
in_path "a file that is no program alone" 125 "/usr/bin:$base/plain"
in_path "none" 125 "/usr/bin"
done_testing
