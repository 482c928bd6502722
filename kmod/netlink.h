/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The generic netlink door
 */
#ifndef _CKPT_NETLINK_H
#define _CKPT_NETLINK_H

#include <linux/types.h>

#include <linux/ckpt.h>

struct ckpt_group;

int ckpt_netlink_init(void);
void ckpt_netlink_exit(void);
void ckpt_netlink_event(const struct ckpt_group *group, enum ckpt_event event, u64 value);

#endif
