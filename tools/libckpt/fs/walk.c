// SPDX-License-Identifier: GPL-2.0-or-later
/* Walk: directories are looked through from a list, the newest found first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "fs/path.h"
#include "fs/walk.h"

/* Directories that are still to be looked through, relative to the first. */
struct worklist {
	char **paths;
	size_t n, max;
	ckpt_fs_visit_fn visit;
	void *arg;
};

static void worklist_done(struct worklist *w)
{
	while (w->n)
		free(w->paths[--w->n]);
	free(w->paths);
}

static int add(struct worklist *w, char *path)
{
	if (w->n == w->max) {
		size_t max = w->max ? w->max * 2 : 64;
		char **paths = realloc(w->paths, max * sizeof(*paths));

		if (!paths)
			return -ENOMEM;
		w->paths = paths;
		w->max = max;
	}
	w->paths[w->n++] = path;
	return 0;
}

static int look_at(struct worklist *w, int fd, const char *above, const char *name)
{
	cleanup_free char *path = NULL;
	struct ckpt_fs_meta m;
	int rc = ckpt_fs_meta_stat(fd, name, &m);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	if (asprintf(&path, "%s%s%s", above, *above ? "/" : "", name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	rc = w->visit(w->arg, path, &m);
	if (rc || !S_ISDIR(m.mode))
		return rc;
	rc = add(w, path);
	if (!rc)
		path = NULL;
	return rc;
}

static int look_through(struct worklist *w, int top, const char *above)
{
	cleanup_closedir DIR *dir = NULL;
	int rc = 0, fd = ckpt_fs_open(top, above, O_RDONLY | O_DIRECTORY);
	struct dirent *e;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		rc = -errno;
		close(fd);
		return rc;
	}
	while (!rc && (errno = 0, e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = look_at(w, fd, above, e->d_name);
	return rc ? rc : -errno;
}

int ckpt_fs_walk(int dirfd, const char *name, ckpt_fs_visit_fn visit, void *arg)
{
	cleanup_close int top = openat(dirfd, name,
				       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct worklist w = { .visit = visit, .arg = arg };
	int rc;

	if (top < 0)
		return errno == ENOTDIR || errno == ENOENT || errno == ELOOP ? 0 : -errno;
	rc = look_through(&w, top, "");
	while (!rc && w.n) {
		cleanup_free char *above = w.paths[--w.n];

		rc = look_through(&w, top, above);
	}
	worklist_done(&w);
	return rc;
}
