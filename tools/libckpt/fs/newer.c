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

/* Directories yet to be looked through, relative to the first. */
struct todo {
	char **paths;
	size_t n, max;
};

static void todo_done(struct todo *t)
{
	while (t->n)
		free(t->paths[--t->n]);
	free(t->paths);
}

static int add(struct todo *t, char *path)
{
	if (t->n == t->max) {
		size_t max = t->max ? t->max * 2 : 64;
		char **paths = realloc(t->paths, max * sizeof(*paths));

		if (!paths)
			return -ENOMEM;
		t->paths = paths;
		t->max = max;
	}
	t->paths[t->n++] = path;
	return 0;
}

static bool has_changed(const struct ckpt_fs_meta *m, int64_t since_ns)
{
	bool several = !S_ISDIR(m->mode) && m->nlink > 1;

	return (several ? m->mtime_ns : m->ctime_ns) > since_ns;
}

static int look_at(struct todo *t, int fd, const char *above, const char *name, int64_t since_ns,
		   char **ret_path)
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
	rc = add(t, path);
	if (!rc)
		path = NULL;
	return rc;
}

static int look_through(struct todo *t, int top, const char *above, int64_t since_ns,
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
			rc = look_at(t, fd, above, e->d_name, since_ns, ret_path);
	return rc || *ret_path ? rc : -errno;
}

int ckpt_fs_newer(int dirfd, const char *name, int64_t since_ns, char **ret_path)
{
	cleanup_close int top = openat(dirfd, name,
				       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct todo t = { 0 };
	int rc;

	*ret_path = NULL;
	if (top < 0)
		return errno == ENOTDIR || errno == ENOENT || errno == ELOOP ? 0 : -errno;
	rc = look_through(&t, top, "", since_ns, ret_path);
	while (!rc && !*ret_path && t.n) {
		cleanup_free char *above = t.paths[--t.n];

		rc = look_through(&t, top, above, since_ns, ret_path);
	}
	todo_done(&t);
	return rc;
}
