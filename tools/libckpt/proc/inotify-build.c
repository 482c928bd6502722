// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inotifies: made with the other files, told what to watch when all else is done
 *
 * What the building does with files is then no event to them; what others do from then on is one.
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

#ifndef INOTIFY_IOC_SETNEXTWD
#define INOTIFY_IOC_SETNEXTWD _IOW('I', 0, int32_t)
#endif

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

int ckpt_build_watches(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];
		const struct ckpt_inotify *in;

		if (f->kind != CKPT_FILE_INOTIFY)
			continue;
		in = &r->image->inotifies[f->object];
		for (size_t j = 0; j < in->n_watches; j++) {
			if (add_watch(r, i, &in->watches[j], err))
				return -1;
		}
	}
	return 0;
}

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
