// SPDX-License-Identifier: GPL-2.0
/*
 * What events cannot show: files that may be written without one
 *
 * Stores through a shared mapping and asynchronous I/O make no event, and on
 * an overlay the mapping belongs to an inode of another super block that
 * outlives the descriptor.  All of them need somebody who has the file open
 * for writing, and the inode's count of writers tells that: an inode that has
 * or had a writer since the last take is suspect, once more after the last
 * writer is gone.
 */
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include <uapi/linux/ckpt.h>

#include "files.h"
#include "fswatch.h"
#include "group.h"
#include "limits.h"
#include "members.h"

static u32 mapped_flag(const struct inode *inode)
{
	return mapping_writably_mapped(inode->i_mapping) ? CKPT_INODE_F_MAPPED : 0;
}

static bool inode_busy(const struct inode *inode)
{
	return atomic_read(&inode->i_writecount) > 0 || mapping_writably_mapped(inode->i_mapping);
}

/* The same for an inode that stands for one of another file system. */
static bool real_inode_busy(struct inode *inode, u32 *flags)
{
	struct dentry *dentry = d_find_any_alias(inode);
	const struct inode *real = dentry ? d_real_inode(dentry) : NULL;
	bool busy = real && inode_busy(real);

	if (busy)
		*flags |= mapped_flag(real);
	dput(dentry);
	return busy;
}

/* Watch an inode on if it has a writer. */
static void look_at(struct ckpt_sub *sub, struct inode *inode)
{
	u32 flags = mapped_flag(inode);
	bool busy = inode_busy(inode);

	if (ckpt_is_overlay(inode->i_sb))
		busy |= real_inode_busy(inode, &flags);
	if (!busy)
		return;
	if (!ckpt_place_outside(sub, inode, NULL))
		ckpt_files_watch(sub->files, inode, flags);
}

static bool asked(struct ckpt_files *files, const struct inode *inode)
{
	struct ckpt_change key = ckpt_files_key(inode);
	bool yes;

	spin_lock(&files->lock);
	yes = ckpt_changeset_asks(&files->set, &key);
	spin_unlock(&files->lock);
	return yes;
}

/*
 * Is an inode worth giving up the list's lock for?  On a plain file system its
 * own count of writers decides; on an overlay the real inode has to be found.
 */
static bool worth_a_look(struct ckpt_sub *sub, const struct inode *inode, bool all)
{
	if (!S_ISREG(inode->i_mode))
		return false;
	if (!ckpt_is_overlay(inode->i_sb))
		return inode_busy(inode);
	return all || asked(sub->files, inode);
}

struct look {
	struct ckpt_sub *sub;
	bool all;	/* not only those on the watch list */
};

static bool pick(struct inode *inode, void *data)
{
	const struct look *look = data;

	return worth_a_look(look->sub, inode, look->all);
}

static void visit(struct inode *inode, void *data)
{
	const struct look *look = data;

	ckpt_files_reserve(look->sub->files, GFP_KERNEL);
	look_at(look->sub, inode);
}

/* Anything not in memory has no writer. */
static void look_at_all(struct ckpt_sub *sub, struct super_block *sb, bool all)
{
	struct look look = { .sub = sub, .all = all };

	ckpt_inodes_each(sb, pick, visit, &look);
}

/* Look at each inode that is asked for, found by its number. */
static void look_at_asked(struct ckpt_sub *sub, struct super_block *sb)
{
	struct ckpt_files *files = sub->files;
	unsigned long left = READ_ONCE(files->set.nr_watched);
	struct ckpt_change key;
	struct inode *inode;
	bool ask;

	for (; left; left--) {
		cond_resched();
		spin_lock(&files->lock);
		ask = ckpt_changeset_rotate(&files->set, &key);
		spin_unlock(&files->lock);
		if (!ask || key.dev != sub->watch->dev)
			continue;
		inode = ilookup(sb, key.ino);
		if (inode && inode->i_generation == key.generation)
			look_at(sub, inode);
		iput(inode);
	}
}

/**
 * ckpt_suspect_root - find who could write below a new root before it was one
 * @sub: the group's subscription to the root's super block, active
 *
 * Context: sleeps; the group's lock is held.
 */
void ckpt_suspect_root(struct ckpt_sub *sub)
{
	struct super_block *sb = ckpt_fswatch_sb_get(sub->watch);
	int idx;

	if (!sb)
		return;
	idx = srcu_read_lock(&ckpt_events_srcu);
	look_at_all(sub, sb, true);
	ckpt_layers_find(sub, sb);
	srcu_read_unlock(&ckpt_events_srcu, idx);
	deactivate_super(sb);
}

