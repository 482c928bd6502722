#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 092-ssh-agent.sh: an ssh-agent and its keys over kill and restore
# where: both
# check: native
# timeout: 900
#
# Its keys are in its memory alone; it is asked to sign by a connection that stays, by new ones, and
# from outside of the tree.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/program.sh"

group=ssh-agent
program=("$CKPT_REPO/tests/workloads/programs/ssh_agent.py")
each=4 spare=3
children='sleep|ssh-keygen|ssh-add'

# Who is outside finds the keys at the socket that was restored; it may just be locked
when_restored() {
	ok "it tells its keys outside of the tree" wait_for $child_seconds tells_keys
}

tells_keys() {
	[[ $(SSH_AUTH_SOCK=$base/$group/workspace/agent ssh-add -l | xargs) == \
		*"ed25519 (ED25519)"*"rsa (RSA)"* ]]
}

run_program
done_testing
