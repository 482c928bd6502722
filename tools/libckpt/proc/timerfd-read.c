// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Timerfds: when they expire, and how often they have
 *
 * One that repeats stands still from its first expiration on until somebody reads it or asks for
 * its time: only then the kernel counts those that there have been since, and when the next
 * one is.  So it is asked.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

static int fail(const struct ckpt_file *f, int os, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, os, "cannot read timerfd %d of pid %d", f->capture_fd,
			 f->capture_pid);
}

static int count_on(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_timerfd *ret,
		    struct ckpt_err *err)
{
	struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);
	cleanup_close int fd = ckpt_borrow_fd(f, err);
	struct itimerspec left;
	char name[32];
	int e;

	if (fd < 0)
		return -1;
	if (timerfd_gettime(fd, &left))
		return fail(f, errno, err);
	snprintf(name, sizeof(name), "fdinfo/%d", f->capture_fd);
	e = ckpt_procfs_read(p->dir, name, &r->hold->scratch);
	if (e || ckpt_parse_timerfd((char *)r->hold->scratch.data, ret))
		return fail(f, -e, err);
	/* It may have expired once more since then, and stands still again. */
	if (!ret->value_ns)
		ret->value_ns = 1;
	return 0;
}

int ckpt_read_timerfd(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		      struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_timerfd t, *list;

	if (ckpt_parse_timerfd(fdinfo, &t))
		return fail(f, 0, err);
	if (t.ticks && t.interval_ns && !t.value_ns && count_on(r, f, &t, err))
		return -1;
	list = ckpt_grow(image->timerfds, &image->n_timerfds, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of timerfds");
	image->timerfds = list;
	f->object = image->n_timerfds - 1;
	list[f->object] = t;
	return 0;
}
