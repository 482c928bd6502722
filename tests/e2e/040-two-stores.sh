#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 040-two-stores.sh: two stores used in turn lose nothing
# check: third
# timeout: 600
#
# A dirty set that one store has consumed is missing in the other: after every change of
# the store the checkpoint must be full, and both newest checkpoints must restore.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=stores
iterations=7
[ -z "${CKPT_FULL:-}" ] || iterations=10
agent=("${small[@]}" --iterations $iterations)
start_reference $group "${agent[@]}"
start_group $group "${agent[@]}"
turns=('a full' 'b full' 'a full' 'a incremental')
[ -z "${CKPT_FULL:-}" ] || turns+=('b full' 'b incremental' 'a full')
for turn in "${turns[@]}"; do
	read -r store kind <<<"$turn"
	ok "the agent gets on" gets_on $group
	take $group --store "$base/store-$store"
	is "store $store, checkpoint $id: kind" "$(json kind "$said")" "$kind"
	is "store $store, checkpoint $id: tracker" "$(json tracker "$said")" kmod
done
reference_ends $group
# one of them by day, since each runs to its end
stores=(b a)
[ -n "${CKPT_FULL:-}" ] || stores=("${stores[$((${CKPT_SEED:-$(date +%-j)} % 2))]}")
for store in "${stores[@]}"; do
	back $group --store "$base/store-$store"
done
done_testing
