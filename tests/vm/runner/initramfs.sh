#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# initramfs.sh: the initial file system that mounts this machine's root in the VM
#
# usage: initramfs.sh KERNEL-FOLDER     prints the path of the archive, built when missing
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kdir=${1:?usage: initramfs.sh KERNEL-FOLDER}
modules="virtio_pci virtio_blk virtio_console 9pnet_virtio 9p overlay crc32c_generic ext4"

key=$(cat "$here/init" "$0" /bin/busybox | sha256sum | cut -c1-16)
out=$kdir/initramfs-$key.cpio
if [ ! -e "$out" ]; then
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	mkdir -p "$tmp"/{bin,proc,sys,dev,tmp,host,over,root,modules}
	cp /bin/busybox "$tmp/bin/busybox"
	cp "$here/init" "$tmp/init"
	chmod 755 "$tmp/init"
	# a kernel that has all of it built in has none of them
	: >"$tmp/modules/order"
	# modules.dep lists the modules a module needs, the deepest last
	for m in $modules; do
		line=$(grep -E "/$m\.ko(\.xz)?:" "$kdir/modules/modules.dep") || continue
		for f in $(echo "${line#*:}" | tr ' ' '\n' | tac) "${line%%:*}"; do
			b=$(basename "$f")
			b=${b%.xz}
			[ ! -e "$tmp/modules/$b" ] || continue
			case $f in
			*.xz) xz -dc "$kdir/modules/$f" >"$tmp/modules/$b" ;;
			*) cp "$kdir/modules/$f" "$tmp/modules/$b" ;;
			esac
			echo "$b" >>"$tmp/modules/order"
		done
	done
	(cd "$tmp" && find . | cpio -o -H newc --quiet -R 0:0) >"$out.$$"
	mv "$out.$$" "$out"
fi
echo "$out"
