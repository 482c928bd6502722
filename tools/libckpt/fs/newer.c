// SPDX-License-Identifier: GPL-2.0-or-later
/* Newer work: directories are looked through from a list, the newest found first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "fs/meta.h"
#include "fs/newer.h"
#include "fs/path.h"

/* Directories that are still to be looked through, relative to the first. */
struct worklist {
	char **paths;
	size_t n, max;
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

static bool has_changed(const struct ckpt_fs_meta *m, int64_t since_ns)
{
	bool several = !S_ISDIR(m->mode) && m->nlink > 1;

	return (several ? m->mtime_ns : m->ctime_ns) > since_ns;
}

static int look_at(struct worklist *w, int fd, const char *above, const char *name,
		   int64_t since_ns, char **ret_path)
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
	if (has_changed(&m, since_ns)) {
		*ret_path = take_ptr(path);
		return 0;
	}
	if (!S_ISDIR(m.mode))
		return 0;
	rc = add(w, path);
	if (!rc)
		path = NULL;
	return rc;
}

static int look_through(struct worklist *w, int top, const char *above, int64_t since_ns,
			char **ret_path)
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
	while (!rc && !*ret_path && (errno = 0, e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = look_at(w, fd, above, e->d_name, since_ns, ret_path);
	return rc || *ret_path ? rc : -errno;
}

int ckpt_fs_newer(int dirfd, const char *name, int64_t since_ns, char **ret_path)
{
	cleanup_close int top = openat(dirfd, name,
				       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct worklist w = { 0 };
	int rc;

	*ret_path = NULL;
	if (top < 0)
		return errno == ENOTDIR || errno == ENOENT || errno == ELOOP ? 0 : -errno;
	rc = look_through(&w, top, "", since_ns, ret_path);
	while (!rc && !*ret_path && w.n) {
		cleanup_free char *above = w.paths[--w.n];

		rc = look_through(&w, top, above, since_ns, ret_path);
	}
	worklist_done(&w);
	return rc;
}
