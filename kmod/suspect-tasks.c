// SPDX-License-Identifier: GPL-2.0
/*
 * What events cannot show: files that the tasks of a group have open or mapped for writing
 *
 * On an overlay only the task itself leads from a mapping to the inode that was opened.
 */
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include <uapi/linux/ckpt.h>

#include "files.h"
#include "fswatch.h"
#include "group.h"
#include "limits.h"
#include "members.h"

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
	unsigned int left;	/* descriptors until the locks are let go of */
};

static int suspect_fd(const void *data, struct file *file, unsigned int fd)
{
	struct fd_walk *walk = (struct fd_walk *)data;

	if (!walk->left--)
		return fd + 1;
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
		walk.left = CKPT_FDS_CHUNK;
		cond_resched();
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
		cond_resched();
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
	/* If it is the last one: its end may wait for somebody whom the group has stopped. */
	mmput_async(mm);
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

/**
 * ckpt_suspect_tasks - watch what the tasks of the group have open or mapped for writing
 * @files: the file side; its group's lock is held, and so is a read section of ckpt_events_srcu
 * @final: last take of an epoch, with all tasks stopped
 *
 * A task that comes after the collection has opened nothing for writing that
 * its parent had not, or there was an event.
 *
 * Context: sleeps.
 */
void ckpt_suspect_tasks(struct ckpt_files *files, bool final)
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
