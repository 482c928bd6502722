#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 100-zdtm.sh: CRIU's own test programs, brought back by us and, beside that, by CRIU
# where: native
# check: no
# timeout: 7200
#
# CKPT_ZDTM is the folder zdtm of a built CRIU tree; docs/testing.md tells how that is made.
# zdtm.list has the programs.  Each prepares something, is captured and brought back, and
# is asked to look at what it has prepared: PASS is its last line then.  CKPT_ZDTM_ONLY has names
# of some, CKPT_ZDTM_MODES some of
#
#   none         nothing happens to it: who does not pass then cannot run on this machine
#   full         one checkpoint of a tree that is given by a pid, and a restore
#   incremental  of a group, the third of three checkpoints
#   criu         one dump and restore of CRIU's
#
# Who is refused by us has run on, and is asked all the same.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"

zdtm=${CKPT_ZDTM:?the folder test/zdtm of a CRIU tree whose programs are built}
read -ra modes <<<"${CKPT_ZDTM_MODES:-none full incremental}"
declare -A verdict
tracker=$(native_tracker) criu=() group=zdtm cgroup=$cgroup_mount/zdtm
chmod 755 "$work"
mkdir -p "$base/folders"
case " ${modes[*]} " in
*" criu "*)
	{ read -r version; read -ra criu; } < <("$CKPT_REPO/tests/bench/native/criu.sh")
	note "CRIU $version"
	;;
esac

program_of() {	# NAME
	local each

	for each in static transition; do
		[ ! -x "$zdtm/$each/$1" ] || { echo "$zdtm/$each/$1"; return; }
	done
	return 1
}

# The options of a program, by the words of the list
options_of() {	# NAME WORD...
	local name=$1 word

	shift
	for word; do
		case $word in
		file) echo "--filename=$name.test" ;;
		dir) echo "--dirname=$name.test" ;;
		both) printf -- '--%s\n' "dirname=$name.dir" "filename=$name.test" ;;
		*) echo "--$word" ;;
		esac
	done
}

# In a cgroup of its own, with no more open than 0 to 2; its pid is $pid once it is ready
start() {	# NAME WORD...: status 1: it does not start
	local name=$1 dir=$base/folders/$1 file options rc=0

	file=$(program_of "$name") || return 1
	mapfile -t options < <(options_of "$@")
	rm -rf "$dir"
	mkdir -m 777 "$dir"
	mkdir -p "$cgroup"
	timeout -k 5 60 setsid bash -c '
		echo $$ >"$1/cgroup.procs"
		cd "$2"
		for fd in /proc/$$/fd/*; do
			[ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"
		done
		exec env -i PATH="$PATH" ENV_00_TEST=x ZDTM_THREAD_BOMB=5 "${@:3}"
	' bash "$cgroup" "$dir" "$file" "--pidfile=$name.pid" "--outfile=$name.out" \
		"${options[@]}" </dev/null >/dev/null 2>&1 || rc=$?
	[ $rc = 0 ] && [ -s "$dir/$name.pid" ] && pid=$(cat "$dir/$name.pid")
}

lives() {	# PID: and is no zombie
	local stat

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	[[ ${stat##*) } != [ZX]* ]]
}

gone() { ! lives "$1"; }

# Whatever is left of it, in its own cgroup or, given by a pid, in the one of the restore
sweep() {
	local each

	for each in "$cgroup" "$cgroup_mount/ckpt/$group"; do
		[ ! -d "$each" ] || echo 1 >"$each/cgroup.kill"
	done
	"$tool" untag "$group" >/dev/null 2>&1 || true
	# below which it may have mounted something
	for each in $(awk -v "at=$base/folders/" 'index($5, at) == 1 { print $5 }' \
		/proc/self/mountinfo | tac); do
		umount -l "$each"
	done
	for each in "$cgroup" "$cgroup_mount/ckpt/$group"; do
		wait_for 10 no_cgroup "$each" || bail "$each cannot be removed"
	done
}

no_cgroup() { [ ! -d "$1" ] || rmdir "$1"; }
at_exit 'sweep'

# Its last line, once it was asked; one that has come back may have another pid
asked() {	# NAME PID
	local out=$base/folders/$1/$1.out

	kill -TERM "$2" 2>/dev/null || { echo "it is gone"; return; }
	wait_for 30 gone "$2" || { echo "it does not end"; return; }
	[ -e "$out" ] || { echo "it died: $(tail -n 1 "$out.inprogress" 2>/dev/null)"; return; }
	tail -n 1 "$out"
}

by_ckpt() {	# NAME full|incremental: it is back, as $pid; or $said why not, status 4: refused
	local rc=0 i stop=()

	if [ "$2" = full ]; then
		said=$("$tool" checkpoint --pid "$pid" --name "$group" --json \
			--root "$base/folders/$1" --stop --tcp repair 2>&1) || return $?
	else
		said=$("$tool" tag "$group" "/${cgroup##*/}" --root "$base/folders/$1" 2>&1) ||
			return $?
		for i in 1 2 3; do
			[ $i != 3 ] || stop=(--stop --tcp repair)
			said=$("$tool" checkpoint "$group" --json "${stop[@]}" 2>&1) || return $?
			sleep 0.1
		done
		[ "$(json tracker "$said") $(json kind "$said")" = "$tracker incremental" ] ||
			{ said="no incremental checkpoint by $tracker: $said"; return 1; }
	fi
	wait_for 10 gone "$pid" || { said="it runs on"; return 1; }
	said=$("$tool" restore "$group" --tcp repair --json 2>&1) ||
		{ said="restore: $said"; return 1; }
	pid=$(json root_pid "$said")
}

