# SPDX-License-Identifier: GPL-2.0-or-later
#
# npm-agent.sh: an unmodified coding agent from the npm registry as a group; read in (".") after
# group.sh
#
# Its model is tests/workloads/model_server.py, inside the group or outside it. Each step that the
# model asks for appends its number to the file `steps` in the workspace: what was lost is missing
# there, what was done twice is there twice.  While there is $base/NAME.hold it answers nothing.
# emulated, it takes a minute or two to begin, and would not wait for an answer that is held back
# while checkpoints are taken
if [ -n "${CKPT_IN_VM:-}" ]; then
	agent_seconds=${agent_seconds:-600}
	export QWEN_CODE_API_TIMEOUT_MS=3600000
fi
agent_dir=$("$CKPT_REPO/tests/setup/agent.sh")
model_server=$CKPT_REPO/tests/workloads/model_server.py

steps_file() { echo "$base/$1/workspace/steps"; }

steps_of() { lines "$(steps_file "$1")"; }

# start_npm_agent NAME STEPS THINK-MS inside|outside: until its first step is done
start_npm_agent() {
	local name=$1 dir=$base/$1 port

	mkdir -p "$dir/workspace" "$dir/home"
	git -C "$dir/workspace" init -q
	port=$dir/port
	if [ "$4" = outside ]; then
		port=$base/$name.port
		"$model_server" --steps "$2" --think-ms "$3" --port-file "$port" \
			--hold "$base/$name.hold" 2>"$base/$name.model" &
		at_exit "kill -9 $! 2>/dev/null"
		disown	# nobody wants to hear that it was killed
		wait_for 60 test -s "$port" || bail "the model does not listen"
	fi
	"$tool" run --name "$name" --root "$dir" --private-dir "$base/private" -- /bin/sh -c '
		if [ "$5" = inside ]; then
			"$4" --steps "$2" --think-ms "$3" --port-file "$7" --hold "$8" &
			until [ -s "$7" ]; do sleep 0.1; done
		fi
		cd "$1/workspace"
		export HOME="$1/home" OPENAI_API_KEY=none OPENAI_MODEL=mock \
			OPENAI_BASE_URL="http://127.0.0.1:$(cat "$7")/v1" PATH="$6:$PATH"
		node "$6/qwen" --auth-type openai -y -p "Do the steps." >"$1/said" 2>&1
		echo "ended with $?" >>"$1/said"
		sleep 1000000' \
		sh "$dir" "$2" "$3" "$model_server" "$4" "$agent_dir" "$port" \
		"$base/$name.hold" \
		>"$base/$name.run" 2>&1 &
	run_pid=$!
	at_exit "end_group $name"
	wait_for "${agent_seconds:-120}" has_lines "$(steps_file "$name")" 1 ||
		bail "$name: the agent does not begin: $(cat "$base/$name.run" "$dir/said" \
			"$base/private/$name/log" 2>&1)"
}

npm_agent_ended() { grep -qs '^ended with' "$base/$1/said"; }

# Every step once and in order, and the agent has said so
npm_agent_ends() {	# NAME STEPS
	ok "$1: the agent ends" wait_for "${agent_seconds:-120}" npm_agent_ended "$1"
	is "$1: every step was done once and in order" "$(paste -sd ' ' "$(steps_file "$1")")" \
		"$(seq -s ' ' "$2")"
	is "$1: the agent ended well and knows it" "$(tail -n 2 "$base/$1/said")" \
		"All $2 steps are done.
ended with 0"
}