/* Find out which inodes of the watch list have no writer any more. */
static void look_at_watched(struct ckpt_files *files)
{
	unsigned long left = READ_ONCE(files->set.nr_watched);
	struct super_block *sb;
	struct ckpt_sub *sub;

	while (left) {
		cond_resched();
		spin_lock(&files->lock);
		left = ckpt_changeset_ask(&files->set, left);
		spin_unlock(&files->lock);
	}
	list_for_each_entry(sub, &files->subs, in_files) {
		sb = ckpt_fswatch_sb_get(sub->watch);
		if (!sb)
			continue;
		if (sub->watch->hashed)
			look_at_asked(sub, sb);
		else
			look_at_all(sub, sb, false);
		deactivate_super(sb);
	}
}

/* Directories came from elsewhere: find who writes below them, overlays among them. */
static void look_at_moved(struct ckpt_files *files)
{
	struct super_block *sb;
	struct ckpt_sub *sub;

	list_for_each_entry(sub, &files->subs, in_files) {
		/* Before the look: who comes meanwhile is for the next take. */
		if (!READ_ONCE(sub->moved_in) || !xchg(&sub->moved_in, false))
			continue;
		sb = ckpt_fswatch_sb_get(sub->watch);
		if (!sb)
			continue;
		look_at_all(sub, sb, true);
		ckpt_layers_find(sub, sb);
		deactivate_super(sb);
	}
}

static void suspect_inode(struct ckpt_files *files, struct inode *inode, struct dentry *dentry,
			  u32 flags)
{
	struct ckpt_sub *sub;

	list_for_each_entry(sub, &files->subs, in_files) {
		if (sub->watch->sb != inode->i_sb || READ_ONCE(sub->watch->dead))
			continue;
		if (!ckpt_place_outside(sub, inode, dentry))
			ckpt_files_watch(files, inode, flags);
	}
}

/* The inode that a file was opened as, and the one its pages belong to. */
static void suspect_file(struct ckpt_files *files, struct file *file, u32 flags)
{
	struct dentry *dentry = ckpt_file_dentry(file);
	struct inode *inode = d_inode(dentry);

	if (!S_ISREG(inode->i_mode))
		return;
	suspect_inode(files, inode, dentry, flags);
	if (file_inode(file) != inode)
		suspect_inode(files, file_inode(file), NULL, flags);
}

struct fd_walk {
	struct ckpt_files *files;
	bool force;	/* there is no memory for more nodes: losses are counted */
};

static int suspect_fd(const void *data, struct file *file, unsigned int fd)
{
	const struct fd_walk *walk = data;

	if (!(file->f_mode & FMODE_WRITE))
		return 0;
	if (ckpt_files_scarce(walk->files) && !walk->force)
		return fd + 1;
	suspect_file(walk->files, file, CKPT_INODE_F_OPEN);
	return 0;
}

static void suspect_fds(struct ckpt_files *files, struct task_struct *task)
{
	struct fd_walk walk = { .files = files };
	unsigned int stop = 0;

	do {
		ckpt_files_reserve(files, GFP_KERNEL);
		walk.force = ckpt_files_scarce(files);
		task_lock(task);
		/* It stopped at descriptor stop - 1, which is not done yet. */
		stop = task->files ? iterate_fd(task->files, stop ? stop - 1 : 0, suspect_fd, &walk)
				   : 0;
		task_unlock(task);
	} while (stop);
}

/* Bounded: a holder of the lock may wait for a task that is stopped. */
static bool lock_mm(struct mm_struct *mm)
{
	unsigned int tries;

	for (tries = 0; tries < CKPT_LOCK_TRIES; tries++) {
		if (mmap_read_trylock(mm))
			return true;
		usleep_range(CKPT_LOCK_WAIT_US, 2 * CKPT_LOCK_WAIT_US);
	}
	return false;
}

/* One look at the tasks of a group. */
struct task_look {
	struct ckpt_files *files;
	bool final;	/* the last of the epoch: what it does not see, nobody will */
	bool again;	/* the look before this one left some address space out */
};

static struct ckpt_mm *member(const struct ckpt_files *files, const struct mm_struct *mm)
{
	struct ckpt_mm *m;

	list_for_each_entry(m, &files->group->epoch.mms, link)
		if (m->mm == mm)
			return m;
	return NULL;
}

/*
 * What it maps is not known, so neither is what it wrote.  The next look tells; where
 * there is none, or the address space is gone by then, it is lost.
 */
static void leave_out(const struct task_look *look, const struct mm_struct *mm)
{
	struct ckpt_mm *m = look->final ? NULL : member(look->files, mm);

	if (m)
		m->unseen = true;
	else
		ckpt_files_lose(look->files);
}

