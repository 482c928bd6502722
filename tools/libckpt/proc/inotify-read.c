// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inotifies: what they watch, and what waits in them
 *
 * Which number the next watch gets is not told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

static int by_number(const void *a, const void *b)
{
	const struct ckpt_watch *x = a, *y = b;

	return (x->wd > y->wd) - (x->wd < y->wd);
}

void ckpt_watches_order(struct ckpt_inotify *in)
{
	if (in->n_watches)
		qsort(in->watches, in->n_watches, sizeof(*in->watches), by_number);
}

static int add_watch(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_inotify *in,
		     const struct ckpt_proc_watch *w, struct ckpt_err *err)
{
	struct ckpt_watch *list = ckpt_grow(in->watches, &in->n_watches, sizeof(*list)), *watch;
	struct stat st;
	int found;

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a watch");
	in->watches = list;
	watch = &list[in->n_watches - 1];
	watch->path = ckpt_watch_seen(r->hold, w, &st);
	found = watch->path ? 1 : ckpt_watch_path(&r->points, r->hold, w, &watch->path, &st, err);
	if (found < 0)
		return -1;
	/* who only asks what is in the way may know no names of its own */
	if (!found && r->hold->survey && !r->hold->path_of) {
		in->n_watches--;
		return 0;
	}
	if (!found)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d watches inode %lu of device %u:%u by inotify %d, to which no path "
			"is known (deleted, forgotten, or on a file system that tells none), which "
			"this version cannot restore", f->capture_pid, w->ino, w->dev >> 20,
			w->dev & 0xfffff, f->capture_fd);
	watch->wd = w->wd;
	watch->mask = w->mask;
	watch->dir = S_ISDIR(st.st_mode);
	return 0;
}

static int read_watches(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_inotify *in,
			const char *fdinfo, struct ckpt_err *err)
{
	struct ckpt_proc_watch w;
	int more;

	while ((more = ckpt_parse_watch_line(&fdinfo, &w)) > 0) {
		if (add_watch(r, f, in, &w, err))
			return -1;
	}
	if (more < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot read inotify %d of pid %d",
				 f->capture_fd, f->capture_pid);
	ckpt_watches_order(in);
	return 0;
}

int ckpt_read_inotify(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		      struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_inotify *list = ckpt_grow(image->inotifies, &image->n_inotifies,
					      sizeof(*list));

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of inotifies");
	image->inotifies = list;
	f->object = image->n_inotifies - 1;
	if (read_watches(r, f, &list[f->object], fdinfo, err))
		return -1;
	/* last: a watch that has gone meanwhile has left an event */
	if (ckpt_queue_note(r->hold, f->capture_pid, f->capture_fd, NULL, err))
		return -1;
	if (!ckpt_queue_read(r->hold, f->capture_pid, f->capture_fd, &list[f->object], err))
		return 0;
	/* it was not so a moment ago, or nobody knew of it: the next stop waits for a reader */
	return err && err->status == CKPT_REFUSED ? ckpt_fail_passing(err) : -1;
}
