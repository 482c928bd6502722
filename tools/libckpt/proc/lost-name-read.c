// SPDX-License-Identifier: GPL-2.0-or-later
/* Another name of a file whose own is gone: sem_open(3) removes the one under which it maps. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/read.h"

#define MOST_NAMES 4096		/* the stop is not to last for them */

bool ckpt_leads_to(const struct ckpt_held_proc *p, const char *path, const struct stat *st)
{
	char full[PATH_MAX + 8];
	struct stat other;

	snprintf(full, sizeof(full), "root%s", path);
	return !fstatat(p->dir, full, &other, AT_SYMLINK_NOFOLLOW) &&
	       other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/* The first of the names that the caller knows. */
static char *known_name(const struct ckpt_hold *hold, const struct ckpt_held_proc *p,
			const struct stat *st)
{
	for (size_t nth = 0; hold->path_of; nth++) {
		cleanup_free char *path = hold->path_of(hold->path_arg, st->st_ino, nth);

		if (!path)
			break;
		if (ckpt_leads_to(p, path, st))
			return take_ptr(path);
	}
	return NULL;
}

/* One in the directory where it had the other; @dir ends with a slash. */
static char *name_in(const struct ckpt_held_proc *p, const char *dir, const struct stat *st)
{
	cleanup_closedir DIR *list = NULL;
	cleanup_close int fd = -1;
	char full[PATH_MAX + 8];
	struct dirent *e;
	char *path;

	snprintf(full, sizeof(full), "root%s", dir);
	fd = openat(p->dir, full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list)
		return NULL;
	fd = -1;
	for (unsigned int i = 0; i < MOST_NAMES && (e = readdir(list)); i++) {
		if (e->d_ino != st->st_ino || asprintf(&path, "%s%s", dir, e->d_name) < 0)
			continue;
		if (ckpt_leads_to(p, path, st))
			return path;
		free(path);
	}
	return NULL;
}

char *ckpt_read_other_name(const struct ckpt_hold *hold, const struct ckpt_held_proc *p,
			   const char *path, const struct stat *st)
{
	char *name = known_name(hold, p, st);
	cleanup_free char *dir = NULL;

	if (name)
		return name;
	/* the look into a directory would be told to who watches it */
	if (hold->sees_reads)
		return NULL;
	dir = strndup(path, strrchr(path, '/') + 1 - path);
	return dir ? name_in(p, dir, st) : NULL;
}
