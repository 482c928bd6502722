// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Timerfds: when they expire, and how often they have
 *
 * One that repeats stands still from its first expiration on until somebody reads it or asks for
 * its time: only then the kernel counts those that there have been since, and when the next
 * one is.  So it is asked.  If it has expired once more by the time it is looked at, it stands
 * still again: ticks, and no time that is left.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <time.h>
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
	cleanup_close int fd = ckpt_borrow_fd(f, err);
	struct itimerspec left;

	if (fd < 0)
		return -1;
	if (timerfd_gettime(fd, &left))
		return fail(f, errno, err);
	if (ckpt_read_fdinfo(r, f, err))
		return -1;
	return ckpt_parse_timerfd((char *)r->hold->scratch.data, ret) ? fail(f, 0, err) : 0;
}

/* A time of day counts from when the clocks were read, as the image tells it. */
static void since_clocks(const struct ckpt_image *image, struct ckpt_timerfd *t)
{
	int64_t now, most = INT64_MAX - image->realtime_ns;
	struct timespec ts;

	if (!t->value_ns || !ckpt_timerfd_of_day(t) || clock_gettime(CLOCK_REALTIME, &ts))
		return;
	now = ts.tv_sec * 1000000000ll + ts.tv_nsec - image->realtime_ns;
	t->value_ns = t->value_ns > most - now ? most : t->value_ns + now;
	if (t->value_ns < 1)
		t->value_ns = 1;
}

/* @t as fdinfo shows it, made what is to be stored. */
static int settle(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_timerfd *t,
		  struct ckpt_err *err)
{
	if (t->ticks && t->interval_ns && !t->value_ns && count_on(r, f, t, err))
		return -1;
	/* The kernel shows the ticks a moment after the time that is left. */
	if (t->ticks && !t->interval_ns)
		t->value_ns = 0;
	since_clocks(r->image, t);
	return 0;
}

int ckpt_read_timerfds_again(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;

	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];
		struct ckpt_timerfd *t;

		if (f->kind != CKPT_FILE_TIMERFD)
			continue;
		t = &image->timerfds[f->object];
		if (t->value_ns || t->ticks)
			continue;
		if (ckpt_read_fdinfo(r, f, err))
			return -1;
		if (ckpt_parse_timerfd((char *)r->hold->scratch.data, t))
			return fail(f, 0, err);
		if (settle(r, f, t, err))
			return -1;
	}
	return 0;
}

int ckpt_read_timerfd(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		      struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_timerfd t, *list;

	if (ckpt_parse_timerfd(fdinfo, &t))
		return fail(f, 0, err);
	if (t.flags & TFD_TIMER_CANCEL_ON_SET)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d has a timer on descriptor %d that ends when the clock is set, "
			"which this version cannot restore", f->capture_pid, f->capture_fd);
	if (settle(r, f, &t, err))
		return -1;
	list = ckpt_grow(image->timerfds, &image->n_timerfds, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of timerfds");
	image->timerfds = list;
	f->object = image->n_timerfds - 1;
	list[f->object] = t;
	return 0;
}
