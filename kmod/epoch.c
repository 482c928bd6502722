// SPDX-License-Identifier: GPL-2.0
/*
 * Two-phase epochs of a group
 */
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/netlink.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include "epoch.h"
#include "events.h"
#include "files.h"
#include "group.h"
#include "limits.h"
#include "members.h"
#include "netlink.h"
#include "pagewalk.h"
#include "tlb.h"

/**
 * ckpt_epoch_init - the state before the first epoch
 * @epoch: zeroed memory
 */
void ckpt_epoch_init(struct ckpt_epoch *epoch)
{
	INIT_LIST_HEAD(&epoch->mms);
	ckpt_told_init(&epoch->told);
}

/* Open epochs of all groups. */
static atomic_t nr_open = ATOMIC_INIT(0);

/* --- rounds --- */

/*
 * Hold what an mm maps until the flush, and not before its walk: memory, files and the binary of
 * one that ends are held with it.  One that nobody uses any more goes.
 */
static bool hold_users(struct ckpt_group *group, struct ckpt_mm *m)
{
	bool held = mmget_not_zero(m->mm);

	m->users = held;
	if (!held)
		ckpt_members_gone(group, m);
	return held;
}

/* One flush for all address spaces, then let go of them. */
static void flush_and_release(struct ckpt_epoch *epoch)
{
	struct ckpt_mm *m;
	bool due = false;

	list_for_each_entry(m, &epoch->mms, link)
		due |= m->flushing;
	if (due)
		ckpt_tlb_flush();
	list_for_each_entry(m, &epoch->mms, link) {
		if (m->flushing)
			dec_tlb_flush_pending(m->mm);
		m->flushing = false;
		/* the last one unmaps all of it, which is not for a round to wait for */
		if (m->users)
			mmput_async(m->mm);
		m->users = false;
	}
}

/* The next walks tell what was taken again. */
static void carry_taken(struct ckpt_epoch *epoch)
{
	struct ckpt_mm *m;

	list_for_each_entry(m, &epoch->mms, link)
		ckpt_ranges_merge(&m->carry, &m->taken, CKPT_RANGES_MAX);
}

static int walk_round(struct ckpt_group *group, bool final, struct netlink_ext_ack *extack)
{
	struct ckpt_epoch *epoch = &group->epoch;
	struct ckpt_mm *m, *next;
	int err;

	err = ckpt_members_update(group, extack);
	if (err)
		return err;
	epoch->dirty_pages = 0;
	epoch->resident_pages = 0;
	list_for_each_entry_safe(m, next, &epoch->mms, link) {
		if (!hold_users(group, m))
			continue;
		err = ckpt_walk_mm(m, final, &epoch->told);
		if (err)
			break;
		epoch->dirty_pages += m->dirty_pages;
		epoch->resident_pages += m->resident_pages;
	}
	flush_and_release(epoch);
	ckpt_told_free(&epoch->told);
	if (err == -EINTR)
		NL_SET_ERR_MSG(extack, "epoch: the walk was interrupted by a signal");
	else if (err)
		NL_SET_ERR_MSG(extack, "epoch: no memory for the walk");
	epoch->taken_pages += epoch->dirty_pages;
	return err;
}

/*
 * Memory before files: a page written through a mapping after the walk is in
 * the next round's, and its inode is suspect in this one's already.
 */
static int take_round(struct ckpt_group *group, bool final, struct netlink_ext_ack *extack)
{
	int err;

	group->epoch.round++;
	err = walk_round(group, final, extack);
	if (!err)
		ckpt_files_take(group->files, final);
	return err;
}

/* --- the two ends --- */

/* The runs of the last round are for dumps, and dumps are for open epochs. */
static void close_epoch(struct ckpt_epoch *epoch)
{
	struct ckpt_mm *m;

	list_for_each_entry(m, &epoch->mms, link)
		ckpt_runs_free(&m->runs);
	epoch->owner_net = NULL;
	epoch->owner_portid = 0;
	WRITE_ONCE(epoch->open, false);
	atomic_dec(&nr_open);
}

