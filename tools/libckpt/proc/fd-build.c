// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptor tables, working directory and root of processes
 *
 * What is open in init before there are processes they inherit.  What can only be opened when
 * they are there, each takes over from init afterwards.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "proc/build.h"

/* root first: the working directory may lie outside of it. */
static int build_dirs(struct ckpt_restore *r, const struct ckpt_site *s,
		      const struct ckpt_task *task, struct ckpt_err *err)
{
	uint64_t at;

	if (task->root != CKPT_NONE) {
		at = ckpt_site_put(s, 0, ".", 2, err);
		if (!at || ckpt_site_call(s, err, "enter its root", SYS_fchdir,
					  ARGS(r->fd_base + task->root)) < 0 ||
		    ckpt_site_call(s, err, "change its root", SYS_chroot, ARGS(at)) < 0)
			return -1;
	}
	if (ckpt_site_call(s, err, "enter its working directory", SYS_fchdir,
			   ARGS(r->fd_base + task->cwd)) < 0)
		return -1;
	return 0;
}

/* Is it open in init only when all processes and threads are there? */
static bool is_late(const struct ckpt_restore *r, const struct ckpt_fd *fd)
{
	const uint32_t kind = r->image->files[fd->file].kind;

	return kind == CKPT_FILE_PIDFD || kind == CKPT_FILE_PROC;
}

/* Is it the first one that has this table? */
static bool has_first(const struct ckpt_restore *r, const struct ckpt_build_task *t)
{
	for (const struct ckpt_build_task *o = r->tasks; o < t; o++) {
		if (o->task->state != CKPT_TASK_ZOMBIE && o->task->fdtable == t->task->fdtable)
			return false;
	}
	return true;
}

/* All that have this table find their directories in it, as long as it is that of init. */
static int build_all_dirs(struct ckpt_restore *r, const struct ckpt_build_task *first,
			  struct ckpt_err *err)
{
	const struct ckpt_build_task *end = r->tasks + r->image->n_tasks;

	for (const struct ckpt_build_task *t = first; t < end; t++) {
		const struct ckpt_site s = ckpt_build_site(r, t, 0);

		if (t->task->state != CKPT_TASK_ZOMBIE &&
		    t->task->fdtable == first->task->fdtable &&
		    (build_dirs(r, &s, t->task, err) ||
		     ckpt_site_call(&s, err, "set its umask", SYS_umask,
				    ARGS(t->task->umask)) < 0))
			return -1;
	}
	return 0;
}

int ckpt_build_fds(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_fdtable *table = &r->image->fdtables[t->task->fdtable];
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	size_t i;

	if (!has_first(r, t))
		return 0;
	if (build_all_dirs(r, t, err) ||
	    ckpt_site_call(&s, err, "close descriptors", SYS_close_range,
			   ARGS(0, r->fd_base - 1, 0)) < 0)
		return -1;
	for (i = 0; i < table->n_fds; i++) {
		const struct ckpt_fd *fd = &table->fds[i];

		if (is_late(r, fd))
			continue;
		if (ckpt_site_call(&s, err, "place a descriptor", SYS_dup3,
				   ARGS(r->fd_base + fd->file, fd->fd,
					fd->cloexec ? O_CLOEXEC : 0)) < 0)
			return -1;
	}
	return ckpt_site_call(&s, err, "close descriptors", SYS_close_range,
			      ARGS(r->fd_base, ~0u, 0)) < 0 ? -1 : 0;
}

/* Take over a descriptor of init, which the number it gets first may be meant for. */
static int fetch(const struct ckpt_restore *r, const struct ckpt_site *s, const struct ckpt_fd *fd,
		 struct ckpt_err *err)
{
	int64_t got = ckpt_site_call(s, err, "take over a descriptor of init", SYS_pidfd_getfd,
				     ARGS(r->fd_base, r->fd_base + fd->file, 0));

	if (got < 0)
		return -1;
	if (got == fd->fd)
		return ckpt_site_call(s, err, "set a descriptor's flag", SYS_fcntl,
				      ARGS(got, F_SETFD, fd->cloexec ? FD_CLOEXEC : 0)) < 0 ?
		       -1 : 0;
	if (ckpt_site_call(s, err, "place a descriptor", SYS_dup3,
			   ARGS(got, fd->fd, fd->cloexec ? O_CLOEXEC : 0)) < 0 ||
	    ckpt_site_call(s, err, "close a descriptor", SYS_close, ARGS(got)) < 0)
		return -1;
	return 0;
}

/* Init itself as descriptor fd_base of @s, above all of its own. */
static int open_init(const struct ckpt_restore *r, const struct ckpt_site *s, struct ckpt_err *err)
{
	const int32_t pid = r->private_pidns ? 1 : r->init.pid;
	int64_t fd = ckpt_site_call(s, err, "open init", SYS_pidfd_open, ARGS(pid, 0));

	if (fd < 0 ||
	    ckpt_site_call(s, err, "place a descriptor", SYS_dup3,
			   ARGS(fd, r->fd_base, O_CLOEXEC)) < 0 ||
	    ckpt_site_call(s, err, "close a descriptor", SYS_close, ARGS(fd)) < 0)
		return -1;
	return 0;
}

int ckpt_build_late_fds(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_fdtable *table = &r->image->fdtables[t->task->fdtable];
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	size_t i, n = 0;

	for (i = 0; i < table->n_fds && has_first(r, t); i++) {
		if (!is_late(r, &table->fds[i]))
			continue;
		if ((!n++ && open_init(r, &s, err)) || fetch(r, &s, &table->fds[i], err))
			return -1;
	}
	return n && ckpt_site_call(&s, err, "close a descriptor", SYS_close,
				   ARGS(r->fd_base)) < 0 ? -1 : 0;
}
