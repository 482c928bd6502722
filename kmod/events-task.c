// SPDX-License-Identifier: GPL-2.0
/*
 * Events of tasks: exec, exit and OOM kill
 *
 * The kernel tells of them through tracepoints, found by name; one is hooked
 * while some group wants its events, so that nobody pays for what nobody wants.
 * A probe runs in atomic context, for every process of the machine.  It looks the
 * task's cgroup and those above it up in a table, so its cost is that of their
 * number and not of the number of groups; for a task of a group it counts, and
 * the first one since the last message queues the work that sends the next.  A
 * message follows the one before it by TELL_GAP or more: whatever tasks do,
 * listeners get a bounded number of messages, which hold how often it happened.
 */
#include <linux/cgroup.h>
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/rculist.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "compat/trace.h"
#include "events.h"
#include "group.h"
#include "netlink.h"

#define TELL_GAP	(HZ / 10)

/* Groups by cgroup; written under hooks_lock, read under RCU. */
static DEFINE_HASHTABLE(watched, 7);
static DEFINE_MUTEX(hooks_lock);

static struct ckpt_group *group_of(struct task_struct *task)
{
	struct cgroup *cgroup;
	struct ckpt_group *group;

	/* Groups do not overlap: the first one found is the only one. */
	for (cgroup = task_dfl_cgroup(task); cgroup; cgroup = cgroup_parent(cgroup))
		hash_for_each_possible_rcu(watched, group, events.watched, (unsigned long)cgroup)
			if (group->cgroup == cgroup)
				return group;
	return NULL;
}

static void count(struct ckpt_group *group, u32 what)
{
	struct ckpt_events *events = &group->events;
	unsigned long since = jiffies - READ_ONCE(events->told_at);

	if (READ_ONCE(events->wanted.tasks) & what &&
	    atomic_inc_return(&events->tasks[__ffs(what)]) == 1)
		ckpt_events_queue(&events->tell, since < TELL_GAP ? TELL_GAP - since : 0);
}

static void happened(struct task_struct *task, u32 what)
{
	struct ckpt_group *group = task ? group_of(task) : NULL;

	if (group)
		count(group, what);
}

static void on_exec(void *data, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	rcu_read_lock();
	happened(task, CKPT_EVENTS_EXEC);
	rcu_read_unlock();
}

static void on_exit(void *data, CKPT_EXIT_ARGS)
{
	if (!CKPT_EXIT_LAST)
		return;
	rcu_read_lock();
	happened(task, CKPT_EVENTS_EXIT);
	rcu_read_unlock();
}

static void on_victim(void *data, CKPT_VICTIM_ARGS)
{
	rcu_read_lock();
	happened(CKPT_VICTIM_TASK, CKPT_EVENTS_OOM_KILL);
	rcu_read_unlock();
}

/**
 * struct hook - a tracepoint of the kernel
 * @name: its name
 * @probe: what it calls
 * @event: what is told
 * @feature: bit that says it was found
 * @tp: the tracepoint, NULL: the kernel has none
 * @users: groups that want it [hooks_lock]
 */
struct hook {
	const char *name;
	void *probe;
	enum ckpt_event event;
	u32 feature;
	struct tracepoint *tp;
	unsigned int users;
};

/* In the order of the CKPT_EVENTS_* bits. */
static struct hook hooks[CKPT_EVENTS_TASK] = {
	{ "sched_process_exec", on_exec, CKPT_EVENT_EXEC, CKPT_FEATURE_EXEC },
	{ "sched_process_exit", on_exit, CKPT_EVENT_EXIT, CKPT_FEATURE_EXIT },
	{ "mark_victim", on_victim, CKPT_EVENT_OOM_KILL, CKPT_FEATURE_OOM_KILL },
};

/**
 * ckpt_events_task_tell - tell what tasks did since the last message
 * @work: that of the group
 */
void ckpt_events_task_tell(struct work_struct *work)
{
	struct ckpt_events *events = container_of(to_delayed_work(work), struct ckpt_events, tell);
	struct ckpt_group *group = container_of(events, struct ckpt_group, events);
	unsigned int nr;
	int i;

	WRITE_ONCE(events->told_at, jiffies);
	for (i = 0; i < CKPT_EVENTS_TASK; i++) {
		nr = atomic_xchg(&events->tasks[i], 0);
		if (nr)
			ckpt_netlink_event(group, hooks[i].event, nr);
	}
}