static void merge_back(struct ckpt_group *group)
{
	carry_taken(&group->epoch);
	ckpt_files_abort(group->files);
	close_epoch(&group->epoch);
}

/* The owner does not know what the epoch took: the next round tells all of it. */
static void retell(struct ckpt_group *group)
{
	carry_taken(&group->epoch);
	ckpt_files_retake(group->files);
}

static bool owns(const struct ckpt_epoch *epoch, const struct net *net, u32 portid)
{
	return epoch->open && epoch->owner_net == net && epoch->owner_portid == portid;
}

/* Refuse what is not the owner's, or not of the open epoch. */
static int check_owner(const struct ckpt_epoch *epoch, const struct net *net, u32 portid,
		       struct netlink_ext_ack *extack)
{
	if (!epoch->open) {
		NL_SET_ERR_MSG(extack, "epoch: none is open, begin one first");
		return -EINVAL;
	}
	if (!owns(epoch, net, portid)) {
		NL_SET_ERR_MSG(extack, "epoch: it belongs to another socket");
		return -EBUSY;
	}
	return 0;
}

static int check_number(const struct ckpt_epoch *epoch, u64 number,
			struct netlink_ext_ack *extack)
{
	if (epoch->number == number)
		return 0;
	NL_SET_ERR_MSG(extack, "epoch: the number is not that of the open epoch");
	return -ESTALE;
}

/**
 * ckpt_epoch_begin - open an epoch and take its first round
 * @group: the group, locked
 * @net: network namespace of the caller's socket
 * @portid: its port; the socket owns the epoch from now on
 * @extack: where the sentence of a refusal goes
 *
 * Context: sleeps.
 * Return: 0 or a negative errno; on failure no epoch is open and nothing that
 * was seen is lost.
 */
int ckpt_epoch_begin(struct ckpt_group *group, const struct net *net, u32 portid,
		     struct netlink_ext_ack *extack)
{
	struct ckpt_epoch *epoch = &group->epoch;
	int err;

	lockdep_assert_held(&group->lock);
	if (ckpt_group_state(group) == CKPT_GROUP_GONE) {
		NL_SET_ERR_MSG(extack, "epoch-begin: the group's cgroup was removed");
		return -ENODEV;
	}
	if (epoch->open) {
		NL_SET_ERR_MSG(extack, "epoch-begin: an epoch is open already");
		return -EBUSY;
	}
	epoch->number++;
	epoch->round = 0;
	epoch->taken_pages = 0;
	epoch->owner_net = net;
	epoch->owner_portid = portid;
	WRITE_ONCE(epoch->open, true);
	atomic_inc(&nr_open);
	err = take_round(group, false, extack);
	if (err)
		merge_back(group);
	return err;
}

/**
 * ckpt_epoch_next - take one more round
 * @group: the group, locked
 * @net: network namespace of the caller's socket
 * @portid: its port
 * @flags: CKPT_EPOCH_*
 * @extack: where the sentence of a refusal goes
 *
 * Context: sleeps.
 * Return: 0 or a negative errno; after a failed walk the epoch stays open for
 * its owner to try again or abort, and what it took is told again.
 */
int ckpt_epoch_next(struct ckpt_group *group, const struct net *net, u32 portid, u32 flags,
		    struct netlink_ext_ack *extack)
{
	int err;

	lockdep_assert_held(&group->lock);
	err = check_owner(&group->epoch, net, portid, extack);
	if (err)
		return err;
	err = take_round(group, flags & CKPT_EPOCH_FINAL, extack);
	if (err)
		retell(group);
	return err;
}

/**
 * ckpt_epoch_untold - the reply to a round could not be sent
 * @group: the group, locked; ckpt_epoch_begin or _next has just returned 0
 *
 * Its owner may not know of the round, and may go on with the epoch all the
 * same, even commit it.  So all that was taken since begin is told again, by the
 * next round; after the first round, no epoch is open.
 *
 * Context: sleeps.
 */
