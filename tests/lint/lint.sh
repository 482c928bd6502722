#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lint.sh: look at the sources; prints one TAP line per check
#
# A file that passed a slow check is not looked at again until something changes of all that
# the check reads; the names in lint/ of the cache are hashes over that.
set -uo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
cd "$repo" || exit 1
. tests/run/tap.sh
stamps=${CKPT_CACHE:-$HOME/.cache/ckpt}/lint
log=$repo/build/lint/log
mkdir -p "$stamps" "${log%/*}"
: >"$log"
say() { echo "$*" | tee -a "$log"; }
report() {	# NAME STATUS OUTPUT
	if [ "$2" = 0 ]; then
		say "ok - lint $1"
	else
		say "not ok - lint $1"
		sed 's/^/# /' <<<"$3" | head -n 60
	fi
}
list() {
	git ls-files -co --exclude-standard -- "$@" | while read -r f; do
		[ ! -f "$f" ] || echo "$f"
	done
}

# per_file NAME TOOL READER COMMAND FILE...: COMMAND with each file, passes remembered; READER
# prints what is read of a file, TOOL is what else the answer depends on
per_file() {
	local name=$1 tool=$2 reader=$3 command=$4 out

	shift 4
	out=$(printf '%s\n' "$@" | tool=$tool reader=$reader name=$name command=$command \
		stamps=$stamps xargs -r -P "$(nproc)" -n 1 bash -c '
			set -o pipefail
			key=$({ echo "$tool $name $command $1"; cat "$1"; $reader "$1"; } |
				sha256sum) || { echo "$1: cannot be read"; exit 1; }
			stamp=$stamps/${key%% *}
			[ ! -e "$stamp" ] || exec touch "$stamp"
			if out=$($command "$1" 2>&1); then
				: >"$stamp"
			else
				echo "$out"
				exit 1
			fi' -)
	report "$name" $? "$out"
}

# once NAME INPUT COMMAND...: COMMAND, unless it has passed with all that INPUT is
once() {
	local name=$1 out= rc=0 key stamp

	key=$(sha256sum <<<"$1 $2")
	stamp=$stamps/${key%% *}
	shift 2
	if [ -e "$stamp" ]; then
		touch "$stamp"
	else
		out=$("$@" 2>&1) || rc=$?
		[ $rc != 0 ] || : >"$stamp"
	fi
	report "$name" $rc "$out"
}

for rule in spdx size words includes pure columns exec quiet faults; do
	out=$(tests/lint/rules.py $rule)
	report "$rule" $? "$out"
done
out=$(tests/lint/rules-test.sh)
report "of the lint rules themselves" $? "$out"
out=$(tests/lint/uapi-test.sh 2>&1)
report "of the netlink contract" $? "$out"
out=$(tests/lint/counting-test.sh)
report "of the counting of test cases" $? "$out"

scripts() { list '*.sh' tests/vm/runner .ci/run tests/kunit/init ':!*.py'; }
out=$(scripts | while read -r f; do
	case $(head -n 1 "$f") in
	*busybox*) busybox sh -n "$f" ;;
	*/sh) sh -n "$f" ;;
	*) bash -n "$f" ;;
	esac || echo "$f: syntax"
done 2>&1)
report "shell syntax" "${#out}" "$out"

mapfile -t tools_c < <(list 'tools/*.c' 'tests/unit/*.c' 'tests/selftests/*.c' 'tests/audit/*.c' \
	'tests/bench/*.c' 'tests/workloads/*.c')
mapfile -t kernel_c < <(list 'kmod/*.[ch]' 'tests/kunit/*.[ch]' ':!kmod/compat/probes')
mapfile -t uapi_h < <(list 'uapi/*.h')
mapfile -t tools_all < <(list 'tools/*.[ch]' 'tests/unit/*.[ch]' 'tests/selftests/*.[ch]' \
	'tests/audit/*.[ch]' 'tests/bench/*.[ch]' 'tests/workloads/*.[ch]')
flags="-std=gnu11 -D_GNU_SOURCE= -D_FILE_OFFSET_BITS=64 -Iuapi -Itools/libckpt -Itests/unit \
-Itests/selftests -Itests/bench $(pkg-config --cflags libnl-genl-3.0 libzstd libcrypto json-c)"