by_criu() {	# NAME
	local images=$base/images dir=$base/folders/$1 common

	rm -rf "$images"
	mkdir "$images"
	common=(--images-dir "$images" --shell-job --tcp-established --ext-unix-sk --file-locks
		--link-remap --network-lock skip -v1)
	(cd "$dir" && "${criu[@]}" dump --tree "$pid" "${common[@]}" --log-file dump.log) ||
		{ said=$(criu_says dump); return 4; }
	wait_for 10 not_there "/proc/$pid" || { said="it runs on"; return 1; }
	(cd "$dir" && "${criu[@]}" restore "${common[@]}" --log-file restore.log \
		--restore-detached) || { said=$(criu_says restore); return 1; }
}

not_there() { [ ! -e "$1" ]; }

criu_says() { grep -h Error "$base/images/$1.log" | head -n 2; }

judge() {	# MODE NAME WORD...: its verdict in that mode, and why
	local mode=$1 name=$2 rc=0 said= line

	shift
	group=zdtm-${name//[+_]/-}
	cgroup=$cgroup_mount/$group
	if ! start "$@"; then
		verdict[$name.$mode]="unable it does not start"
		sweep
		return
	fi
	case $mode in
	full | incremental) by_ckpt "$name" "$mode" || rc=$? ;;
	criu) by_criu "$name" || rc=$? ;;
	esac
	line=$(asked "$name" "$pid")
	case $rc.$line in
	0.*PASS*) verdict[$name.$mode]=pass ;;
	0.*) verdict[$name.$mode]="FAIL $line" ;;
	4.*PASS*) verdict[$name.$mode]="refused $said" ;;
	4.*) verdict[$name.$mode]="refused $said; and then: $line" ;;
	*) verdict[$name.$mode]="FAIL $said" ;;
	esac
	sweep
}

programs=()
while read -r name words; do
	case $name in '' | '#'*) continue ;; esac
	[ -z "${CKPT_ZDTM_ONLY:-}" ] || [[ " $CKPT_ZDTM_ONLY " == *" $name "* ]] || continue
	programs+=("$name")
	for mode in "${modes[@]}"; do
		judge "$mode" "$name" $words </dev/null
		note "$name, $mode: ${verdict[$name.$mode]//$'\n'/ }"
	done
done <"$CKPT_REPO/tests/e2e/zdtm.list"

at_least "there are programs" ${#programs[@]} 1
for mode in "${modes[@]}"; do
	passed=0 refused=0 failed=0 unable=0
	for name in "${programs[@]}"; do
		# what it cannot do by itself is nobody's fault
		case ${verdict[$name.none]:-pass}/${verdict[$name.$mode]} in
		pass/pass*) passed=$((passed + 1)) ;;
		pass/refused*) refused=$((refused + 1)) ;;
		pass/*) failed=$((failed + 1)) ;;
		*) unable=$((unable + 1)) ;;
		esac
	done
	note "$mode: $passed passed, $refused refused, $failed failed, $unable cannot run here"
	[ "$mode" = criu ] || is "$mode: what is not refused passes" $failed 0
done
done_testing
