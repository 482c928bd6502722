// SPDX-License-Identifier: GPL-2.0
/*
 * What each request may hold: any other attribute is refused, not ignored
 */
#include <linux/limits.h>
#include <net/netlink.h>

#include <linux/ckpt.h>

#include "events.h"
#include "netlink-parts.h"

/* Longer than a name may be, so that the refusal says what a name is. */
#define NAME	{ .type = NLA_NUL_STRING, .len = NAME_MAX }
#define PATH	{ .type = NLA_NUL_STRING, .len = PATH_MAX - 1 }
#define SHARE	NLA_POLICY_MAX(NLA_U32, CKPT_SHARE_MAX)

const struct nla_policy ckpt_policy_group[CKPT_A_GROUP_NAME + 1] = {
	[CKPT_A_GROUP_NAME] = NAME,
};

const struct nla_policy ckpt_policy_group_new[CKPT_A_GROUP_CGROUP + 1] = {
	[CKPT_A_GROUP_NAME] = NAME,
	[CKPT_A_GROUP_CGROUP] = PATH,
};

const struct nla_policy ckpt_policy_group_set[CKPT_A_CHANGED_INODES_MIN + 1] = {
	[CKPT_A_GROUP_NAME] = NAME,
	[CKPT_A_EVENTS] = NLA_POLICY_MASK(NLA_U32, BIT(CKPT_EVENTS_TASK) - 1),
	[CKPT_A_DIRTY_SHARE_MIN] = SHARE,
	[CKPT_A_MEMORY_SHARE_MIN] = SHARE,
	[CKPT_A_CHANGED_INODES_MIN] = { .type = NLA_U64 },
};

const struct nla_policy ckpt_policy_root[CKPT_A_ROOT_PATH + 1] = {
	[CKPT_A_GROUP_NAME] = NAME,
	[CKPT_A_ROOT_PATH] = PATH,
};

const struct nla_policy ckpt_policy_epoch_next[CKPT_A_EPOCH_FLAGS + 1] = {
	[CKPT_A_GROUP_NAME] = NAME,
	[CKPT_A_EPOCH_FLAGS] = NLA_POLICY_MASK(NLA_U32, CKPT_EPOCH_FINAL),
};

const struct nla_policy ckpt_policy_epoch_commit[CKPT_A_CHECKPOINT_ID + 1] = {
	[CKPT_A_GROUP_NAME] = NAME,
	[CKPT_A_EPOCH] = { .type = NLA_U64 },
	[CKPT_A_CHECKPOINT_ID] = NLA_POLICY_EXACT_LEN(CKPT_ID_LEN),
};

const struct nla_policy ckpt_policy_epoch_abort[CKPT_A_EPOCH + 1] = {
	[CKPT_A_GROUP_NAME] = NAME,
	[CKPT_A_EPOCH] = { .type = NLA_U64 },
};
