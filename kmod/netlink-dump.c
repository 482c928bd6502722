// SPDX-License-Identifier: GPL-2.0
/*
 * The dumps of a round: pages and inodes
 *
 * A dump belongs to one round: when the next round comes, or the epoch ends,
 * while it is being read, it fails with EAGAIN and nothing stale is told.
 */
#include <linux/netlink.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <net/genetlink.h>

#include "files.h"
#include "group.h"
#include "members.h"
#include "netlink-parts.h"
#include "pageset.h"

/**
 * struct dump - where a dump stands; lives in cb->ctx
 * @group: one reference held, NULL before the first call
 * @epoch: the round it belongs to
 * @round: the same
 * @area: index of the area told next, in the mm with @cookie
 * @cookie: the mm told next, or the first one after it
 * @run: index of the run told next, in the area; or of the inode told next
 */
struct dump {
	struct ckpt_group *group;
	u64 epoch;
	u64 cookie;
	u64 run;
	u32 round;
	u32 area;
};

static struct dump *dump_of(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct dump) > sizeof(cb->ctx));
	return (struct dump *)cb->ctx;
}

/*
 * The first call checks and finds the group (a start function could not send
 * a sentence); every later one finds it in the dump.  Returns it locked.
 */
static struct ckpt_group *dump_lock(struct netlink_callback *cb)
{
	struct dump *d = dump_of(cb);
	struct ckpt_epoch *epoch;
	int err;

	if (d->group) {
		mutex_lock(&d->group->lock);
	} else {
		if (!ckpt_netlink_allowed(cb->skb, cb->extack))
			return ERR_PTR(-EPERM);
		d->group = ckpt_netlink_group(ckpt_dump_attrs(cb), cb->extack);
		if (IS_ERR(d->group))
			return ERR_CAST(xchg(&d->group, NULL));
		mutex_lock(&d->group->lock);
		d->epoch = d->group->epoch.number;
		d->round = d->group->epoch.round;
	}
	epoch = &d->group->epoch;
	if (!d->group->dead && epoch->open && epoch->number == d->epoch &&
	    epoch->round == d->round)
		return d->group;
	if (d->group->dead) {
		err = -ENOENT;
		NL_SET_ERR_MSG(cb->extack, "ckpt: the group was just removed");
	} else if (epoch->open) {
		err = -EAGAIN;
		NL_SET_ERR_MSG(cb->extack, "dump: a new round was taken, dump again");
	} else {
		err = -EINVAL;
		NL_SET_ERR_MSG(cb->extack, "dump: no epoch is open, begin one first");
	}
	mutex_unlock(&d->group->lock);
	return ERR_PTR(err);
}

/**
 * ckpt_dump_done - end a dump, read to its end or not
 * @cb: the dump
 *
 * Return: 0.
 */
int ckpt_dump_done(struct netlink_callback *cb)
{
	ckpt_group_put(dump_of(cb)->group);
	return 0;
}

/* --- pages --- */

static int put_mm(struct sk_buff *skb, const struct ckpt_mm *m)
{
	struct pid_namespace *ns = task_active_pid_ns(current);

	if (nla_put_u64_64bit(skb, CKPT_A_MM_COOKIE, m->cookie, CKPT_A_PAD) ||
	    nla_put_u32(skb, CKPT_A_MM_PID, ns ? pid_nr_ns(m->pid, ns) : 0) ||
	    nla_put_u32(skb, CKPT_A_MM_FLAGS, m->flags))
		return -EMSGSIZE;
	return 0;
}

static int put_area(struct sk_buff *skb, const struct ckpt_area *area)
{
	if (nla_put_u64_64bit(skb, CKPT_A_AREA_START, area->start, CKPT_A_PAD) ||
	    nla_put_u64_64bit(skb, CKPT_A_AREA_END, area->end, CKPT_A_PAD) ||
	    nla_put_u64_64bit(skb, CKPT_A_AREA_PGOFF, area->pgoff, CKPT_A_PAD) ||
	    nla_put_u64_64bit(skb, CKPT_A_AREA_DEV, area->dev, CKPT_A_PAD) ||
	    nla_put_u64_64bit(skb, CKPT_A_AREA_INO, area->ino, CKPT_A_PAD) ||
	    nla_put_u32(skb, CKPT_A_AREA_FLAGS, area->flags))
		return -EMSGSIZE;
	return 0;
}

