#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# files-many.sh: a million writes to a million files in one epoch
#
# check: no
# mem: 8192
# timeout: 1800
set -u
CKPT_FILES=1000000 exec build/selftests/files_many_test
