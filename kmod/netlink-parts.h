/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the generic netlink door, and what they share
 */
#ifndef _CKPT_NETLINK_PARTS_H
#define _CKPT_NETLINK_PARTS_H

#include <linux/netlink.h>

#include <linux/ckpt.h>

struct ckpt_group;
struct genl_family;
struct genl_info;

/* netlink.c */
extern struct genl_family ckpt_family;
bool ckpt_netlink_allowed(const struct sk_buff *skb, struct netlink_ext_ack *extack);
struct ckpt_group *ckpt_netlink_group(struct nlattr **attrs, struct netlink_ext_ack *extack);
struct ckpt_group *ckpt_netlink_lock(struct sk_buff *skb, struct genl_info *info);
void ckpt_netlink_unlock(struct ckpt_group *group);
void *ckpt_netlink_put(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd);

/* netlink-policy.c; an operation finds no attribute beyond the length of its array */
extern const struct nla_policy ckpt_policy_group[CKPT_A_GROUP_NAME + 1];
extern const struct nla_policy ckpt_policy_group_new[CKPT_A_GROUP_CGROUP + 1];
extern const struct nla_policy ckpt_policy_group_set[CKPT_A_CHANGED_INODES_MIN + 1];
extern const struct nla_policy ckpt_policy_root[CKPT_A_ROOT_PATH + 1];
extern const struct nla_policy ckpt_policy_epoch_next[CKPT_A_EPOCH_FLAGS + 1];
extern const struct nla_policy ckpt_policy_epoch_commit[CKPT_A_CHECKPOINT_ID + 1];
extern const struct nla_policy ckpt_policy_epoch_abort[CKPT_A_EPOCH + 1];

/* netlink-group.c */
int ckpt_netlink_group_new(struct sk_buff *skb, struct genl_info *info);
int ckpt_netlink_group_del(struct sk_buff *skb, struct genl_info *info);
int ckpt_netlink_group_set(struct sk_buff *skb, struct genl_info *info);
int ckpt_netlink_group_get(struct sk_buff *skb, struct genl_info *info);
int ckpt_netlink_group_dump(struct sk_buff *skb, struct netlink_callback *cb);
int ckpt_netlink_root(struct sk_buff *skb, struct genl_info *info);

/* netlink-dump.c */
int ckpt_page_dump(struct sk_buff *skb, struct netlink_callback *cb);
int ckpt_inode_dump(struct sk_buff *skb, struct netlink_callback *cb);
int ckpt_dump_done(struct netlink_callback *cb);

#endif
