// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Timerfds: made in init; they run when the tree does
 *
 * What is left of a time goes on from there.  A time of day stays that time of day.
 */
#include <errno.h>
#include <linux/ioctl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/parse.h"

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

/* It repeats, has expired, and nobody has read it since: that one is among its ticks. */
static bool stands_still(const struct ckpt_timerfd *t)
{
	return t->interval_ns && t->ticks && !t->value_ns;
}

static int set_ticks(int own, uint64_t ticks, struct ckpt_err *err)
{
	if (ioctl(own, TFD_IOC_SET_TICKS, &ticks))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set the ticks of a timerfd");
	return 0;
}

/*
 * Ticks that are set take the place of what has expired meanwhile.  A timer expires once until it
 * is read, so there is one at most, and it shows by the time that is left: none.
 */
static int add_ticks(int own, const struct ckpt_timerfd *t, struct ckpt_err *err)
{
	struct pollfd p = { .fd = own, .events = POLLIN };
	cleanup_free char *text = NULL;
	struct ckpt_timerfd now;
	char path[64];

	if (stands_still(t))
		return poll(&p, 1, 1000) == 1 ? set_ticks(own, t->ticks, err) :
		       ckpt_fail(err, CKPT_FAILED, 0, "a timerfd does not expire");
	if (set_ticks(own, t->ticks + (poll(&p, 1, 0) == 1), err))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", own);
	if (ckpt_build_text(path, &text, err) || ckpt_parse_timerfd(text, &now))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot look at a timerfd");
	return t->value_ns && !now.value_ns && now.ticks == t->ticks ?
		set_ticks(own, t->ticks + 1, err) : 0;
}

static int arm(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_timerfd *t = &r->image->timerfds[r->image->files[index].object];
	bool of_day = t->value_ns && ckpt_timerfd_of_day(t);
	const struct itimerspec spec = {
		.it_interval = time_of(t->interval_ns),
		.it_value = time_of(stands_still(t) ? 1 : t->value_ns +
				    (of_day ? (int64_t)r->image->realtime_ns : 0)),
	};
	cleanup_close int own = -1;

	if (!t->value_ns && !t->interval_ns && !t->ticks)
		return 0;
	own = ckpt_build_borrow(r, r->fd_base + index, err);
	if (own < 0)
		return -1;
	if (timerfd_settime(own, of_day ? TFD_TIMER_ABSTIME : 0, &spec, NULL))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set a timerfd");
	return t->ticks ? add_ticks(own, t, err) : 0;
}

int ckpt_build_timerfds_arm(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		if (r->image->files[i].kind == CKPT_FILE_TIMERFD && arm(r, i, err))
			return -1;
	}
	return 0;
}
