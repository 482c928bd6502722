# SPDX-License-Identifier: GPL-2.0-or-later
#
# journal.sh: steps and journal of the programs in bash, read in (".") with their arguments
#
# The contract is that of journal.py: STEPS MODEL, a line for each step, "final HASH" at the end,
# CKPT_SLOW for what sleeps.
steps=$1 model=$2 running=journal
exec {never}<> <(:)

broken() {
	echo "broken $*" >>journal
	exit 3
}
trap 'broken "line $LINENO: $BASH_COMMAND"' ERR

nap() { read -r -t "$1" -u "$never" _ || true; }	# SECONDS, without a process

for_ms() {	# MS: the argument of a sleep that takes so long, or longer where all does
	local ms=$(($1 * ${CKPT_SLOW:-1}))

	printf '%d.%03d' $((ms / 1000)) $((ms % 1000))
}

wait_for_model() {	# STEP
	until [ "$model" = - ] || [ -e "$model/$1" ]; do
		nap 0.01
	done
}

step_done() {	# STEP WHAT-WAS-SEEN...
	running=$(printf '%s\n' "$running" "${@:2}" | sha256sum)
	running=${running%% *}
	printf '%06d %s\n' "$1" "$running" >>journal
}

all_done() {	# each step has its line, in order
	[ "$(cut -d ' ' -f 1 journal | sha256sum)" = "$(seq -f %06g "$steps" | sha256sum)" ]
	echo "final $running" >>journal
}
