/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two-phase epochs of a group
 *
 * An epoch is open from begin to commit or abort.  It belongs to the netlink
 * socket that began it and is aborted when that socket closes.  What its
 * rounds reported dirty is kept per address space until the end: commit
 * forgets it, abort makes the next round report it again.  So does a round that
 * failed, or whose reply could not be sent: the owner knows nothing of it.
 *
 * LOCKING
 * All of it is under the group's mutex.
 */
#ifndef _CKPT_EPOCH_H
#define _CKPT_EPOCH_H

#include <linux/list.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/types.h>

#include <linux/ckpt.h>

#include "told.h"

struct ckpt_group;
struct net;
struct netlink_ext_ack;

/**
 * struct ckpt_epoch - the open or last epoch of a group
 * @number: of this epoch, 0 before the first; only grows
 * @round: walks since begin
 * @open: between begin and commit or abort
 * @owner_net: network namespace of the owner's socket, only compared
 * @owner_portid: its netlink port
 * @id: checkpoint last committed, zeros if none
 * @dirty_pages: reported dirty in the last round
 * @resident_pages: with a page or swap entry in the last round
 * @taken_pages: reported dirty since begin
 * @told: what the round being walked has told of shared inodes
 * @mms: address spaces (struct ckpt_mm) in order of their cookie
 */
struct ckpt_epoch {
	u64 number;
	u32 round;
	bool open;
	const struct net *owner_net;
	u32 owner_portid;
	u8 id[CKPT_ID_LEN];
	u64 dirty_pages;
	u64 resident_pages;
	u64 taken_pages;
	struct ckpt_told told;
	struct list_head mms;
};

/**
 * ckpt_epoch_dirty_share - how much of a group's memory its last round told
 * @epoch: its epoch
 *
 * Return: dirty pages in permille of resident ones, 0 if there are none.
 */
static inline u32 ckpt_epoch_dirty_share(const struct ckpt_epoch *epoch)
{
	if (!epoch->resident_pages)
		return 0;
	return min_t(u64, 1000, div64_u64(epoch->dirty_pages * 1000, epoch->resident_pages));
}

void ckpt_epoch_init(struct ckpt_epoch *epoch);
void ckpt_epoch_destroy(struct ckpt_group *group);

int ckpt_epoch_begin(struct ckpt_group *group, const struct net *net, u32 portid,
		     struct netlink_ext_ack *extack);
int ckpt_epoch_next(struct ckpt_group *group, const struct net *net, u32 portid, u32 flags,
		    struct netlink_ext_ack *extack);
int ckpt_epoch_commit(struct ckpt_group *group, const struct net *net, u32 portid, u64 number,
		      const u8 *id, struct netlink_ext_ack *extack);
int ckpt_epoch_abort(struct ckpt_group *group, const struct net *net, u32 portid, u64 number,
		     struct netlink_ext_ack *extack);
bool ckpt_epoch_any(void);
bool ckpt_epoch_owned(const struct ckpt_group *group, const struct net *net, u32 portid);
void ckpt_epoch_untold(struct ckpt_group *group);
void ckpt_epoch_owner_gone(struct ckpt_group *group, const struct net *net, u32 portid);

#endif
