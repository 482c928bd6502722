#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh: the main job, for a person to follow: make demo [DEMO=vm|nomodule|host]
#
#   vm        a stock Debian kernel with ckpt.ko in QEMU, two boots (the default)
#   nomodule  this machine, without the module: the tracker is "full"
#   host      this machine, with ckpt.ko loaded (and unloaded at the end)
set -euo pipefail
export CKPT_REPO=${CKPT_REPO:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$CKPT_REPO"
mode=${1:-vm}
export CKPT_DEMO=1

need_root() {
	[ "$(id -u)" = 0 ] || { echo "demo: $mode works as root only, use sudo" >&2; exit 1; }
}

job() {	# TRACKER: the first boot's part, here
	tracker=$1
	. tests/e2e/lib/assert.sh
	. tests/e2e/lib/group.sh
	. tests/e2e/lib/sizes.sh
	. tests/e2e/lib/main-job.sh
	if [ "${CKPT_BOOT:-1}" = 1 ]; then run_main_job; else run_second_boot; fi
}

in_vm() {
	local disk boot

	mkdir -p build
	disk=$(mktemp -u build/demo-disk.XXXXXX)
	trap 'rm -f "$disk"' EXIT
	for boot in 1 2; do
		echo "== boot $boot of a Debian ${KERNEL:-6.1} kernel with ckpt.ko (emulated: slow)"
		tests/vm/runner/vm.sh --kernel "${KERNEL:-6.1}" --module --timeout 1500 \
			--disk "$disk" --env "CKPT_BOOT=$boot" -- tests/demo/demo.sh in-vm
	done
}

on_host() {
	local module loaded=

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
		loaded=yes
	fi
	(job kmod)
	[ -z "$loaded" ] || rmmod ckpt
}

case $mode in
vm) in_vm ;;
in-vm) job kmod ;;
nomodule) need_root; job full ;;
host) on_host ;;
*) echo "demo: DEMO=$mode is unknown: vm, nomodule or host" >&2; exit 2 ;;
esac
[ "$mode" = in-vm ] || printf '\n== the demo is complete\n'