/* As many runs as fit; all told when *@run reaches the area's number. */
static int put_runs(struct sk_buff *skb, const struct ckpt_mm *m, const struct ckpt_area *area,
		    u64 *run)
{
	u64 left = area->nr_runs - *run;
	int room = skb_tailroom(skb) - NLA_HDRLEN;

	if (!left)
		return 0;
	left = min_t(u64, left, room / (int)sizeof(struct ckpt_run));
	/* The length of an attribute is 16 bits. */
	left = min_t(u64, left, (U16_MAX - NLA_HDRLEN) / sizeof(struct ckpt_run));
	if (room <= 0 || !left)
		return -EMSGSIZE;
	if (nla_put(skb, CKPT_A_RUNS, left * sizeof(struct ckpt_run),
		    &m->runs.run[area->run + *run]))
		return -EMSGSIZE;
	*run += left;
	return 0;
}

/* One message: an mm alone, or one area with some of its runs. */
static int put_page_message(struct sk_buff *skb, struct netlink_callback *cb,
			    const struct ckpt_mm *m, const struct ckpt_area *area)
{
	void *head = ckpt_netlink_put(skb, cb, CKPT_CMD_PAGE_DUMP);
	u64 run = dump_of(cb)->run;

	if (!head)
		return -EMSGSIZE;
	if (put_mm(skb, m) || (area && (put_area(skb, area) || put_runs(skb, m, area, &run)))) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	dump_of(cb)->run = run;
	return 0;
}

/* Return: 0 when the mm is told, -EMSGSIZE when the buffer is full. */
static int tell_mm(struct sk_buff *skb, struct netlink_callback *cb, const struct ckpt_mm *m)
{
	struct dump *d = dump_of(cb);
	const struct ckpt_area *area;
	int err;

	/* Nothing is known of its areas in this round, or it has none. */
	if ((m->flags & (CKPT_MM_BUSY | CKPT_MM_OVERFLOW)) || !m->areas.nr)
		return put_page_message(skb, cb, m, NULL);
	while (d->area < m->areas.nr) {
		area = &m->areas.area[d->area];
		err = put_page_message(skb, cb, m, area);
		if (err)
			return err;
		if (d->run >= area->nr_runs) {
			d->area++;
			d->run = 0;
		}
	}
	return 0;
}

/**
 * ckpt_page_dump - tell the next part of the round's areas and runs
 * @skb: where it goes
 * @cb: the dump
 *
 * Return: bytes, 0 at the end, or a negative errno.
 */
int ckpt_page_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump *d = dump_of(cb);
	struct ckpt_group *group = dump_lock(cb);
	const struct ckpt_mm *m;
	int err = 0;

	if (IS_ERR(group))
		return PTR_ERR(group);
	list_for_each_entry(m, &group->epoch.mms, link) {
		if (m->cookie < d->cookie)
			continue;
		if (m->cookie > d->cookie) {
			d->cookie = m->cookie;
			d->area = 0;
			d->run = 0;
		}
		err = tell_mm(skb, cb, m);
		if (err)
			goto unlock;
		d->cookie++;
		d->area = 0;
		d->run = 0;
	}
unlock:
	mutex_unlock(&group->lock);
	/* A full buffer is no error unless not one message fitted. */
	return err && !(err == -EMSGSIZE && skb->len) ? err : skb->len;
}

/* --- inodes --- */

static int put_change(struct sk_buff *skb, struct netlink_callback *cb,
		      const struct ckpt_change *change, const struct ckpt_pageset *pages)
{
	void *head = ckpt_netlink_put(skb, cb, CKPT_CMD_INODE_DUMP);

	if (!head)
		return -EMSGSIZE;
	if (nla_put_u64_64bit(skb, CKPT_A_INODE_DEV, change->dev, CKPT_A_PAD) ||
	    nla_put_u64_64bit(skb, CKPT_A_INODE_INO, change->ino, CKPT_A_PAD) ||
	    nla_put_u32(skb, CKPT_A_INODE_GENERATION, change->generation) ||
	    nla_put_u32(skb, CKPT_A_INODE_MASK, change->mask) ||
	    nla_put_u32(skb, CKPT_A_INODE_FLAGS, change->flags) ||
	    (pages && nla_put(skb, CKPT_A_INODE_RANGES, pages->nr * sizeof(pages->range[0]),
			      pages->range))) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return 0;
}

/**
 * ckpt_inode_dump - tell the next part of the round's inodes
 * @skb: where it goes
 * @cb: the dump
 *
 * Return: bytes, 0 at the end, or a negative errno.
 */
int ckpt_inode_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump *d = dump_of(cb);
	struct ckpt_group *group = dump_lock(cb);
	const struct ckpt_pageset *pages;
	struct ckpt_change change;
	int err = 0;

	if (IS_ERR(group))
		return PTR_ERR(group);
	while (!err) {
		err = ckpt_files_round_get(group->files, d->run, &change, &pages);
		if (!err)
			err = put_change(skb, cb, &change, pages);
		if (!err)
			d->run++;
	}
	mutex_unlock(&group->lock);
	if (err == -ENOENT || (err == -EMSGSIZE && skb->len))
		return skb->len;
	return err;
}