void ckpt_epoch_untold(struct ckpt_group *group)
{
	lockdep_assert_held(&group->lock);
	if (group->epoch.round == 1)
		merge_back(group);
	else
		retell(group);
}

/**
 * ckpt_epoch_commit - what was taken is durable: forget it
 * @group: the group, locked
 * @net: network namespace of the caller's socket
 * @portid: its port
 * @number: the open epoch's
 * @id: CKPT_ID_LEN bytes, the checkpoint it is in
 * @extack: where the sentence of a refusal goes
 *
 * Return: 0 or a negative errno; then nothing is changed.
 */
int ckpt_epoch_commit(struct ckpt_group *group, const struct net *net, u32 portid, u64 number,
		      const u8 *id, struct netlink_ext_ack *extack)
{
	struct ckpt_epoch *epoch = &group->epoch;
	struct ckpt_mm *m;
	int err;

	lockdep_assert_held(&group->lock);
	err = check_owner(epoch, net, portid, extack) ?: check_number(epoch, number, extack);
	if (err)
		return err;
	list_for_each_entry(m, &epoch->mms, link)
		ckpt_ranges_free(&m->taken);
	ckpt_files_commit(group->files);
	ckpt_events_committed(group);
	memcpy(epoch->id, id, CKPT_ID_LEN);
	epoch->taken_pages = 0;
	close_epoch(epoch);
	return 0;
}

/**
 * ckpt_epoch_abort - what was taken is not durable: merge it back
 * @group: the group, locked
 * @net: network namespace of the caller's socket
 * @portid: its port
 * @number: the open epoch's
 * @extack: where the sentence of a refusal goes
 *
 * Context: sleeps.
 * Return: 0 or a negative errno; then nothing is changed.
 */
int ckpt_epoch_abort(struct ckpt_group *group, const struct net *net, u32 portid, u64 number,
		     struct netlink_ext_ack *extack)
{
	int err;

	lockdep_assert_held(&group->lock);
	err = check_owner(&group->epoch, net, portid, extack) ?:
	      check_number(&group->epoch, number, extack);
	if (err)
		return err;
	merge_back(group);
	return 0;
}

/**
 * ckpt_epoch_any - is an epoch of any group open?
 *
 * For the end of a socket, which is none of ours as a rule: one that began an
 * epoch has had its answer, so it is counted.
 */
bool ckpt_epoch_any(void)
{
	return atomic_read(&nr_open);
}

/**
 * ckpt_epoch_owned - may the group have an epoch of this socket?
 * @group: the group, not locked
 * @net: network namespace of the socket
 * @portid: its port
 *
 * For the end of a socket: what it began has returned by then.  So sockets of
 * others need not wait for a walk.
 */
bool ckpt_epoch_owned(const struct ckpt_group *group, const struct net *net, u32 portid)
{
	/* data_race: that of our socket does not change any more */
	return data_race(owns(&group->epoch, net, portid));
}

/**
 * ckpt_epoch_owner_gone - a socket was closed: abort what it had open
 * @group: the group, locked
 * @net: network namespace of the socket
 * @portid: its port
 *
 * Context: sleeps.
 */
void ckpt_epoch_owner_gone(struct ckpt_group *group, const struct net *net, u32 portid)
{
	lockdep_assert_held(&group->lock);
	if (owns(&group->epoch, net, portid))
		merge_back(group);
}

/**
 * ckpt_epoch_destroy - the group goes: abort, forget its address spaces
 * @group: the group, locked
 */
void ckpt_epoch_destroy(struct ckpt_group *group)
{
	struct ckpt_mm *m, *next;

	lockdep_assert_held(&group->lock);
	if (group->epoch.open)
		merge_back(group);
	list_for_each_entry_safe(m, next, &group->epoch.mms, link)
		ckpt_members_free(m);
}
