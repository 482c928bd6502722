// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Owners: who gets the signals of a descriptor, and which (F_SETOWN, F_SETSIG)
 *
 * Only a descriptor of our own tells, so that those which can raise one are borrowed
 * for a moment while the tree runs: four system calls each, and two a process.  Regular
 * files raise none without a lease, and leases are refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif
#define MEM_MAJOR 1	/* null and its like */

bool ckpt_owner_matters(const struct stat *st)
{
	return S_ISFIFO(st->st_mode) || S_ISDIR(st->st_mode) ||
	       (S_ISCHR(st->st_mode) && major(st->st_rdev) != MEM_MAJOR);
}

static int refuse(const struct ckpt_held_proc *p, int fd, const char *why, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has set who gets the signals of descriptor %d (F_SETOWN, F_SETSIG), "
		"%s, which this version cannot restore", p->pid, p->comm, fd, why);
}

static bool in_tree(const struct ckpt_hold *hold, const struct f_owner_ex *owner)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		const struct ckpt_held_proc *p = &hold->procs[i];

		if (owner->type == F_OWNER_PGRP ? p->stat.pgrp == owner->pid
						: p->pid == owner->pid)
			return true;
		for (size_t j = 0; owner->type == F_OWNER_TID && j < p->n_threads; j++) {
			if (p->threads[j].tid == owner->pid)
				return true;
		}
	}
	return false;
}

static int check(const struct ckpt_hold *hold, const struct ckpt_held_proc *p, int fd, int own,
		 const struct stat *st, const struct f_owner_ex *owner, struct ckpt_err *err)
{
	uid_t uids[2] = { 0 };

	if (S_ISDIR(st->st_mode))
		return refuse(p, fd, "a directory, as F_NOTIFY does", err);
	if (S_ISCHR(st->st_mode))
		return refuse(p, fd, "which leads out of the tree", err);
	if (owner->pid && !in_tree(hold, owner))
		return refuse(p, fd, "to somebody who is not in the tree", err);
	/* a restore sets it as root; kernels that do not tell have no such rule */
	if (owner->pid && !fcntl(own, F_GETOWNER_UIDS, uids) && (uids[0] || uids[1]))
		return refuse(p, fd, "as another user than root", err);
	return 0;
}

/* A descriptor that is closed meanwhile, or one that only names a file. */
static bool is_gone(int error)
{
	return error == EBADF || error == ESRCH;
}

int ckpt_owner_scan(struct ckpt_hold *hold, const struct ckpt_held_proc *p, int pidfd, int fd,
		    const struct stat *st, struct ckpt_err *err)
{
	cleanup_close int own = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	struct f_owner_ex owner = { 0 };
	struct ckpt_owner *more;
	int sig = 0;

	if (own >= 0 && !fcntl(own, F_GETOWN_EX, &owner))
		sig = fcntl(own, F_GETSIG);
	else if (is_gone(errno))
		return 0;
	if (own < 0 || sig < 0)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot look at descriptor %d of pid %d (%s)", fd, p->pid,
				 p->comm);
	if (!owner.pid && !sig)
		return 0;
	if (check(hold, p, fd, own, st, &owner, err))
		return -1;
	more = ckpt_grow(hold->owners, &hold->n_owners, sizeof(*more));
	if (!more)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of descriptors");
	hold->owners = more;
	more[hold->n_owners - 1] = (struct ckpt_owner){
		.pid = p->pid, .fd = fd, .dev = st->st_dev, .ino = st->st_ino,
		.type = owner.type, .who = owner.pid, .sig = sig,
	};
	return 0;
}

/* The owner as the tree calls it; 0 when it has ended, as the kernel has it then. */
static int32_t name_in_tree(const struct ckpt_reader *r, const struct ckpt_owner *o)
{
	for (size_t i = 0; i < r->image->n_tasks; i++) {
		const struct ckpt_task *t = &r->image->tasks[i];
		const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, t->host_pid);

		if (o->type == F_OWNER_PGRP && p && p->stat.pgrp == o->who)
			return t->pgid;
		if (o->type != F_OWNER_PGRP && t->host_pid == o->who)
			return t->pid;
		for (size_t j = 0; o->type == F_OWNER_TID && j < t->n_threads; j++) {
			if (t->threads[j].host_tid == o->who)
				return t->threads[j].tid;
		}
	}
	return 0;
}

void ckpt_owner_fill(const struct ckpt_reader *r, struct ckpt_file *f)
{
	for (size_t i = 0; i < r->hold->n_owners; i++) {
		const struct ckpt_owner *o = &r->hold->owners[i];

		if (o->ino != f->ino || o->dev != f->dev ||
		    syscall(SYS_kcmp, o->pid, f->capture_pid, KCMP_FILE, o->fd, f->capture_fd))
			continue;
		f->owner_pid = name_in_tree(r, o);
		f->owner_type = f->owner_pid ? o->type : 0;
		f->owner_sig = o->sig;
		return;
	}
}
