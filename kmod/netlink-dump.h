/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dumps of a round, and what they share with the requests
 */
#ifndef _CKPT_NETLINK_DUMP_H
#define _CKPT_NETLINK_DUMP_H

#include <linux/netlink.h>

struct ckpt_group;

/* netlink.c */
bool ckpt_netlink_allowed(const struct sk_buff *skb, struct netlink_ext_ack *extack);
struct ckpt_group *ckpt_netlink_group(struct nlattr **attrs, struct netlink_ext_ack *extack);
void *ckpt_netlink_put(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd);

/* netlink-dump.c */
int ckpt_page_dump(struct sk_buff *skb, struct netlink_callback *cb);
int ckpt_inode_dump(struct sk_buff *skb, struct netlink_callback *cb);
int ckpt_dump_done(struct netlink_callback *cb);

#endif
