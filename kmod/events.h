/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events: when listeners are told something of a group
 *
 * events.c tells of losses, of cgroups that are removed, of dirty shares and of
 * changed inodes; events-task.c of exec, exit and OOM kills; events-memory.c of
 * memory that nears its limit.
 *
 * REFCNT
 * Work that is queued to look holds a reference to its group.  The delayed works
 * hold none: ckpt_events_group_del ends them.
 *
 * LOCKING
 * group->lock > the mutex of the tracepoints.  What is wanted changes under
 * group->lock and is read anywhere.
 *
 * LIFETIME
 * Tracepoints find a group from ckpt_events_group_add to ckpt_events_group_del,
 * under RCU.
 */
#ifndef _CKPT_EVENTS_H
#define _CKPT_EVENTS_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct ckpt_group;
struct netlink_ext_ack;

/* Largest share, and what a whole is divided in. */
#define CKPT_SHARE_MAX 1000

/* Number of CKPT_EVENTS_* bits. */
#define CKPT_EVENTS_TASK 3

/**
 * struct ckpt_events_wanted - what listeners want to be told of a group
 * @tasks: CKPT_EVENTS_*
 * @dirty_share: permille from which a round is told, 0: none
 * @memory_share: permille of the limit from which it is told, 0: never
 * @changed_inodes: number from which it is told, 0: never
 */
struct ckpt_events_wanted {
	u32 tasks;
	u32 dirty_share;
	u32 memory_share;
	u64 changed_inodes;
};

/**
 * struct ckpt_events - what listeners are told of a group, and know
 * @look: work that tells what has come up in the group's sets
 * @tell: delayed work that tells what tasks did
 * @beat: delayed work that looks at the memory, while somebody wants it
 * @watched: in the table of groups that tracepoints look in
 * @wanted: what to tell
 * @tasks: of each CKPT_EVENTS_* bit, what happened since it was told last
 * @told_at: when @tell ran last
 * @told_lost: listeners know of a loss since the last commit
 * @told_gone: and that the cgroup was removed
 * @told_changed: and that inodes changed, since the last take
 * @told_memory: the threshold that memory is known to be over, 0: none
 */
struct ckpt_events {
	struct work_struct look;
	struct delayed_work tell;
	struct delayed_work beat;
	struct hlist_node watched;
	struct ckpt_events_wanted wanted;
	atomic_t tasks[CKPT_EVENTS_TASK];
	unsigned long told_at;
	bool told_lost;
	bool told_gone;
	bool told_changed;
	u32 told_memory;
};

int ckpt_events_init(void);
void ckpt_events_exit(void);
u32 ckpt_events_features(void);

void ckpt_events_group_init(struct ckpt_group *group);
void ckpt_events_group_add(struct ckpt_group *group);
void ckpt_events_group_del(struct ckpt_group *group);
int ckpt_events_set(struct ckpt_group *group, const struct ckpt_events_wanted *wanted,
		    struct netlink_ext_ack *extack);

void ckpt_events_look(struct ckpt_group *group);
void ckpt_events_lost(struct ckpt_group *group);
void ckpt_events_committed(struct ckpt_group *group);
void ckpt_events_changed(struct ckpt_group *group, u64 nr);
void ckpt_events_taken(struct ckpt_group *group);
void ckpt_events_round(struct ckpt_group *group);

/* events.c, for the other two */
void ckpt_events_queue(struct delayed_work *work, unsigned long delay);

/* events-task.c */
void ckpt_events_task_init(void);
u32 ckpt_events_task_features(void);
void ckpt_events_task_add(struct ckpt_group *group);
void ckpt_events_task_del(struct ckpt_group *group);
int ckpt_events_task_set(struct ckpt_group *group, u32 wanted, struct netlink_ext_ack *extack);
void ckpt_events_task_tell(struct work_struct *work);

/* events-memory.c */
int ckpt_memory_share(const struct ckpt_group *group);
void ckpt_events_memory_beat(struct work_struct *work);

#endif
