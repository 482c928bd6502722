#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vm.sh: run one command as root in an emulated machine with a kernel of the cache
usage() {
	cat >&2 <<'U'
usage: vm.sh [OPTION]... -- COMMAND [ARGUMENT]...
  --kernel K          the kernel to boot: 6.1, 6.12, newest, debug (6.1)
  --mem MIB           memory (2048)
  --cpus N            processors (2)
  --timeout SECONDS   the whole run, boot included (300)
  --disk FILE         scratch disk, made when missing and kept; without it a fresh one
  --swap MIB          a swap disk of this size
  --out DIR           a folder the guest sees as /out; output, dmesg, console land there
  --env NAME=VALUE    set in the guest, may be repeated
  --append TEXT       more arguments of the kernel
  --icount N          time by instructions, 2^N ns each, on one processor: steady figures
  --module            build ckpt.ko for that kernel, load it before and unload it after
  --other-module N    build one that speaks version N of the interface: CKPT_KO_OTHER
The guest sees this machine's whole root under a throw-away layer; /scratch is ext4.
Exit status: the command's; 124 timeout; 125 the runner's own error, a dead guest, or a
kernel log with an error in it; 126 the guest died of the emulator alone, try once more.
U
	exit 125
}
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../../.." && pwd)

kernel=6.1 mem=2048 cpus=2 timeout=300 disk= swap= out= module= env=() other= append= icount=
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--mem) mem=$2; shift ;;
	--cpus) cpus=$2; shift ;;
	--timeout) timeout=$2; shift ;;
	--disk) disk=$2; shift ;;
	--swap) swap=$2; shift ;;
	--out) out=$2; shift ;;
	--env) env+=("$2"); shift ;;
	--append) append=$2; shift ;;
	--icount) icount=$2; shift ;;
	--module) module=1 ;;
	--other-module) other=$2; shift ;;
	--) shift; break ;;
	*) usage ;;
	esac
	shift
