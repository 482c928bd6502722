// SPDX-License-Identifier: GPL-2.0
/*
 * Events: what comes up in the sets of a group, and in its cgroup
 *
 * A loss happens in the context of whoever changes a file, the end of a cgroup
 * inside its removal, and neither may sleep or wait for a walk.  So both only
 * queue a work item of the group, at once and not at the next take: whoever
 * takes is told by the reply, a listener waits for the event.  The work looks
 * at the state of the group, not at what queued it, so one run tells whatever
 * came up, and each thing once.
 */
#include <linux/cgroup.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/netlink.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>

#include "events.h"
#include "files.h"
#include "fswatch.h"
#include "group.h"
#include "netlink.h"

static struct workqueue_struct *queue;
/* The kernel's own, found by name; it fires under a spinlock. */
static struct tracepoint *removal;

/* Return: the number of changed inodes if that is to be told now, else 0. */
static u64 changed_now(struct ckpt_group *group)
{
	struct ckpt_events *events = &group->events;
	u64 min = events->wanted.changed_inodes, nr = ckpt_files_changed(group->files);

	lockdep_assert_held(&group->lock);
	if (!min || nr < min || events->told_changed)
		return 0;
	WRITE_ONCE(events->told_changed, true);
	return nr;
}

static void look(struct work_struct *work)
{
	struct ckpt_group *group = container_of(work, struct ckpt_group, events.look);
	struct ckpt_events *events = &group->events;
	bool lost_now = false, gone_now = false;
	u64 lost = 0, changed = 0;

	ckpt_layers_look(group);
	mutex_lock(&group->lock);
	if (!group->dead) {
		lost = ckpt_files_lost(group->files);
		lost_now = lost && !events->told_lost;
		gone_now = ckpt_group_state(group) == CKPT_GROUP_GONE && !events->told_gone;
		WRITE_ONCE(events->told_lost, events->told_lost || lost_now);
		WRITE_ONCE(events->told_gone, events->told_gone || gone_now);
		changed = changed_now(group);
	}
	mutex_unlock(&group->lock);
	if (lost_now)
		ckpt_netlink_event(group, CKPT_EVENT_LOST, lost);
	if (gone_now)
		ckpt_netlink_event(group, CKPT_EVENT_GROUP_GONE, 0);
	if (changed)
		ckpt_netlink_event(group, CKPT_EVENT_CHANGED_INODES, changed);
	ckpt_group_put(group);
}

/**
 * ckpt_events_group_init - make a new group ready to be looked at
 * @group: the group
 */
void ckpt_events_group_init(struct ckpt_group *group)
{
	struct ckpt_events *events = &group->events;

	INIT_WORK(&events->look, look);
	INIT_DELAYED_WORK(&events->tell, ckpt_events_task_tell);
	INIT_DELAYED_WORK(&events->beat, ckpt_events_memory_beat);
	INIT_HLIST_NODE(&events->watched);
	events->told_at = jiffies - HZ;
}

/**
 * ckpt_events_group_add - its tasks can be told of
 * @group: the group, complete
 */
void ckpt_events_group_add(struct ckpt_group *group)
{
	ckpt_events_task_add(group);
}

/**
 * ckpt_events_group_del - nothing is told of it any more
 * @group: the group, dead and not locked
 *
 * Context: sleeps until nothing of it runs but work that holds a reference.
 */
void ckpt_events_group_del(struct ckpt_group *group)
{
	mutex_lock(&group->lock);
	ckpt_events_task_set(group, 0, NULL);
	mutex_unlock(&group->lock);
	ckpt_events_task_del(group);
	cancel_delayed_work_sync(&group->events.tell);
	cancel_delayed_work_sync(&group->events.beat);
}

/**
 * ckpt_events_queue - queue a delayed work of a group
 * @work: @tell or @beat of its events
 * @delay: in jiffies
 *
 * Context: any.
 */
void ckpt_events_queue(struct delayed_work *work, unsigned long delay)
{
	queue_delayed_work(queue, work, delay);
}

/**
 * ckpt_events_set - what listeners want to be told of a group from now on
 * @group: the group, locked
 * @wanted: all of it
 * @extack: where the sentence of a refusal goes, may be NULL
 *
 * What is over its threshold already is told, once more if it was told.
 *
 * Context: sleeps.
 * Return: 0 or a negative errno; then nothing is changed.
 */
int ckpt_events_set(struct ckpt_group *group, const struct ckpt_events_wanted *wanted,
		    struct netlink_ext_ack *extack)
{
	struct ckpt_events_wanted *now = &group->events.wanted;
	int err;

	lockdep_assert_held(&group->lock);
	if (wanted->dirty_share > CKPT_SHARE_MAX || wanted->memory_share > CKPT_SHARE_MAX) {
		NL_SET_ERR_MSG(extack, "group-set: a share is 0 to 1000 permille");
		return -ERANGE;
	}
	if (wanted->memory_share && !(ckpt_events_features() & CKPT_FEATURE_MEMORY_SHARE)) {
		NL_SET_ERR_MSG(extack, "group-set: this kernel does not limit memory");
		return -EOPNOTSUPP;
	}
	err = ckpt_events_task_set(group, wanted->tasks, extack);
	if (err)
		return err;
	now->dirty_share = wanted->dirty_share;
	if (now->memory_share != wanted->memory_share) {
		WRITE_ONCE(now->memory_share, wanted->memory_share);
		mod_delayed_work(queue, &group->events.beat, 0);
	}
	if (now->changed_inodes != wanted->changed_inodes) {
		WRITE_ONCE(now->changed_inodes, wanted->changed_inodes);
		ckpt_events_taken(group);
	}
	return 0;
}

