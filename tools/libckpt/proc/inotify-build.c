// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inotifies: made with the other files, told what to watch when all else is done
 *
 * What the building does with files is then no event to them; what others do from then on is one.
 * What waited in them comes first (inotify-event-build.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/inotify.h"

bool ckpt_inotify_has_numbers(void)
{
	cleanup_close int fd = inotify_init1(IN_CLOEXEC);

	return fd >= 0 && !ioctl(fd, INOTIFY_IOC_SETNEXTWD, 1);
}

int ckpt_inotify_room(size_t n)
{
	cleanup_close int fd = n ? inotify_init1(IN_CLOEXEC) : -1;

	return n && (fd < 0 || ckpt_inotify_room(n - 1)) ? -1 : 0;
}

int ckpt_build_inotify(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	int64_t fd = ckpt_site_call(&r->init_site, err, "make an inotify", SYS_inotify_init1,
				    ARGS(IN_CLOEXEC));

	return fd < 0 ? -1 : ckpt_build_place_new(r, fd, index, err);
}

/* IN_MASK_CREATE: what is one file now was two. */
static int add_watch(struct ckpt_restore *r, size_t index, const struct ckpt_watch *w,
		     struct ckpt_err *err)
{
	const uint32_t mask = w->mask | IN_DONT_FOLLOW | IN_MASK_CREATE |
			      (w->dir ? IN_ONLYDIR : 0);
	const struct ckpt_site *s = &r->init_site;
	uint64_t at = ckpt_site_put(s, 0, w->path, strlen(w->path) + 1, err);
	int64_t wd;

	if (!at || ckpt_site_call(s, err, "number a watch", SYS_ioctl,
				  ARGS(r->fd_base + index, INOTIFY_IOC_SETNEXTWD, w->wd)) < 0 ||
	    ckpt_site_try(s, err, &wd, SYS_inotify_add_watch,
			  ARGS(r->fd_base + index, at, mask)))
		return -1;
	if (wd < 0)
		return ckpt_fail(err, CKPT_FAILED, -wd, "cannot watch %s", w->path);
	return wd == w->wd ? 0 : ckpt_fail(err, CKPT_FAILED, 0, "the watch of %s is %ld, not %d",
					   w->path, wd, w->wd);
}

/* The next watch gets no number of which an event that waits speaks. */
static int set_next(struct ckpt_restore *r, size_t index, const struct ckpt_inotify *in,
		    struct ckpt_err *err)
{
	int32_t last = in->n_watches ? in->watches[in->n_watches - 1].wd : 0, told = last;

	for (size_t i = 0; i < in->n_events; i++) {
		if (in->events[i].wd > told)
			told = in->events[i].wd;
	}
	return told == last || told == INT32_MAX ? 0 :
	       ckpt_site_call(&r->init_site, err, "number a watch", SYS_ioctl,
			      ARGS(r->fd_base + index, INOTIFY_IOC_SETNEXTWD, told + 1)) < 0 ?
	       -1 : 0;
}

int ckpt_build_watches(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];
		const struct ckpt_inotify *in;

		if (f->kind != CKPT_FILE_INOTIFY)
			continue;
		in = &r->image->inotifies[f->object];
		if (in->n_events && ckpt_build_events(r, i, err))
			return -1;
		for (size_t j = 0; j < in->n_watches; j++) {
			if (add_watch(r, i, &in->watches[j], err))
				return -1;
		}
		if (set_next(r, i, in, err))
			return -1;
	}
	return 0;
}
