// SPDX-License-Identifier: GPL-2.0
/*
 * Finding the address spaces of a group
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "files.h"
#include "group.h"
#include "limits.h"
#include "members.h"
#include "witness.h"

/* One pass over the tasks; same mm twice is possible (vfork, CLONE_VM). */
struct found {
	struct mm_struct *mm;
	struct pid *pid;
};

static u64 last_cookie;
static u64 last_collection;
static DEFINE_SPINLOCK(counter_lock);

static u64 count_up(u64 *counter)
{
	u64 value;

	spin_lock(&counter_lock);
	value = ++*counter;
	spin_unlock(&counter_lock);
	return value;
}

/* The task's mm, pinned, unless it has none of its own. */
static struct mm_struct *grab_mm(struct task_struct *task)
{
	struct mm_struct *mm;

	task_lock(task);
	mm = task->flags & PF_KTHREAD ? NULL : task->mm;
	if (mm)
		mmgrab(mm);
	task_unlock(task);
	return mm;
}

/* Return: how many there are; only the first @cap are in @found, pinned. */
static u32 collect(const struct ckpt_group *group, struct found *found, u32 cap)
{
	/* @spare: the last one, pinned while its address is compared with, if it was not kept */
	struct mm_struct *mm, *last = NULL, *spare = NULL;
	struct task_struct *process, *task;
	u32 nr = 0;

	rcu_read_lock();
	for_each_process_thread(process, task) {
		if (!cgroup_is_descendant(task_dfl_cgroup(task), group->cgroup))
			continue;
		/* Threads of one process follow one another and share the mm. */
		if (READ_ONCE(task->mm) == last)
			continue;
		mm = grab_mm(task);
		if (!mm)
			continue;
		if (nr < cap) {
			found[nr].mm = mm;
			found[nr].pid = get_pid(task_tgid(task));
		} else {
			if (spare)
				mmdrop(spare);
			spare = mm;
		}
		last = mm;
		nr++;
	}
	rcu_read_unlock();
	if (spare)
		mmdrop(spare);
	return nr;
}

static void drop_found(struct found *found, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		mmdrop(found[i].mm);
		put_pid(found[i].pid);
	}
	kvfree(found);
}

static struct found *collect_all(const struct ckpt_group *group, u32 *ret_nr,
				 struct netlink_ext_ack *extack)
{
	u32 cap = 64, nr;
	struct found *found;

	for (;;) {
		found = kvmalloc_array(cap, sizeof(*found), GFP_KERNEL);
		if (!found)
			return ERR_PTR(-ENOMEM);
		nr = collect(group, found, cap);
		if (nr <= cap)
			break;
		drop_found(found, cap);
		/* Processes may come while there is no lock: leave room for some. */
		cap = min_t(u32, nr + nr / 4 + 16, CKPT_MMS_MAX);
		if (nr > CKPT_MMS_MAX) {
			NL_SET_ERR_MSG(extack, "epoch: the group has too many processes");
			return ERR_PTR(-E2BIG);
		}
	}
	*ret_nr = nr;
	return found;
}

/* Open hash over mm pointers: a group of a thousand processes is not a million compares. */
struct index {
	struct ckpt_mm **slot;
	u32 mask;
};

static int index_make(struct index *index, struct list_head *mms, u32 more)
{
	u32 nr = more, at;
	struct ckpt_mm *m;

	list_for_each_entry(m, mms, link)
		nr++;
	index->mask = roundup_pow_of_two(2 * nr + 2) - 1;
	index->slot = kvcalloc(index->mask + 1, sizeof(*index->slot), GFP_KERNEL);
	if (!index->slot)
		return -ENOMEM;
	list_for_each_entry(m, mms, link) {
		at = hash_ptr(m->mm, 32) & index->mask;
		while (index->slot[at])
			at = (at + 1) & index->mask;
		index->slot[at] = m;
	}
	return 0;
}

static struct ckpt_mm **index_find(struct index *index, const struct mm_struct *mm)
{
	u32 at = hash_ptr(mm, 32) & index->mask;

	while (index->slot[at] && index->slot[at]->mm != mm)
		at = (at + 1) & index->mask;
	return &index->slot[at];
}

static struct ckpt_mm *mm_new(const struct found *found)
{
	struct ckpt_mm *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return NULL;
	mmgrab(found->mm);
	m->mm = found->mm;
	m->pid = get_pid(found->pid);
	m->cookie = count_up(&last_cookie);
	ckpt_witness_add(m);
	return m;
}

/**
 * ckpt_members_update - bring the group's list of address spaces up to date
 * @group: the group, locked
 * @extack: where the sentence of a refusal goes
 *
 * Context: sleeps.
 * Return: 0 or a negative errno; on failure the list may be partly updated,
 * which only the next update can tell.
 */
int ckpt_members_update(struct ckpt_group *group, struct netlink_ext_ack *extack)
{
	struct list_head *mms = &group->epoch.mms;
	u64 collection = count_up(&last_collection);
	struct ckpt_mm *m, *next, **slot;
	struct found *found;
	struct index index;
	int err;
	u32 nr, i;

	lockdep_assert_held(&group->lock);
	found = collect_all(group, &nr, extack);
	if (IS_ERR(found))
		return PTR_ERR(found);
	err = index_make(&index, mms, nr);
	if (err)
		goto drop;
	for (i = 0; i < nr; i++) {
		slot = index_find(&index, found[i].mm);
		m = *slot;
		if (!m) {
			m = mm_new(&found[i]);
			err = -ENOMEM;
			if (!m)
				goto free;
			list_add_tail(&m->link, mms);
			*slot = m;
		} else if (m->pid != found[i].pid && m->seen != collection) {
			put_pid(m->pid);
			m->pid = get_pid(found[i].pid);
		}
		m->seen = collection;
	}
	list_for_each_entry_safe(m, next, mms, link)
		if (m->seen != collection)
			ckpt_members_gone(group, m);
	err = 0;
free:
	kvfree(index.slot);
drop:
	drop_found(found, nr);
	return err;
}

/**
 * ckpt_members_gone - no task of the group uses an address space any more
 * @group: the group, locked
 * @m: the address space; taken off its list
 */
void ckpt_members_gone(struct ckpt_group *group, struct ckpt_mm *m)
{
	lockdep_assert_held(&group->lock);
	if (m->unseen)
		ckpt_files_lose(group->files);
	ckpt_members_free(m);
}

/**
 * ckpt_members_free - forget an address space
 * @m: it; taken off its list
 */
void ckpt_members_free(struct ckpt_mm *m)
{
	list_del(&m->link);
	ckpt_witness_del(m);
	ckpt_areas_free(&m->areas);
	ckpt_tables_free(&m->tables);
	ckpt_runs_free(&m->runs);
	ckpt_ranges_free(&m->taken);
	ckpt_ranges_free(&m->carry);
	put_pid(m->pid);
	mmdrop(m->mm);
	kfree(m);
}