/**
 * ckpt_events_look - something may have come up that listeners are told
 * @group: the group, kept alive by the caller
 *
 * Context: any.
 */
void ckpt_events_look(struct ckpt_group *group)
{
	ckpt_group_get(group);
	if (!queue_work(queue, &group->events.look))
		ckpt_group_put(group);
}

/**
 * ckpt_events_lost - a change was lost
 * @group: the group, kept alive by the caller
 *
 * Only the first since the last commit makes work.  A commit forgets what was
 * told before it reads the count, both under the lock that the count was
 * raised under: one of the two sees the other.
 *
 * Context: any; the loss was counted.
 */
void ckpt_events_lost(struct ckpt_group *group)
{
	if (!READ_ONCE(group->events.told_lost))
		ckpt_events_look(group);
}

/**
 * ckpt_events_committed - losses up to the last take are forgotten
 * @group: the group, locked
 *
 * What was lost after it makes the next checkpoint a full one: told anew.
 */
void ckpt_events_committed(struct ckpt_group *group)
{
	lockdep_assert_held(&group->lock);
	WRITE_ONCE(group->events.told_lost, false);
	if (ckpt_files_lost(group->files))
		ckpt_events_look(group);
}

/**
 * ckpt_events_changed - an inode was added to the live change set
 * @group: the group, kept alive by the caller
 * @nr: how many there are
 *
 * Context: any.
 */
void ckpt_events_changed(struct ckpt_group *group, u64 nr)
{
	u64 min = READ_ONCE(group->events.wanted.changed_inodes);

	if (!min || nr < min)
		return;
	/* Pairs with ckpt_events_taken: one of the two sees what the other wrote. */
	smp_mb();
	if (!READ_ONCE(group->events.told_changed))
		ckpt_events_look(group);
}

/**
 * ckpt_events_taken - the live change set was emptied, or filled by an abort
 * @group: the group, locked
 */
void ckpt_events_taken(struct ckpt_group *group)
{
	lockdep_assert_held(&group->lock);
	WRITE_ONCE(group->events.told_changed, false);
	/* Pairs with ckpt_events_changed. */
	smp_mb();
	ckpt_events_changed(group, ckpt_files_changed(group->files));
}

/**
 * ckpt_events_round - a round was taken and its owner told
 * @group: the group, locked
 *
 * Context: sleeps.
 */
void ckpt_events_round(struct ckpt_group *group)
{
	u32 min = group->events.wanted.dirty_share, share = ckpt_epoch_dirty_share(&group->epoch);

	lockdep_assert_held(&group->lock);
	if (min && share >= min)
		ckpt_netlink_event(group, CKPT_EVENT_DIRTY_SHARE, share);
}

/* --- cgroups that are removed --- */

static void look_if_gone(struct ckpt_group *group, void *data)
{
	if (ckpt_group_state(group) == CKPT_GROUP_GONE && !READ_ONCE(group->events.told_gone))
		ckpt_events_look(group);
}

static void look_for_gone(struct work_struct *work)
{
	ckpt_group_each(look_if_gone, NULL);
}

static DECLARE_WORK(gone_work, look_for_gone);

/* A cgroup was removed, of a group or not. */
static void removed(void *data, struct cgroup *cgroup, const char *path)
{
	queue_work(queue, &gone_work);
}

static void find_removal(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "cgroup_rmdir"))
		removal = tp;
}

/**
 * ckpt_events_init - make ready for groups
 *
 * Return: 0 or a negative errno.
 */
int ckpt_events_init(void)
{
	int err = -ENOENT;

	/* Unbound: the work waits for walks. */
	queue = alloc_workqueue("ckpt", WQ_UNBOUND, 0);
	if (!queue)
		return -ENOMEM;
	for_each_kernel_tracepoint(find_removal, NULL);
	if (removal)
		err = tracepoint_probe_register(removal, removed, NULL);
	if (err) {
		pr_err("ckpt: the kernel does not tell when a cgroup is removed\n");
		destroy_workqueue(queue);
		return err;
	}
	ckpt_events_task_init();
	return 0;
}

/**
 * ckpt_events_features - what this kernel tells of
 *
 * Return: CKPT_FEATURE_* bits.
 */
u32 ckpt_events_features(void)
{
	return ckpt_events_task_features() |
	       (IS_ENABLED(CONFIG_MEMCG) ? CKPT_FEATURE_MEMORY_SHARE : 0);
}

/**
 * ckpt_events_exit - wait until nothing runs any more
 *
 * No group is left but those that queued work holds.
 */
void ckpt_events_exit(void)
{
	tracepoint_probe_unregister(removal, removed, NULL);
	tracepoint_synchronize_unregister();
	destroy_workqueue(queue);
}
