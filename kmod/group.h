/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Groups: tagged cgroups and what is kept of them
 *
 * REFCNT
 * A group is its kobject: ckpt_group_get/put.  The registry holds one
 * reference from group-new to group-del, a dump holds one while it runs, work
 * that looks for events one while it is queued.
 *
 * LOCKING
 * doors_lock > group->lock, and doors_lock > groups_lock, both of group.c.  The
 * first guards the coming and going of groups and their sysfs folders; nothing
 * under groups/<name>/ takes it.  groups_lock guards the list alone and is held
 * for a moment, so that looking a group up, and the end of any socket, never
 * waits for a walk.  group->lock guards everything below the line in struct
 * ckpt_group.
 * The cgroup pointer and the name never change.
 *
 * LIFETIME
 * group-del takes the group off the list, removes its folder (which waits for
 * readers of its files), aborts an open epoch, marks it dead and drops the
 * registry's reference.  Who still holds one finds ->dead set under the lock.
 */
#ifndef _CKPT_GROUP_H
#define _CKPT_GROUP_H

#include <linux/cgroup.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>

#include <linux/ckpt.h>

#include "epoch.h"
#include "events.h"

struct netlink_ext_ack;

/**
 * struct ckpt_group - a tagged cgroup
 * @kobj: groups/<name>/ in sysfs and the reference count
 * @link: place in the registry, in order of generation
 * @name: its name, unique while it is registered
 * @cgroup: the cgroup, one reference held
 * @generation: unique per group-new in a module load
 * @events: what listeners want to know of it, and know
 * @lock: guards all that follows
 * @dead: group-del was called
 * @epoch: the open or last epoch and the address spaces
 * @files: its roots and change sets
 */
struct ckpt_group {
	struct kobject kobj;
	struct list_head link;
	char name[CKPT_NAME_MAX + 1];
	struct cgroup *cgroup;
	u64 generation;
	struct ckpt_events events;

	struct mutex lock;	/* all that follows */
	bool dead;
	struct ckpt_epoch epoch;
	struct ckpt_files *files;
};

int ckpt_group_module_init(void);
void ckpt_group_module_exit(void);

int ckpt_group_new(const char *name, const char *cgroup_path, struct netlink_ext_ack *extack);
int ckpt_group_del(const char *name, struct netlink_ext_ack *extack);
struct ckpt_group *ckpt_group_find(const char *name);
struct ckpt_group *ckpt_group_next(u64 after);
void ckpt_group_each(void (*fn)(struct ckpt_group *group, void *data), void *data);

static inline struct ckpt_group *ckpt_group_get(struct ckpt_group *group)
{
	kobject_get(&group->kobj);
	return group;
}

static inline void ckpt_group_put(struct ckpt_group *group)
{
	if (group)
		kobject_put(&group->kobj);
}

u64 ckpt_load_cookie(void);
u32 ckpt_features(void);
enum ckpt_group_state ckpt_group_state(const struct ckpt_group *group);
int ckpt_group_path(const struct ckpt_group *group, char *buf, size_t len);
unsigned int ckpt_group_tasks(const struct ckpt_group *group);

/**
 * ckpt_group_has_task - does a task belong to the group now
 * @group: the group
 * @task: current, or any task while it cannot go away
 *
 * Cheap, takes no lock of ours, may be called in any context that may enter
 * an RCU read section.
 *
 * Return: true if the task's cgroup is the group's or below it.
 */
static inline bool ckpt_group_has_task(const struct ckpt_group *group, struct task_struct *task)
{
	bool has;

	rcu_read_lock();
	has = cgroup_is_descendant(task_dfl_cgroup(task), group->cgroup);
	rcu_read_unlock();
	return has;
}

#endif
