// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptor tables, working directory and root of processes. */
#include <fcntl.h>
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

int ckpt_build_fds(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_fdtable *table = &r->image->fdtables[t->task->fdtable];
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	size_t i;

	if (build_dirs(r, &s, t->task, err) ||
	    ckpt_site_call(&s, err, "close descriptors", SYS_close_range,
			   ARGS(0, r->fd_base - 1, 0)) < 0)
		return -1;
	for (i = 0; i < table->n_fds; i++) {
		const struct ckpt_fd *fd = &table->fds[i];

		if (ckpt_site_call(&s, err, "place a descriptor", SYS_dup3,
				   ARGS(r->fd_base + fd->file, fd->fd,
					fd->cloexec ? O_CLOEXEC : 0)) < 0)
			return -1;
	}
	if (ckpt_site_call(&s, err, "close descriptors", SYS_close_range,
			   ARGS(r->fd_base, ~0u, 0)) < 0)
		return -1;
	return ckpt_site_call(&s, err, "set its umask", SYS_umask, ARGS(t->task->umask)) < 0
		? -1 : 0;
}
