// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Timerfds: made in init; they run when the tree does
 *
 * What is left of a time goes on from there.  A time of day stays that time of day.
 */
#include <errno.h>
#include <linux/ioctl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"

#define NS_PER_S 1000000000ll
#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

bool ckpt_timerfd_has_ticks(void)
{
	cleanup_close int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	const uint64_t one = 1;

	return fd >= 0 && !ioctl(fd, TFD_IOC_SET_TICKS, &one);
}

int ckpt_build_timerfd(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_timerfd *t = &r->image->timerfds[r->image->files[index].object];
	int64_t fd = ckpt_site_call(&r->init_site, err, "make a timerfd", SYS_timerfd_create,
				    ARGS(t->clock, TFD_CLOEXEC));

	return fd < 0 ? -1 : ckpt_build_place_new(r, fd, index, err);
}

static struct timespec time_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
}

static int arm(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_timerfd *t = &r->image->timerfds[r->image->files[index].object];
	bool of_day = t->flags & TFD_TIMER_ABSTIME &&
		      (t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM);
	const struct itimerspec spec = {
		.it_interval = time_of(t->interval_ns),
		.it_value = time_of(t->value_ns + (of_day ? (int64_t)r->image->realtime_ns : 0)),
	};
	cleanup_close int own = -1;

	if (!t->value_ns && !t->ticks)
		return 0;
	own = ckpt_build_borrow(r, r->fd_base + index, err);
	if (own < 0)
		return -1;
	if (t->value_ns && timerfd_settime(own, of_day ? t->flags : 0, &spec, NULL))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set a timerfd");
	if (t->ticks && ioctl(own, TFD_IOC_SET_TICKS, &t->ticks))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set the ticks of a timerfd");
	return 0;
}

int ckpt_build_timerfds_arm(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		if (r->image->files[i].kind == CKPT_FILE_TIMERFD && arm(r, i, err))
			return -1;
	}
	return 0;
}