done
[ $# -gt 0 ] || usage
# its checks cost memory (an eighth is KASAN's alone) and time
boot=120
[ "$kernel" != debug ] || { mem=$((mem + 1536)) timeout=$((timeout * 5)) boot=600; }
# Linux 6.1 forgets for a moment of its boot how many levels its page tables have; KASAN, asked
# in an interrupt just then, takes an address of five levels for none.
[ "$kernel" != debug ] || append="no5lvl $append"

die() { echo "vm: $*" >&2; exit 125; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
out=${out:-$tmp/out}
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/{status,late,dmesg,console,output}
kdir=$("$here/kernel.sh" "$kernel") || exit 125
initramfs=$("$here/initramfs.sh" "$kdir") || die "cannot build the initial file system"
if [ -n "$module" ]; then
	make -s -C "$repo" kmod KDIR="$kdir/headers" >&2 || die "cannot build ckpt.ko for $kernel"
	env+=("CKPT_KO=$repo/build/kmod/$(cat "$kdir/release")/ckpt.ko")
fi
if [ -n "$other" ]; then
	KMOD_GENL_VERSION=$other make -s -C "$repo" kmod KDIR="$kdir/headers" >&2 ||
		die "cannot build ckpt.ko of interface version $other"
	env+=("CKPT_KO_OTHER=$repo/build/kmod/$(cat "$kdir/release")-genl$other/ckpt.ko")
fi

drives=() n=0 letters=abc
add_drive() {	# FILE: append it, its name in the guest goes to $dev
	drives+=(-drive "file=$1,format=raw,if=virtio,cache=unsafe,discard=unmap")
	dev=/dev/vd${letters:n:1}
	n=$((n + 1))
}
disk=${disk:-$tmp/disk}
if [ ! -e "$disk" ]; then
	truncate -s 4G "$disk"
	/sbin/mkfs.ext4 -q -F -m 0 -E lazy_itable_init=1,lazy_journal_init=1 "$disk" ||
		die "cannot make the scratch disk $disk"
fi
add_drive "$disk"
scratch=$dev swapdev=
if [ -n "$swap" ]; then
	truncate -s "${swap}M" "$tmp/swap"
	/sbin/mkswap -q "$tmp/swap" 2>/dev/null
	add_drive "$tmp/swap"
	swapdev=$dev
fi

printf 'repo=%q\nkernel=%q\ndisk=%s\nswap=%s\nload_module=%s\n' \
	"$repo" "$kdir" "$scratch" "$swapdev" "$module" >"$out/boot"
{
	printf 'export CKPT_REPO=%q CKPT_KERNEL=%q CKPT_IN_VM=1\n' "$repo" "$kernel"
	printf 'export CKPT_CACHE=%q\n' "${CKPT_CACHE:-$HOME/.cache/ckpt}"
	for e in "${env[@]}"; do
		printf 'export %s=%q\n' "${e%%=*}" "${e#*=}"
	done
} >"$out/env"
printf '%q ' "$@" >"$out/command"

# The emulation runs without the string-copy shortcuts: they are slower there. The kernel
# boots on one processor and gets the others when it is up: while it patches its own code, a
# second emulated processor may keep a translation of the intermediate state and spin on it.
# Where a boot hangs all the same, before anything of ours runs, it is tried once more.
run_qemu() {
	rm -f "$out"/{started,status,late,dmesg,console}
	# whoever ends this script ends the machine; native tests beside it stop trees, and must not
	# wait for a processor meanwhile
	setpriv --pdeathsig TERM timeout -k 5 "$timeout" \
		setpriv --pdeathsig KILL nice -n 5 qemu-system-x86_64 \
		"${accel[@]}" -machine q35 -cpu max,-erms,-fsrm \
		-smp "$cpus" -m "$mem" -nodefaults -no-user-config -display none -no-reboot \
		-net none -kernel "$kdir/vmlinux" -initrd "$initramfs" \
		-append "console=ttyS0 quiet loglevel=6 panic=-1 cgroup_no_v1=all maxcpus=1 \
tsc=reliable clocksource=tsc no_timer_check rcupdate.rcu_cpu_stall_timeout=120 \
random.trust_cpu=on mitigations=off audit=0 $khz $append" \
		-serial "file:$out/console" \
		-device virtio-serial-pci -chardev file,id=out,path=/proc/self/fd/1 \
		-device virtserialport,chardev=out,name=ckpt.out \
		-virtfs "$root" -virtfs "local,path=$out,mount_tag=out,$security" \
		"${drives[@]}" </dev/null 2>"$tmp/qemu.err" 9>&- &
	local qemu=$! waited=0

	while kill -0 $qemu 2>/dev/null && [ ! -e "$out/started" ]; do
		sleep 0.5
		waited=$((waited + 1))
		if [ $waited -gt $((boot * 2)) ]; then
			kill $qemu
			wait $qemu
			return 126
		fi
	done
	# one that stands still has failed, and does not go on
	while kill -0 $qemu 2>/dev/null; do
		if grep -qas "soft lockup - CPU" "$out/console"; then
			sleep 5
			kill $qemu
			wait $qemu
			return 0
		fi
		sleep 1
	done
	wait $qemu
}
# Told, since what the guest would measure beside other work makes its clock run up to thirty times
# too fast now and then. With --icount its counter is another one, and steady.
accel=(-accel tcg,thread=multi)
khz=
[ -n "$icount" ] || khz=tsc_early_khz=$("$here/tsc-khz.py") || die "cannot measure the clock"
[ -z "$icount" ] || { accel=(-accel tcg,thread=single -icount "shift=$icount"); cpus=1; }
security=security_model=none,multidevs=remap
root="local,path=/,mount_tag=host,readonly=on,$security"
set +e
{
	run_qemu
	rc=$?
	if [ $rc = 126 ]; then
		echo "# the boot hung, once more"
		run_qemu
		rc=$?
	fi
	echo $rc >"$tmp/rc"
} | tee "$out/output"
set -e
rc=$(cat "$tmp/rc")

[ ! -s "$out/late" ] || cat "$out/late"
if [ "$rc" = 126 ]; then
	echo "not ok - the machine did not boot"
	tail -n 15 "$out/console"
	exit 125
fi
if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
	echo "not ok - the guest ran past $timeout s"
	tail -n 15 "$out/console"
	exit 124
fi
if ! "$here/klog.sh" <"$out/console" >"$tmp/klog"; then
	if "$here/stale-int3.sh" <"$out/console"; then
		echo "# the emulator ran a breakpoint that was gone, and the kernel died of it:"
		sed 's/^/# /' "$tmp/klog" | head -n 4
		exit 126
	fi
	echo "not ok - kernel log"
	sed 's/^/# /' "$tmp/klog" | head -n 40
	echo "# the first of them, with what follows it:"
	grep -aF -m 1 -A 40 "$(head -n 1 "$tmp/klog")" "$out/console" | sed 's/^/# /'
	exit 125
fi
if [ ! -s "$out/status" ]; then
	echo "not ok - the guest died before the command ended"
	cat "$tmp/qemu.err" >&2
	tail -n 15 "$out/console"
	exit 125
fi
exit "$(cat "$out/status")"
