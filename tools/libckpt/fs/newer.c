// SPDX-License-Identifier: GPL-2.0-or-later
/* Newer work: what has changed in a directory since a restore was planned. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/newer.h"
#include "fs/walk.h"

struct look {
	int64_t since_ns;
	char *found;
};

static bool has_changed(const struct ckpt_fs_meta *m, int64_t since_ns)
{
	bool several = !S_ISDIR(m->mode) && m->nlink > 1;

	return (several ? m->mtime_ns : m->ctime_ns) > since_ns;
}

static int look_at(void *arg, const char *path, const struct ckpt_fs_meta *m)
{
	struct look *l = arg;

	if (!has_changed(m, l->since_ns))
		return 0;
	l->found = strdup(path);
	return l->found ? 1 : -ENOMEM;
}

int ckpt_fs_newer(int dirfd, const char *name, int64_t since_ns, char **ret_path)
{
	struct look l = { .since_ns = since_ns };
	int rc = ckpt_fs_walk(dirfd, name, look_at, &l);

	*ret_path = l.found;
	return rc < 0 ? rc : 0;
}
