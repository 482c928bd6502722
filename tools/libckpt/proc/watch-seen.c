// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths of what is watched, looked for while the tree runs
 *
 * An editor or a build tool watches thousands of files.  Within the stop one look at each tells
 * whether it is where it was before.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proc/procfs.h"
#include "proc/read.h"

static int compare(const struct ckpt_proc_watch *a, const struct ckpt_proc_watch *b)
{
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return (a->ino > b->ino) - (a->ino < b->ino);
}

static int by_inode(const void *a, const void *b)
{
	return compare(&((const struct ckpt_seen_watch *)a)->watch,
		       &((const struct ckpt_seen_watch *)b)->watch);
}

int ckpt_watches_see(struct ckpt_hold *hold, struct ckpt_points *points, const char *fdinfo,
		     struct ckpt_err *err)
{
	struct ckpt_seen_watch seen = { 0 }, *list;
	struct stat st;
	int found;

	while (ckpt_parse_watch_line(&fdinfo, &seen.watch) > 0) {
		found = ckpt_watch_path(points, hold, &seen.watch, &seen.path, &st, err);
		if (found < 0)
			return -1;
		if (!found)
			continue;	/* it may have gone meanwhile */
		list = ckpt_grow(hold->watches, &hold->n_watches, sizeof(*list));
		if (!list) {
			free(seen.path);
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of watches");
		}
		seen.dev = st.st_dev;
		seen.ino = st.st_ino;
		hold->watches = list;
		list[hold->n_watches - 1] = seen;
	}
	return 0;
}

void ckpt_watches_sort(struct ckpt_hold *hold)
{
	if (hold->n_watches)
		qsort(hold->watches, hold->n_watches, sizeof(*hold->watches), by_inode);
}

char *ckpt_watch_seen(const struct ckpt_hold *hold, const struct ckpt_proc_watch *w,
		      struct stat *ret)
{
	const struct ckpt_seen_watch key = { .watch = *w }, *s;

	if (!hold->n_watches)
		return NULL;
	s = bsearch(&key, hold->watches, hold->n_watches, sizeof(*s), by_inode);
	if (!s || s->watch.handle_len != w->handle_len ||
	    s->watch.handle_type != w->handle_type ||
	    memcmp(s->watch.handle, w->handle, w->handle_len) ||
	    fstatat(AT_FDCWD, s->path, ret, AT_SYMLINK_NOFOLLOW) ||
	    ret->st_dev != s->dev || ret->st_ino != s->ino)
		return NULL;
	return strdup(s->path);
}
