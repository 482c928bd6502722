// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Epolls: made in init, and all that they watch added there
 *
 * What is watched is an open file under a number, so for the moment of each call init has that
 * file under that number.  It stays watched when the number goes, for the file stays open.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "proc/build.h"
#include "proc/remote.h"

/* Events that are none: how to tell of the others. */
#define FLAGS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EVENTS (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP)

int ckpt_build_epoll(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	int64_t fd = ckpt_site_call(&r->init_site, err, "make an epoll", SYS_epoll_create1,
				    ARGS(EPOLL_CLOEXEC));

	return fd < 0 ? -1 : ckpt_build_place_new(r, fd, index, err);
}

/* Let a one-shot fire, so that it is off: the first one in its epoll, so nothing else is told. */
static int fire(struct ckpt_restore *r, uint32_t epoll, struct ckpt_err *err)
{
	const struct ckpt_site *s = &r->init_site;
	int64_t n = ckpt_site_call(s, err, "wait for an epoll", SYS_epoll_wait,
				   ARGS(epoll, s->scratch, 1, 0));

	if (n < 0)
		return -1;
	return n == 1 ? 0 : ckpt_fail(err, CKPT_FAILED, 0, "a watched descriptor that had "
				      "something to tell has nothing");
}

static int watch(struct ckpt_restore *r, uint32_t epoll, const struct ckpt_epoll_target *t,
		 struct ckpt_err *err)
{
	const struct ckpt_site *s = &r->init_site;
	bool fired = !(t->events & ~(uint32_t)FLAGS);
	struct epoll_event event = {
		.events = t->events | (fired ? EVENTS : 0),
		.data.u64 = t->data,
	};
	uint64_t at = ckpt_site_put(s, 0, &event, sizeof(event), err);

	if (!at || ckpt_site_call(s, err, "lend a number", SYS_dup3,
				  ARGS(r->fd_base + t->file, t->fd, O_CLOEXEC)) < 0 ||
	    ckpt_site_call(s, err, "watch a descriptor", SYS_epoll_ctl,
			   ARGS(epoll, EPOLL_CTL_ADD, t->fd, at)) < 0 ||
	    ckpt_site_call(s, err, "take a number back", SYS_close, ARGS(t->fd)) < 0)
		return -1;
	return fired ? fire(r, epoll, err) : 0;
}

/* Whatever init has under that number is out of the way meanwhile. */
static int watch_aside(struct ckpt_restore *r, uint32_t epoll, const struct ckpt_epoll_target *t,
		       struct ckpt_err *err)
{
	const struct ckpt_site *s = &r->init_site;
	int64_t flags, kept;

	if (ckpt_site_try(s, err, &flags, SYS_fcntl, ARGS(t->fd, F_GETFD)))
		return -1;
	if (flags < 0)
		return watch(r, epoll, t, err);
	kept = ckpt_site_call(s, err, "keep a descriptor", SYS_fcntl,
			      ARGS(t->fd, F_DUPFD_CLOEXEC, r->fd_base + r->image->n_files + 1));
	if (kept < 0 || watch(r, epoll, t, err) ||
	    ckpt_site_call(s, err, "put a descriptor back", SYS_dup3,
			   ARGS(kept, t->fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0)) < 0 ||
	    ckpt_site_call(s, err, "close a descriptor", SYS_close, ARGS(kept)) < 0)
		return -1;
	return 0;
}

static int fill(struct ckpt_restore *r, size_t index, bool fired, struct ckpt_err *err)
{
	const struct ckpt_epoll *e = &r->image->epolls[r->image->files[index].object];

	for (size_t i = 0; i < e->n_targets; i++) {
		const struct ckpt_epoll_target *t = &e->targets[i];

		if (!(t->events & ~(uint32_t)FLAGS) == fired &&
		    watch_aside(r, r->fd_base + index, t, err))
			return -1;
	}
	return 0;
}

int ckpt_build_epolls(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		if (r->image->files[i].kind == CKPT_FILE_EPOLL &&
		    (fill(r, i, true, err) || fill(r, i, false, err)))
			return -1;
	}
	return 0;
}