if [ ${#tools_c[@]} -gt 0 ]; then
	# sparse has no __has_include, so glibc hides the newer fields of struct statx from it
	statx="-D__GLIBC__=2 -D__statx_defined=1 -D__statx_timestamp_defined=1"
	# nor does it know these builtins
	cpu="-D__builtin_cpu_supports(x)=0 -D__builtin_ia32_crc32di(a,b)=((a)^(b))"
	cpu="$cpu -D__builtin_ia32_crc32qi(a,b)=((a)^(b))"
	with_headers="gcc -E -C $flags"
	per_file sparse "$(sparse --version)" "$with_headers" "sparse -Wsparse-error \
-Wno-unknown-attribute $statx $cpu -include linux/stat.h $flags" "${tools_c[@]}"
	tidy=$(clang-tidy --version | grep version; cat tests/lint/{clang-tidy.yaml,tidy.sh})
	per_file clang-tidy "$tidy" "$with_headers" "tests/lint/tidy.sh $flags -- " "${tools_c[@]}"
fi
source=$(tests/setup/linux-source.sh)
checkpatch=$(cat "$source"/scripts/{checkpatch.pl,const_structs.checkpatch,spelling.txt} |
	sha256sum)
perl="$source/scripts/checkpatch.pl --no-tree --terse --show-types --quiet --no-summary \
--max-line-length=100 -f"
both=UNNECESSARY_ELSE,FILE_PATH_CHANGES,SPLIT_STRING,MACRO_ARG_REUSE,EMBEDDED_FUNCTION_NAME
both=$both,CONST_STRUCT,LINE_SPACING
# user space has no kernel types, macros or helpers
user=$both,NAKED_SSCANF,QUOTED_WHITESPACE_BEFORE_NEWLINE,SPACING,PREFER_KERNEL_TYPES
user=$user,PREFER_FALLTHROUGH,SSCANF_TO_KSTRTO,VOLATILE,STRLCPY,STRCPY
user=$user,PREFER_DEFINED_ATTRIBUTE_MACRO,CONSTANT_CONVERSION,AVOID_EXTERNS,NEW_TYPEDEFS
user=$user,MACRO_WITH_FLOW_CONTROL,COMPLEX_MACRO,SPDX_LICENSE_TAG,ENOSYS,CONST_READ_MOSTLY
user=$user,STATIC_CONST_CHAR_ARRAY,ARRAY_SIZE,LINUX_VERSION_CODE,BLOCK_COMMENT_STYLE
user=$user,PREFER_PACKED,MISSING_SPACE,ASSIGN_IN_IF
if [ ${#tools_all[@]} -gt 0 ]; then
	per_file checkpatch "$checkpatch" : "$perl --ignore $user" "${tools_all[@]}"
fi
if [ -e kmod/Kbuild ]; then
	# user space has no BIT(), which checkpatch knows of include/uapi/ alone
	per_file "checkpatch of the module" "$checkpatch" : \
		"$perl --strict --ignore $both" "${kernel_c[@]}"
	per_file "checkpatch of the interface" "$checkpatch" : \
		"$perl --strict --ignore $both,BIT_MACRO" "${uapi_h[@]}"
	# what the kernels' headers make of it differs; the newest one's only when asked for
	module=$(list 'kmod/*' 'uapi/linux/*' tests/run/build-kmod.sh | sort | xargs cat)
	for k in 6.1 6.12 $([ "${KERNEL:-}" != newest ] || echo newest); do
		kdir=$(tests/vm/runner/kernel.sh "$k")
		once "sparse of the module on $k" "$kdir $(sparse --version) $module" \
			env KMOD_LINT=1 tests/run/build-kmod.sh "$kdir/headers"
	done
fi
find "$stamps" -type f -mtime +30 -delete
pages=()
[ ! -d docs/man ] || mapfile -t pages < <(list 'docs/man/*')
if [ ${#pages[@]} -gt 0 ]; then
	out=$(mandoc -Tlint -Wwarning "${pages[@]}" 2>&1)
	report "man pages" $? "$out"
fi
say "1..$(grep -cE '^(not )?ok( |$)' "$log")"
tap_record lint "$log" 0
