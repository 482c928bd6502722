#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh: what ckpt is for, for a person to follow: make demo [DEMO=MODE] [KERNEL=K]
#
#   both      vm, then agent (the default)
#   vm        the main job on a stock Debian kernel with ckpt.ko in QEMU, two boots
#   nomodule  the main job on this machine, by what its kernel notes (Linux 6.7), or by reading all
#   host      the main job on this machine, with ckpt.ko loaded (and unloaded at the end)
#   agent     an unmodified agent from the npm registry, on this machine; with KERNEL= on that
#             kernel with ckpt.ko in QEMU
#
# They are the tests of the same, told to a person (CKPT_DEMO, tests/e2e/lib/assert.sh).
set -euo pipefail
export CKPT_REPO=${CKPT_REPO:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$CKPT_REPO"
mode=${1:-both}
export CKPT_DEMO=1
with_module=$CKPT_REPO/tests/e2e/010-main-job.sh
npm_agent=$CKPT_REPO/tests/e2e/012-npm-agent.sh

need_root() {
	[ "$(id -u)" = 0 ] || { echo "demo: $mode works as root only, use sudo" >&2; exit 1; }
}

in_vm() {
	local boot

	mkdir -p build
	disk=$(mktemp -u build/demo-disk.XXXXXX)
	trap 'rm -f "$disk"' EXIT
	for boot in 1 2; do
		echo "== boot $boot of a Debian ${KERNEL:-6.1} kernel with ckpt.ko (emulated: slow)"
		tests/vm/runner/vm.sh --kernel "${KERNEL:-6.1}" --module --timeout 1500 \
			--disk "$disk" --env "CKPT_BOOT=$boot" --env CKPT_DEMO=1 -- "$with_module"
	done
}

with_agent() {
	if [ -n "${KERNEL:-}" ]; then
		echo "== an agent from the npm registry, Linux $KERNEL with ckpt.ko (emulated)"
		# what it fetches is kept on this machine
		tests/setup/agent.sh >/dev/null
		tests/vm/runner/vm.sh --kernel "$KERNEL" --module --timeout 1500 --mem 3072 \
			--env CKPT_BOOT=1 --env CKPT_DEMO=1 -- "$npm_agent"
	else
		need_root
		echo "== an agent from the npm registry, on this machine"
		"$npm_agent"
	fi
}

on_host() {
	local module

	need_root
	if [ ! -d /sys/kernel/ckpt ]; then
		module=${CKPT_KO:-}
		if [ -z "$module" ]; then
			make -s kmod
			module=build/ckpt.ko
		fi
		insmod "$module" || {
			echo "demo: this kernel cannot load $module, try make demo" >&2
			exit 1
		}
		trap 'rmmod ckpt' EXIT
	fi
	CKPT_BOOT=1 "$with_module"
}

case $mode in
both)
	[ "$(id -u)" = 0 ] || echo "demo: the second half, agent, works as root only" >&2
	in_vm
	KERNEL='' with_agent
	;;
vm) in_vm ;;
nomodule) need_root; tests/e2e/020-main-job-nomodule.sh ;;
host) on_host ;;
agent) with_agent ;;
*) echo "demo: DEMO=$mode is unknown: both, vm, nomodule, host or agent" >&2; exit 2 ;;
esac
printf '\n== the demo is complete\n'
