/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The address spaces of a group
 *
 * REFCNT
 * A struct ckpt_mm pins the mm_struct (mmgrab), so its pointer stays unique,
 * but not what is mapped; that is held (mmget) for the length of a round only.
 *
 * LOCKING
 * All of it is under the group's mutex.
 *
 * LIFETIME
 * From the first round that finds a task of the group using the mm to the
 * first that does not: exit, exec, or the task left the group.  One that
 * comes back gets a new cookie.
 */
#ifndef _CKPT_MEMBERS_H
#define _CKPT_MEMBERS_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/pid.h>

#include "dirty.h"
#include "limits.h"

struct ckpt_group;
struct netlink_ext_ack;

/**
 * struct ckpt_mm - an address space and what was taken of it
 * @link: in the group's list, in order of cookie
 * @by_mm: in the table of witness.c
 * @mm: the address space
 * @pid: a thread group that uses it
 * @cookie: unique per mm in a module load
 * @seen: number of the last collection that found it
 * @users: mmget is held (during a round)
 * @flushing: its page tables were changed in this round, the flush is due
 * @merged: KSM may have worked on it, as a take or its tracepoint has seen; it may not any more
 * @probed: uprobes were set in it, as a take has seen
 * @unseen: the last look at the files it maps was put off to the next round
 * @nr_places: how many of @place are there
 * @place: where memory has moved to, and where it was written by force, since the last walk began
 * @writing: forced writes under way that have begun after @last_write; so long @place stays
 * @last_write: number of the last forced write before the address space came
 * @missed: moves and forced writes in the machine that were not heard of until then
 * @witness: the last walk has set up the witness
 * @cleared: another group has cleared bits of it since the last hold of its lock
 * @based: @areas and @tables are those of a complete take
 * @pieces: for that take the lock of the address space was had more than once
 * @flags: CKPT_MM_* of the last round
 * @dirty_pages: reported dirty in the last round
 * @resident_pages: with a page or swap entry in the last round
 * @areas: areas at the last take, to compare with and to dump
 * @tables: page tables at the last take, to compare with
 * @runs: state map of the last round
 * @taken: reported dirty since the epoch began
 * @carry: to be reported dirty by the next complete walk
 */
struct ckpt_mm {
	struct list_head link;
	struct hlist_node by_mm;
	struct mm_struct *mm;
	struct pid *pid;
	u64 cookie;
	u64 seen;
	bool users;
	bool flushing;
	bool merged;
	bool probed;
	bool unseen;
	unsigned int nr_places;
	struct ckpt_range place[CKPT_PLACES_MAX];
	unsigned int writing;
	u64 last_write;
	unsigned long missed;
	bool witness;
	bool cleared;
	bool based;
	bool pieces;
	u32 flags;
	u64 dirty_pages;
	u64 resident_pages;
	struct ckpt_areas areas;
	struct ckpt_tables tables;
	struct ckpt_runs runs;
	struct ckpt_ranges taken;
	struct ckpt_ranges carry;
};

int ckpt_members_update(struct ckpt_group *group, struct netlink_ext_ack *extack);
void ckpt_members_gone(struct ckpt_group *group, struct ckpt_mm *m);
void ckpt_members_free(struct ckpt_mm *m);

#endif