/**
 * ckpt_events_task_add - let tracepoints find a group
 * @group: the group, complete
 */
void ckpt_events_task_add(struct ckpt_group *group)
{
	mutex_lock(&hooks_lock);
	hash_add_rcu(watched, &group->events.watched, (unsigned long)group->cgroup);
	mutex_unlock(&hooks_lock);
}

/**
 * ckpt_events_task_del - and no more
 * @group: the group; nothing is wanted of it
 *
 * Context: sleeps until no probe uses it.
 */
void ckpt_events_task_del(struct ckpt_group *group)
{
	mutex_lock(&hooks_lock);
	hash_del_rcu(&group->events.watched);
	mutex_unlock(&hooks_lock);
	synchronize_rcu();
}

static int hook_get(struct hook *hook, struct netlink_ext_ack *extack)
{
	int err;

	lockdep_assert_held(&hooks_lock);
	if (!hook->tp) {
		NL_SET_ERR_MSG(extack, "group-set: this kernel does not tell of such an event");
		return -EOPNOTSUPP;
	}
	err = hook->users ? 0 : tracepoint_probe_register(hook->tp, hook->probe, NULL);
	if (err)
		NL_SET_ERR_MSG(extack, "group-set: the kernel's tracepoint could not be hooked");
	else
		hook->users++;
	return err;
}

static void hook_put(struct hook *hook)
{
	lockdep_assert_held(&hooks_lock);
	if (!--hook->users)
		tracepoint_probe_unregister(hook->tp, hook->probe, NULL);
}

static void put_hooks(u32 which)
{
	int i;

	for (i = 0; i < CKPT_EVENTS_TASK; i++)
		if (which & BIT(i))
			hook_put(&hooks[i]);
}

/**
 * ckpt_events_task_set - which events of tasks are wanted from now on
 * @group: the group, locked
 * @wanted: CKPT_EVENTS_*
 * @extack: where the sentence of a refusal goes, may be NULL
 *
 * What happened before counts for the next message all the same.
 *
 * Context: sleeps.
 * Return: 0 or a negative errno; then nothing is changed.
 */
int ckpt_events_task_set(struct ckpt_group *group, u32 wanted, struct netlink_ext_ack *extack)
{
	u32 old = group->events.wanted.tasks, got = 0;
	int err = 0, i;

	lockdep_assert_held(&group->lock);
	mutex_lock(&hooks_lock);
	for (i = 0; i < CKPT_EVENTS_TASK; i++) {
		if (!(wanted & ~old & BIT(i)))
			continue;
		err = hook_get(&hooks[i], extack);
		if (err)
			goto undo;
		got |= BIT(i);
	}
	WRITE_ONCE(group->events.wanted.tasks, wanted);
	got = old & ~wanted;
undo:
	put_hooks(got);
	mutex_unlock(&hooks_lock);
	return err;
}

static void find(struct tracepoint *tp, void *data)
{
	int i;

	for (i = 0; i < CKPT_EVENTS_TASK; i++)
		if (!strcmp(tp->name, hooks[i].name))
			hooks[i].tp = tp;
}

/**
 * ckpt_events_task_init - find the tracepoints
 */
void ckpt_events_task_init(void)
{
	BUILD_BUG_ON(ARRAY_SIZE(hooks) != 1 + const_ilog2(CKPT_EVENTS_OOM_KILL));
	/* They find no code, but do not compile when a probe does not fit. */
	check_trace_callback_type_sched_process_exec(on_exec);
	check_trace_callback_type_sched_process_exit(on_exit);
	check_trace_callback_type_mark_victim(on_victim);
	for_each_kernel_tracepoint(find, NULL);
}

/**
 * ckpt_events_task_features - which of them the kernel tells of
 *
 * Return: CKPT_FEATURE_* bits.
 */
u32 ckpt_events_task_features(void)
{
	u32 features = 0;
	int i;

	for (i = 0; i < CKPT_EVENTS_TASK; i++)
		if (hooks[i].tp)
			features |= hooks[i].feature;
	return features;
}
