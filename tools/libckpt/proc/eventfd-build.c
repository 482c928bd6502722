// SPDX-License-Identifier: GPL-2.0-or-later
/* Eventfds: made in init, and filled. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"

int ckpt_build_eventfd(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_eventfd *e = &r->image->eventfds[r->image->files[index].object];
	cleanup_close int own = -1;
	int64_t fd;

	fd = ckpt_site_call(&r->init_site, err, "make an eventfd", SYS_eventfd2,
			    ARGS(0, EFD_CLOEXEC | (e->semaphore ? EFD_SEMAPHORE : 0)));
	if (fd < 0 || ckpt_build_place_new(r, fd, index, err))
		return -1;
	if (!e->count)
		return 0;
	own = ckpt_build_borrow(r, r->fd_base + index, err);
	if (own < 0)
		return -1;
	if (write(own, &e->count, sizeof(e->count)) != sizeof(e->count))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot fill an eventfd");
	return 0;
}
