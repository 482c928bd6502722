// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Owners: who gets the signals of a descriptor, and which (F_SETOWN, F_SETSIG)
 *
 * Only a descriptor of our own tells, so that those which can raise one are borrowed while
 * the tree is stopped: while it runs, a close by the tree would not be the last one for
 * that moment, and locks, ends of files and broken pipes come late.  It is six system calls
 * for each.  Regular files raise none without a lease.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/read.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif
#define MEM_MAJOR 1	/* null and its like */

int ckpt_borrow_fd(const struct ckpt_file *f, struct ckpt_err *err)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, f->capture_pid, 0);
	int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, f->capture_fd, 0);

	if (fd >= 0)
		return fd;
	if (errno == EPERM || errno == EACCES)
		return ckpt_fail(err, CKPT_REFUSED, errno,
			"ckpt-tool has no permission to look at descriptor %d of pid %d; start it "
			"with the rights to trace that process", f->capture_fd, f->capture_pid);
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot borrow descriptor %d of pid %d",
			 f->capture_fd, f->capture_pid);
}

static bool matters(const struct ckpt_file *f)
{
	return !(f->flags & O_PATH) &&
	       (S_ISFIFO(f->mode) || S_ISDIR(f->mode) || S_ISSOCK(f->mode) ||
		f->kind == CKPT_FILE_INOTIFY ||
		(S_ISCHR(f->mode) && major(f->rdev) != MEM_MAJOR));
}

static int refuse(const struct ckpt_held_proc *p, const struct ckpt_file *f, const char *why,
		  struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has set who gets the signals of descriptor %d (F_SETOWN, F_SETSIG), "
		"%s, which this version cannot restore", p->pid, p->comm, f->capture_fd, why);
}

/*
 * The owner is signalled with the rights of the user who set it.  Who that was only some kernels
 * tell (CONFIG_CHECKPOINT_RESTORE); else it is taken for the user that the holder is now.
 */
static void read_user(const struct ckpt_held_proc *p, int own, struct ckpt_file *f)
{
	uid_t uids[2];

	if (fcntl(own, F_GETOWNER_UIDS, uids))
		memcpy(uids, p->threads[0].status.uid, sizeof(uids));
	f->owner_uid = uids[0];
	f->owner_euid = uids[1];
}

/* The owner as the tree calls it; 0: it is not in the tree. */
static int32_t name_in_tree(const struct ckpt_reader *r, const struct f_owner_ex *owner)
{
	for (size_t i = 0; i < r->image->n_tasks; i++) {
		const struct ckpt_task *t = &r->image->tasks[i];
		const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, t->host_pid);

		if (owner->type == F_OWNER_PGRP && p && p->stat.pgrp == owner->pid)
			return t->pgid;
		if (owner->type != F_OWNER_PGRP && t->host_pid == owner->pid)
			return t->pid;
		for (size_t j = 0; owner->type == F_OWNER_TID && j < t->n_threads; j++) {
			if (t->threads[j].host_tid == owner->pid)
				return t->threads[j].tid;
		}
	}
	return 0;
}

int ckpt_read_owner(const struct ckpt_reader *r, const struct ckpt_held_proc *p,
		    struct ckpt_file *f, bool leased, struct ckpt_err *err)
{
	struct f_owner_ex owner = { 0 };
	cleanup_close int own = -1;
	int sig;

	if (!leased && !matters(f))
		return 0;
	own = ckpt_borrow_fd(f, err);
	if (own < 0)
		return -1;
	sig = fcntl(own, F_GETOWN_EX, &owner) ? -1 : fcntl(own, F_GETSIG);
	if (sig < 0)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot look at descriptor %d of pid %d (%s)", f->capture_fd,
				 p->pid, p->comm);
	/* one that has ended is none: the kernel tells 0 */
	if (!owner.pid && !sig)
		return 0;
	if (S_ISDIR(f->mode))
		return refuse(p, f, "a directory, as F_NOTIFY does", err);
	/* whether the other end of a terminal is outside shows later */
	if (f->kind == CKPT_FILE_OUTER)
		return refuse(p, f, "which leads out of the tree", err);
	f->owner_sig = sig;
	if (!owner.pid)
		return 0;
	f->owner_pid = name_in_tree(r, &owner);
	f->owner_type = owner.type;
	if (!f->owner_pid)
		return refuse(p, f, "to somebody who is not in the tree", err);
	read_user(p, own, f);
	return 0;
}
