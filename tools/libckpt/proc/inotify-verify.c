// SPDX-License-Identifier: GPL-2.0-or-later
/* Inotifies as they were made: what they watch, and what waits in them. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/inotify.h"

static int by_number(const void *key, const void *watch)
{
	const int32_t *wd = key;
	const struct ckpt_watch *w = watch;

	return (*wd > w->wd) - (*wd < w->wd);
}

static const struct ckpt_watch *find(const struct ckpt_inotify *in, int32_t wd)
{
	return in->n_watches ? bsearch(&wd, in->watches, in->n_watches, sizeof(*in->watches),
				       by_number) : NULL;
}

int ckpt_verify_inotify(const struct ckpt_inotify *wanted, const char *text, struct ckpt_err *err)
{
	struct ckpt_proc_watch w;
	size_t n = 0;
	int more;

	for (; (more = ckpt_parse_watch_line(&text, &w)) > 0; n++) {
		const struct ckpt_watch *found = find(wanted, w.wd);

		if (!found || found->mask != w.mask)
			return NOT_AS_CAPTURED("watch %d of an inotify is not that of the "
					       "checkpoint", w.wd);
	}
	if (more < 0 || n != wanted->n_watches)
		return NOT_AS_CAPTURED("an inotify has %zu watches instead of %zu", n,
				       wanted->n_watches);
	return 0;
}

/* What is known of more than that is of events that others have made since. */
int ckpt_verify_events(struct ckpt_restore *r, const struct ckpt_file *f, struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_build_borrow(r, r->fd_base + (f - r->image->files), err);
	const struct ckpt_inotify *wanted = &r->image->inotifies[f->object];
	struct ckpt_inotify now = { 0 };
	enum ckpt_events_state state;
	int waiting;
	bool same;

	if (fd < 0)
		return -1;
	if (ioctl(fd, FIONREAD, &waiting))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at an inotify");
	same = waiting >= (int64_t)ckpt_events_len(wanted);
	if (same && wanted->n_events) {
		if (!r->inotify_peek_tried)
			(void)ckpt_inotify_peek_open(&r->inotify_peek);
		r->inotify_peek_tried = true;
		state = ckpt_inotify_peek(&r->inotify_peek, fd, &now);
		same = r->inotify_peek.program < 0 ||
		       (state != CKPT_EVENTS_UNKNOWN && ckpt_events_same(wanted, &now));
		ckpt_events_forget(&now);
	}
	return same ? 0 : NOT_AS_CAPTURED("the events that wait in an inotify are not those of the "
					  "checkpoint");
}
