#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 066-nginx.sh: nginx under load over kill and restore
# where: both
# check: native
# timeout: 900
#
# A master and workers, connections that stay, answers that are sent slowly, a proxy by a path,
# files that are stored, a configuration that is read anew.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=nginx
program=("$CKPT_REPO/tests/workloads/programs/nginx_load.py"
	"$("$CKPT_REPO/tests/setup/programs.sh" nginx)/usr/sbin/nginx")
each=3 spare=3
# a page in which the workers agree on who accepts, and one of those that they had before
shared=8192
run_program
done_testing
