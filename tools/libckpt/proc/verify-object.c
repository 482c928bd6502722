// SPDX-License-Identifier: GPL-2.0-or-later
/* Comparison of what descriptors lead to with the image, by what fdinfo shows. */
#include "proc/build.h"
#include "proc/parse.h"
#include "proc/uring.h"

static int verify_eventfd(const struct ckpt_eventfd *wanted, const char *text,
			  struct ckpt_err *err)
{
	struct ckpt_eventfd e;
	bool known;

	if (ckpt_parse_eventfd(text, &e, &known) || e.count != wanted->count ||
	    (known && e.semaphore != wanted->semaphore))
		return NOT_AS_CAPTURED("an eventfd is not that of the checkpoint");
	return 0;
}

/* It does not run yet. */
static int verify_timerfd(const struct ckpt_timerfd *wanted, const char *text,
			  struct ckpt_err *err)
{
	struct ckpt_timerfd t;

	if (ckpt_parse_timerfd(text, &t) || t.clock != wanted->clock)
		return NOT_AS_CAPTURED("a timerfd is not that of the checkpoint");
	return 0;
}

static int verify_signalfd(const struct ckpt_signalfd *wanted, const char *text,
			   struct ckpt_err *err)
{
	struct ckpt_signalfd s;

	if (ckpt_parse_signalfd(text, &s) || s.mask != wanted->mask)
		return NOT_AS_CAPTURED("a signalfd is not that of the checkpoint");
	return 0;
}

static bool has_target(const struct ckpt_epoll *e, const struct ckpt_epoll_target *t)
{
	for (size_t i = 0; i < e->n_targets; i++) {
		if (e->targets[i].fd == t->fd && e->targets[i].events == t->events &&
		    e->targets[i].data == t->data)
			return true;
	}
	return false;
}

static int verify_epoll(const struct ckpt_epoll *wanted, const char *text, struct ckpt_err *err)
{
	struct ckpt_epoll_target t;
	uint64_t ino;
	size_t n = 0;
	int more;

	while ((more = ckpt_parse_epoll_line(&text, &t, &ino)) > 0) {
		n++;
		if (!has_target(wanted, &t))
			return NOT_AS_CAPTURED("an epoll watches descriptor %d otherwise than in "
					       "the checkpoint", t.fd);
	}
	if (more < 0 || n != wanted->n_targets)
		return NOT_AS_CAPTURED("an epoll watches %zu descriptors instead of %zu", n,
				       wanted->n_targets);
	return 0;
}

static int verify_uring(const struct ckpt_uring *wanted, const char *text, struct ckpt_err *err)
{
	struct ckpt_proc_uring u;

	if (ckpt_parse_uring(text, &u) || u.sq_mask != wanted->sq_entries - 1 ||
	    u.cq_mask != wanted->cq_entries - 1 || u.sq_cached != u.cq_cached ||
	    u.sq_cached != ckpt_uring_word(wanted, CKPT_URING_SQ_HEAD) ||
	    u.sq_head != u.sq_cached || u.cq_tail != u.cq_cached ||
	    u.sq_tail != ckpt_uring_word(wanted, CKPT_URING_SQ_TAIL) ||
	    u.cq_head != ckpt_uring_word(wanted, CKPT_URING_CQ_HEAD))
		return NOT_AS_CAPTURED("an io_uring is not that of the checkpoint");
	return 0;
}

int ckpt_verify_object(struct ckpt_restore *r, const struct ckpt_file *f, const char *text,
		       struct ckpt_err *err)
{
	switch (f->kind) {
	case CKPT_FILE_EVENTFD:
		return verify_eventfd(&r->image->eventfds[f->object], text, err);
	case CKPT_FILE_TIMERFD:
		return verify_timerfd(&r->image->timerfds[f->object], text, err);
	case CKPT_FILE_SIGNALFD:
		return verify_signalfd(&r->image->signalfds[f->object], text, err);
	case CKPT_FILE_EPOLL:
		return verify_epoll(&r->image->epolls[f->object], text, err);
	case CKPT_FILE_INOTIFY:
		return ckpt_verify_inotify(&r->image->inotifies[f->object], text, err) ||
		       ckpt_verify_events(r, f, err) ? -1 : 0;
	case CKPT_FILE_PIDFD:
		return ckpt_verify_pidfd(r, &r->image->pidfds[f->object], text, err);
	case CKPT_FILE_PTM:
	case CKPT_FILE_PTS:
		return ckpt_verify_pty(r, f, err);
	case CKPT_FILE_URING:
		return verify_uring(&r->image->urings[f->object], text, err);
	default:
		return 0;
	}
}
