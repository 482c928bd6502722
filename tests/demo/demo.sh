#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh: the main job, for a person to follow: make demo [DEMO=vm|nomodule|host|agent]
#
#   vm        a stock Debian kernel with ckpt.ko in QEMU, two boots (the default)
#   nomodule  this machine, without the module: the tracker is "pagemap-scan" (Linux 6.7), or "full"
#   host      this machine, with ckpt.ko loaded (and unloaded at the end)
#   agent     this machine, without the module: an unmodified agent from the npm registry
#
# It is the test of the main job, told to a person (CKPT_DEMO, tests/e2e/lib/assert.sh).
set -euo pipefail
export CKPT_REPO=${CKPT_REPO:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$CKPT_REPO"
mode=${1:-vm}
export CKPT_DEMO=1
with_module=$CKPT_REPO/tests/e2e/010-main-job.sh

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
vm) in_vm ;;
nomodule) need_root; tests/e2e/020-main-job-nomodule.sh ;;
host) on_host ;;
agent) need_root; tests/e2e/012-npm-agent.sh ;;
*) echo "demo: DEMO=$mode is unknown: vm, nomodule, host or agent" >&2; exit 2 ;;
esac
printf '\n== the demo is complete\n'
