// SPDX-License-Identifier: GPL-2.0
/*
 * Events: when listeners are told something of a group
 *
 * A loss happens in the context of whoever changes a file, the end of a cgroup
 * inside its removal, and neither may sleep or wait for a walk.  So both only
 * queue a work item of the group, at once and not at the next take: whoever
 * takes is told by the reply, a listener waits for the event.  The work looks
 * at the state of the group, not at what queued it, so one run tells whatever
 * came up, and each thing once.
 *
 * REFCNT
 * Work that is queued or runs holds a reference to its group.
 */
#include <linux/cgroup.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>

#include "events.h"
#include "files.h"
#include "group.h"
#include "netlink.h"

static struct workqueue_struct *queue;
/* The kernel's own, found by name; it fires under a spinlock. */
static struct tracepoint *removal;

static void look(struct work_struct *work)
{
	struct ckpt_group *group = container_of(work, struct ckpt_group, look);
	bool lost_now = false, gone_now = false;
	u64 lost = 0;

	mutex_lock(&group->lock);
	if (!group->dead) {
		lost = ckpt_files_lost(group->files);
		lost_now = lost && !group->told_lost;
		gone_now = ckpt_group_state(group) == CKPT_GROUP_GONE && !group->told_gone;
		WRITE_ONCE(group->told_lost, group->told_lost || lost_now);
		WRITE_ONCE(group->told_gone, group->told_gone || gone_now);
	}
	mutex_unlock(&group->lock);
	if (lost_now)
		ckpt_netlink_event(group, CKPT_EVENT_LOST, lost);
	if (gone_now)
		ckpt_netlink_event(group, CKPT_EVENT_GROUP_GONE, 0);
	ckpt_group_put(group);
}

/**
 * ckpt_events_group_init - make a new group ready to be looked at
 * @group: the group
 */
void ckpt_events_group_init(struct ckpt_group *group)
{
	INIT_WORK(&group->look, look);
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
	if (!queue_work(queue, &group->look))
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
	if (!READ_ONCE(group->told_lost))
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
	WRITE_ONCE(group->told_lost, false);
	if (ckpt_files_lost(group->files))
		ckpt_events_look(group);
}

/* --- cgroups that are removed --- */

static void look_if_gone(struct ckpt_group *group, void *data)
{
	if (ckpt_group_state(group) == CKPT_GROUP_GONE && !READ_ONCE(group->told_gone))
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
	}
	return err;
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
