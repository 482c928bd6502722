// SPDX-License-Identifier: GPL-2.0-or-later
/* Owners: who gets the signals of descriptors, and which of them raise any (O_ASYNC). */
#include <fcntl.h>
#include <sys/syscall.h>

#include "proc/build.h"

#define SETTABLE ((uint32_t)(O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT | O_ASYNC))

/* Who takes a lease gets its signals, unless it is said otherwise. */
static bool is_leased(const struct ckpt_image *image, size_t index)
{
	for (size_t i = 0; i < image->n_locks; i++) {
		if (image->locks[i].kind == CKPT_LOCK_LEASE && image->locks[i].file == index)
			return true;
	}
	return false;
}

static int set_nobody(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	return ckpt_site_call(&r->init_site, err, "set a file's owner", SYS_fcntl,
			      ARGS(r->fd_base + index, F_SETOWN, 0)) < 0 ? -1 : 0;
}

/* As the user who has set it: who can become root again by his third number loses no right. */
static int be_user(struct ckpt_restore *r, uint32_t uid, uint32_t euid, struct ckpt_err *err)
{
	return ckpt_site_call(&r->init_site, err, "be who has set a file's owner", SYS_setresuid,
			      ARGS(uid, euid, 0)) < 0 ? -1 : 0;
}

static int set_owner(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	const struct f_owner_ex owner = { f->owner_type, f->owner_pid };
	const bool other = f->owner_uid || f->owner_euid;
	uint64_t at = ckpt_site_put(&r->init_site, 0, &owner, sizeof(owner), err);

	if (!at || (other && be_user(r, f->owner_uid, f->owner_euid, err)) ||
	    ckpt_site_call(&r->init_site, err, "set a file's owner", SYS_fcntl,
			   ARGS(r->fd_base + index, F_SETOWN_EX, at)) < 0)
		return -1;
	return other ? be_user(r, 0, 0, err) : 0;
}

int ckpt_build_owners(struct ckpt_restore *r, struct ckpt_err *err)
{
	const struct ckpt_file *f;
	size_t i;

	for (i = 0; i < r->image->n_files; i++) {
		f = &r->image->files[i];
		if (f->owner_pid ? set_owner(r, i, err) :
				   is_leased(r->image, i) && set_nobody(r, i, err))
			return -1;
		if (f->owner_sig &&
		    ckpt_site_call(&r->init_site, err, "set a file's signal", SYS_fcntl,
				   ARGS(r->fd_base + i, F_SETSIG, f->owner_sig)) < 0)
			return -1;
	}
	return 0;
}

/* Has a process before this one, or a lower number of this one, the same description? */
static bool has_before(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		       const struct ckpt_fd *fd)
{
	for (const struct ckpt_build_task *o = r->tasks; o <= t; o++) {
		const struct ckpt_fdtable *table = &r->image->fdtables[o->task->fdtable];

		for (size_t i = 0; o->task->state != CKPT_TASK_ZOMBIE && i < table->n_fds; i++) {
			if (&table->fds[i] == fd)
				return false;
			if (table->fds[i].file == fd->file)
				return true;
		}
	}
	return false;
}

int ckpt_build_async(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_fdtable *table = &r->image->fdtables[t->task->fdtable];
	const struct ckpt_site s = ckpt_build_site(r, t, 0);

	for (size_t i = 0; i < table->n_fds; i++) {
		const struct ckpt_fd *fd = &table->fds[i];
		const struct ckpt_file *f = &r->image->files[fd->file];

		/* a lease has done so already */
		if (!(f->flags & O_ASYNC) || is_leased(r->image, fd->file) || has_before(r, t, fd))
			continue;
		if (ckpt_site_call(&s, err, "have a descriptor raise signals", SYS_fcntl,
				   ARGS(fd->fd, F_SETFL, f->flags & SETTABLE)) < 0)
			return -1;
		/* a terminal takes somebody where nobody was set */
		if (!f->owner_pid && set_nobody(r, fd->file, err))
			return -1;
	}
	return 0;
}
