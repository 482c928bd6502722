// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Epolls: which descriptors they watch, and for what
 *
 * What is watched is an open file, under the number that it had when it was added: that one
 * may be closed by now, or be another file's.  Which file it is, kcmp tells.
 *
 * Which of the watched ones an edge-triggered epoll has told already, nothing shows; after a
 * restore it tells those that are ready once more.
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* Events that are none: how to tell of the others. */
#define FLAGS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EVENTS (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)

#define REFUSE(f, t, format, ...) \
	ckpt_fail(err, CKPT_REFUSED, 0, "pid %d watches descriptor %d by epoll %d, " format \
		  ", which this version cannot restore", (f)->capture_pid, (t)->fd, \
		  (f)->capture_fd, ##__VA_ARGS__)

/* The nth descriptor with this number among those of the epoll. */
static uint32_t nth_of(const struct ckpt_epoll *e, int32_t fd)
{
	uint32_t n = 0;

	for (size_t i = 0; i + 1 < e->n_targets; i++)
		n += e->targets[i].fd == fd;
	return n;
}

static bool is_target(const struct ckpt_file *candidate, const struct ckpt_file *epoll,
		      const struct kcmp_epoll_slot *slot)
{
	return syscall(SYS_kcmp, candidate->capture_pid, epoll->capture_pid, KCMP_EPOLL_TFD,
		       candidate->capture_fd, slot) == 0;
}

static int find_target(const struct ckpt_image *image, const struct ckpt_file *f,
		       const struct ckpt_epoll *e, struct ckpt_epoll_target *t, uint64_t ino,
		       struct ckpt_err *err)
{
	const struct kcmp_epoll_slot slot = {
		.efd = f->capture_fd, .tfd = t->fd, .toff = nth_of(e, t->fd),
	};

	for (uint32_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *o = &image->files[i];

		if (o->capture_fd >= 0 && o->ino == ino && is_target(o, f, &slot)) {
			t->file = i;
			return 0;
		}
	}
	return REFUSE(f, t, "a file that no process of the tree has open any more");
}

/*
 * A signalfd wakes who watches it as the process that added it: of that nothing is known.  What
 * leads out of the tree is another file after a restore, which nobody can watch perhaps.
 */
static int check_target(const struct ckpt_file *f, const struct ckpt_epoll_target *t,
			const struct ckpt_file *target, struct ckpt_err *err)
{
	if (target->kind == CKPT_FILE_SIGNALFD)
		return REFUSE(f, t, "a signalfd");
	if (target->kind == CKPT_FILE_URING)
		return REFUSE(f, t, "an io_uring");
	if (target->kind == CKPT_FILE_OUTER)
		return REFUSE(f, t, "which leads out of the tree");
	if (t->events & EPOLLWAKEUP)
		return REFUSE(f, t, "and keeps the machine awake meanwhile (EPOLLWAKEUP)");
	return 0;
}

/*
 * A one-shot that has fired is off until somebody arms it again.  It is made so by letting it
 * fire once more, for which there must be something to tell.  Timers run last, and to poll an
 * epoll from here may take out of it what only the tree can see.
 */
static int check_fired(const struct ckpt_file *f, const struct ckpt_epoll_target *t,
		       const struct ckpt_file *target, struct ckpt_err *err)
{
	struct pollfd p = { .events = EVENTS };
	cleanup_close int fd = -1;

	if (t->events & ~(uint32_t)FLAGS)
		return 0;
	if (target->kind == CKPT_FILE_TIMERFD || target->kind == CKPT_FILE_EPOLL)
		return REFUSE(f, t, "once, which has happened, %s",
			      target->kind == CKPT_FILE_EPOLL ? "an epoll" : "a timerfd");
	fd = ckpt_borrow_fd(target, err);
	if (fd < 0)
		return -1;
	p.fd = fd;
	if (poll(&p, 1, 0) < 0 && errno != EINTR)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot poll a descriptor");
	return p.revents ? 0 : REFUSE(f, t, "once, which has happened, with nothing to tell now");
}

static int check(const struct ckpt_image *image, const struct ckpt_file *f, struct ckpt_epoll *e,
		 struct ckpt_epoll_target *t, uint64_t ino, struct ckpt_err *err)
{
	return find_target(image, f, e, t, ino, err) ||
	       check_target(f, t, &image->files[t->file], err) ||
	       check_fired(f, t, &image->files[t->file], err) ? -1 : 0;
}

static int read_targets(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_epoll *e,
			const char *fdinfo, struct ckpt_err *err)
{
	struct ckpt_epoll_target t, *list;
	uint64_t ino;
	int more;

	while ((more = ckpt_parse_epoll_line(&fdinfo, &t, &ino)) > 0) {
		t.file = CKPT_NONE;
		list = ckpt_grow(e->targets, &e->n_targets, sizeof(*list));
		if (!list)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an epoll");
		e->targets = list;
		if (ckpt_survey_pass(r->hold->survey, check(r->image, f, e, &t, ino, err), err))
			return -1;
		list[e->n_targets - 1] = t;
	}
	if (more < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot read epoll %d of pid %d",
				 f->capture_fd, f->capture_pid);
	return 0;
}

static int read_epoll(struct ckpt_reader *r, struct ckpt_file *f, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_epoll *list = ckpt_grow(image->epolls, &image->n_epolls, sizeof(*list));

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of epolls");
	image->epolls = list;
	f->object = image->n_epolls - 1;
	if (ckpt_read_fdinfo(r, f, err))
		return -1;
	return read_targets(r, f, &list[f->object], (char *)r->hold->scratch.data, err);
}

int ckpt_read_epolls(struct ckpt_reader *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		struct ckpt_file *f = &r->image->files[i];

		if (f->kind == CKPT_FILE_EPOLL && read_epoll(r, f, err))
			return -1;
	}
	return 0;
}
