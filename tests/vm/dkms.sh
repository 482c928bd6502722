#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dkms.sh: `make install`, then DKMS adds, builds, installs and removes the module; a kernel without
# soft-dirty bits is refused, and so is another processor
#
# All of it happens in a temporary folder, for the kernels whose headers the tests have; nothing is
# loaded. DKMS keeps its key in /var/lib/dkms, so that is another folder for the time.
#
# where: native
# module: no
# timeout: 600
set -u
if [ "${CKPT_DKMS:-}" = "" ]; then
	CKPT_DKMS=$(mktemp -d)
	export CKPT_DKMS
	trap 'rm -rf "$CKPT_DKMS"' EXIT
	mkdir "$CKPT_DKMS/var"
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount --bind "$1/var" /var/lib/dkms && exec "$0"' "$0" "$CKPT_DKMS"
	exit
fi
tmp=$CKPT_DKMS
n=0
check() {	# STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}
same() {	# GOT WANTED NAME
	[ "$1" = "$2" ]
	check $? "$3"
	[ "$1" = "$2" ] || echo "# '$1', not '$2'"
}

version=$(sed -n 's/^CKPT_VERSION := //p' kmod/Kbuild)
same "$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)" "$version" "one version everywhere"
make -s install DESTDIR="$tmp/root" PREFIX=/usr >"$tmp/log" 2>&1
check $? "make install"
for f in usr/sbin/ckpt-tool usr/share/man/man8/ckpt-tool.8 "usr/src/ckpt-$version/dkms.conf"; do
	[ -f "$tmp/root/$f" ]
	check $? "  leaves $f"
done
same "$(ls "$tmp/root")" usr "  and nothing beside usr"
same "$(cd "$tmp/root/usr/src/ckpt-$version" && find kmod uapi -type f | sort)" \
	"$(git ls-files -co --exclude-standard kmod uapi | sort)" "  and every source of the module"

headers=$(tests/vm/runner/kernel.sh 6.1)/headers
newer=$(tests/vm/runner/kernel.sh 6.12)/headers
release_of() {	# HEADERS
	sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' "$1/include/generated/utsrelease.h"
}
release=$(release_of "$headers")
run_dkms() {	# VERB HEADERS [ARCHITECTURE]: its output is in $tmp/log
	dkms "$1" -m ckpt -v "$version" -k "$(release_of "$2")" -a "${3:-x86_64}" \
		--kernelsourcedir "$2" --dkmstree "$tmp/tree" --sourcetree "$tmp/root/usr/src" \
		--installtree "$tmp/lib" --no-depmod >"$tmp/log" 2>&1
}
state() {
	dkms status --dkmstree "$tmp/tree" --sourcetree "$tmp/root/usr/src" \
		--installtree "$tmp/lib" -m ckpt -v "$version" 2>&1
}
explain() {
	sed 's/^/# /' "$tmp/log"
	sed 's/^/# /' "$tmp/tree/ckpt/$version/build/make.log" 2>/dev/null | tail -n 20
}
mkdir -p "$tmp/tree" "$tmp/lib/$release"

# A kernel that was configured without them: its headers, but for two files.
without() {	# FOLDER: has the headers without the option
	cp -as "$(realpath "$headers")" "$1"
	rm -f "$1/.config" "$1/include/generated/autoconf.h"
	grep -v MEM_SOFT_DIRTY "$headers/.config" >"$1/.config"
	grep -v MEM_SOFT_DIRTY "$headers/include/generated/autoconf.h" \
		>"$1/include/generated/autoconf.h"
}
without "$tmp/without"

run_dkms add "$headers" || explain
[[ $(state) == *added* ]]
check $? "dkms add: $(state)"
run_dkms build "$tmp/without"
same $? 77 "dkms build refuses a kernel without MEM_SOFT_DIRTY"
grep -qi BUILD_EXCLUSIVE "$tmp/log"
check $? "  and says that this kernel is excluded"
rm "$tmp/without/.config"
! run_dkms build "$tmp/without"
check $? "it is refused where there is no .config to ask, too"
grep -q 'the kernel lacks CONFIG_MEM_SOFT_DIRTY' "$tmp/tree/ckpt/$version/build/make.log"
check $? "  and the compiler says why" || explain

run_dkms build "$headers" aarch64
same $? 77 "dkms build refuses another processor"
grep -qi 'BUILD_EXCLUSIVE' "$tmp/log"
check $? "  and says that it is excluded"

run_dkms build "$headers" || explain
[[ $(state) == *built* ]]
check $? "dkms build: $(state)"
run_dkms install "$headers" || explain
[[ $(state) == *installed* ]]
check $? "dkms install: $(state)"
ko=$(find "$tmp/lib" -name 'ckpt.ko*')
ko=${ko:-none}
same "${ko#"$tmp/lib/"}" "$release/updates/dkms/ckpt.ko" "  puts the module in its place"
same "$(modinfo -F version "$ko")" "$version" "modinfo: its version"
[[ $(modinfo -F vermagic "$ko") == "$release "* ]]
check $? "  its kernel"
same "$(modinfo -F alias "$ko")" net-pf-16-proto-16-family-ckpt "  the family that loads it"
mkdir -p "$tmp/copy/lib"
cp -r "$tmp/lib" "$tmp/copy/lib/modules"
depmod -b "$tmp/copy" "$release" 2>"$tmp/log"
same "$(modprobe -d "$tmp/copy" -S "$release" --resolve-alias net-pf-16-proto-16-family-ckpt)" \
	ckpt "  by which modprobe finds it"
same "$(modinfo -F license "$ko")" GPL "  its licence"
[ -n "$(modinfo -F description "$ko")" ]
check $? "  a description"
same "$(modinfo -F parm "$ko" | sed 's/:.*//' | sort)" \
	"$(sed -n 's|^What:.*/parameters/||p' docs/abi/sysfs-module-ckpt | sort)" \
	"  every parameter is in docs/abi"
! modinfo -F parm "$ko" | grep -qvE '^[a-z_]+:.+ \([a-z]+\)$'
check $? "  and says what it is"
run_dkms build "$newer" || explain
[[ $(state) == *"$(release_of "$newer"), x86_64: built"* ]]
check $? "dkms build for the newer kernel: $(state | tr '\n' ' ')"
run_dkms remove "$newer" || explain
same "$(state | wc -l)" 1 "  is removed alone"
run_dkms remove "$headers" || explain
same "$(state)" "" "dkms remove"
same "$(find "$tmp/lib" -type f)" "" "  leaves nothing of the module"
[ -z "$(ls "$tmp/tree/ckpt" 2>/dev/null)" ]
check $? "  nor of its builds"
echo "1..$n"
