#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 069-rust.sh: a program in Rust over kill and restore
# where: both
# check: native
# timeout: 900
#
# Threads, channels, locks, sockets on loopback, children.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=rust
program=("$("$CKPT_REPO/tests/setup/programs.sh" rust)/rust_threads")
each=4 spare=3
children='sleep|sha256sum'
run_program
done_testing
