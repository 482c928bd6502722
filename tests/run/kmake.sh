#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kmake.sh: make of a kernel's build folder, with the compiler that this kernel needs
#
# usage: kmake.sh KDIR ARGUMENT...
# kernel.sh leaves a file "toolchain" beside the headers where this machine's compiler will not do.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
kdir=$1
shift
in=()
if [ -e "${kdir%/*}/toolchain" ]; then
	in=("$repo/tests/vm/runner/toolchain.sh" run "$(cat "${kdir%/*}/toolchain")"
		"$repo" "${kdir%/*}" --)
fi
exec "${in[@]}" make -s -C "$kdir" "$@"
