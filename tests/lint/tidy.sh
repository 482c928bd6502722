#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tidy.sh: clang-tidy on one file: tidy.sh COMPILER-FLAG... -- FILE
flags=
while [ "$1" != -- ]; do
	flags="$flags $1"
	shift
done
exec clang-tidy --quiet --config-file=tests/lint/clang-tidy.yaml "$2" -- $flags 2>/dev/null
