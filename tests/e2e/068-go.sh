#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 068-go.sh: a program in Go over kill and restore
# where: both
# check: native
# timeout: 900
#
# Goroutines, channels, HTTP on loopback, timers, a collector, children.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=go
program=("$("$CKPT_REPO/tests/setup/programs.sh" go)/goroutines")
each=4 spare=3
children='sleep|sha256sum'
run_program
done_testing