static void suspect_maps(const struct task_look *look, struct mm_struct *mm)
{
	struct ckpt_files *files = look->files;
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	struct ckpt_mm *m;

	if (!lock_mm(mm)) {
		leave_out(look, mm);
		return;
	}
	for_each_vma(vmi, vma) {
		if (!vma->vm_file || (~vma->vm_flags & (VM_SHARED | VM_MAYWRITE)))
			continue;
		ckpt_files_reserve(files, GFP_NOFS);
		suspect_file(files, vma->vm_file, CKPT_INODE_F_MAPPED);
	}
	mmap_read_unlock(mm);
	m = look->again ? member(files, mm) : NULL;
	if (m)
		m->unseen = false;
}

/*
 * What a thread shares with its leader is the leader's to show.  A leader that has ended has
 * nothing any more; then it is that of @last, the task before this one, if it is of its process.
 */
static void suspect_task(const struct task_look *look, struct task_struct *task,
			 struct task_struct *last)
{
	struct task_struct *leader = task->group_leader;
	struct mm_struct *mm;

	if (!last || !same_thread_group(last, task))
		last = leader;
	if (task == leader || (task->files != leader->files && task->files != last->files))
		suspect_fds(look->files, task);
	if (task != leader && (task->mm == leader->mm || task->mm == last->mm))
		return;
	mm = get_task_mm(task);
	if (!mm)
		return;
	suspect_maps(look, mm);
	mmput(mm);
}

/* The tasks of the group at one moment, each with a reference; more are counted only. */
static unsigned int collect(const struct ckpt_group *group, struct task_struct **tasks,
			    unsigned int room)
{
	struct task_struct *process, *task;
	unsigned int n = 0;

	rcu_read_lock();
	for_each_process_thread(process, task) {
		if (!ckpt_group_has_task(group, task))
			continue;
		if (n < room)
			tasks[n] = get_task_struct(task);
		n++;
	}
	rcu_read_unlock();
	return n;
}

/*
 * A task that comes after the collection has opened nothing for writing that
 * its parent had not, or there was an event.
 */
static void suspect_tasks(struct ckpt_files *files, bool final)
{
	struct task_look look = { .files = files, .final = final };
	unsigned int room = 64, n, i;
	struct task_struct **tasks;
	const struct ckpt_mm *m;

	list_for_each_entry(m, &files->group->epoch.mms, link)
		look.again |= m->unseen;
	for (;;) {
		tasks = kvmalloc_array(room, sizeof(*tasks), GFP_KERNEL);
		if (!tasks) {
			ckpt_files_lose(files);
			return;
		}
		n = collect(files->group, tasks, room);
		if (n <= room)
			break;
		for (i = 0; i < room; i++)
			put_task_struct(tasks[i]);
		kvfree(tasks);
		room = n + n / 8;
	}
	for (i = 0; i < n; i++) {
		suspect_task(&look, tasks[i], i ? tasks[i - 1] : NULL);
		cond_resched();
	}
	for (i = 0; i < n; i++)
		put_task_struct(tasks[i]);
	kvfree(tasks);
}

/**
 * ckpt_suspect_moved - find who writes below directories that came during a take
 * @files: the file side; its group's lock is held
 *
 * After the round: it may have told one that was not there when ckpt_suspect_find() looked,
 * and who writes below it may be gone before the next take.  Who is found here is told then.
 *
 * Context: sleeps.
 */
void ckpt_suspect_moved(struct ckpt_files *files)
{
	int idx = srcu_read_lock(&ckpt_events_srcu);

	look_at_moved(files);
	srcu_read_unlock(&ckpt_events_srcu, idx);
}

/**
 * ckpt_suspect_find - put on the live set what may have changed unseen
 * @files: the file side; its group's lock is held
 * @first: first take of an epoch: also look whose writers are gone
 * @final: last take of an epoch, with all tasks stopped
 *
 * Context: sleeps.
 */
void ckpt_suspect_find(struct ckpt_files *files, bool first, bool final)
{
	unsigned long left;
	int idx;

	if (list_empty(&files->subs))
		return;
	idx = srcu_read_lock(&ckpt_events_srcu);
	if (first)
		look_at_watched(files);
	look_at_moved(files);
	suspect_tasks(files, final);
	srcu_read_unlock(&ckpt_events_srcu, idx);

	left = READ_ONCE(files->set.nr_watched);
	while (left) {
		cond_resched();
		spin_lock(&files->lock);
		left = ckpt_changeset_settle(&files->set, left);
		spin_unlock(&files->lock);
	}
}
