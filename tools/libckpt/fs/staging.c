// SPDX-License-Identifier: GPL-2.0-or-later
/* Staging: nodes of a checkpoint made anew in a stage directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/path.h"
#include "fs/staging.h"

void ckpt_fs_staging_start(struct ckpt_fs_staging *s, const struct ckpt_source *source, void *buf,
			   struct ckpt_fs_stats *stats)
{
	*s = (struct ckpt_fs_staging){ .source = source, .buf = buf, .stats = stats };
}

void ckpt_fs_staging_done(struct ckpt_fs_staging *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->copies[i].path);
	free(s->copies);
	s->copies = NULL;
	s->n = 0;
}

static int link_to(int from_dir, const char *from, int dir, const char *name, struct ckpt_err *err)
{
	const char *last;
	cleanup_close int parent = ckpt_fs_open_parent(from_dir, from, &last);

	if (parent < 0)
		return ckpt_fail(err, CKPT_FAILED, -parent, "open %s", from);
	if (linkat(parent, last, dir, name, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "link to %s", from);
	return 0;
}

static int remember(struct ckpt_fs_staging *s, int stage, const char *path,
		    struct ckpt_fs_inode *i, struct ckpt_err *err)
{
	struct ckpt_fs_staged *copies = realloc(s->copies, (s->n + 1) * sizeof(*copies));
	char *copy = strdup(path);

	if (copies)
		s->copies = copies;
	if (!copies || !copy) {
		free(copy);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a restore");
	}
	copies[s->n++] = (struct ckpt_fs_staged){ stage, copy };
	i->staged = s->n;
	return 0;
}

/* The empty node; metadata follows. Return: descriptor or -1. */
static int create(struct ckpt_fs_staging *s, int dir, const char *name,
		  const struct ckpt_fs_inode *i, struct ckpt_err *err)
{
	const struct ckpt_fs_meta *m = &i->meta;
	int fd, rc;

	if (S_ISREG(m->mode)) {
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "create a file");
		if (ckpt_fs_content_write(fd, m->size, s->source, i->space, s->buf, name, s->stats,
					  err)) {
			close(fd);
			return -1;
		}
		return fd;
	}
	if (S_ISDIR(m->mode))
		rc = mkdirat(dir, name, 0700);
	else if (S_ISLNK(m->mode))
		rc = symlinkat(m->target, dir, name);
	else
		rc = mknodat(dir, name, (m->mode & S_IFMT) | 0600,
			     makedev(m->rdev >> 32, m->rdev & UINT32_MAX));
	fd = rc ? -1 : openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? ckpt_fail(err, CKPT_FAILED, errno, "create a node") : fd;
}

/* One node without what is below it. */
static int put_one(struct ckpt_fs_staging *s, int stage, const char *path,
		   struct ckpt_fs_inode *i, struct ckpt_err *err)
{
	const char *name;
	cleanup_close int dir = ckpt_fs_open_parent(stage, path, &name), fd = -1;

	if (dir < 0)
		return ckpt_fail(err, CKPT_FAILED, -dir, "open a stage");
	if (i->keeper) {
		struct ckpt_fs_root *root;
		cleanup_free char *from = ckpt_fs_path(i->keeper->dir, i->keeper->name, &root);

		if (!from)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a restore");
		return link_to(root->fd, from, dir, name, err);
	}
	if (i->staged)
		return link_to(s->copies[i->staged - 1].stage, s->copies[i->staged - 1].path, dir,
			       name, err);
	fd = create(s, dir, name, i, err);
	if (fd < 0)
		return -1;
	s->stats->nodes++;
	if (!ckpt_fs_is_dir(i) && ckpt_fs_meta_apply(fd, &i->meta, i->names->name, err))
		return -1;
	return i->names && i->names->other ? remember(s, stage, path, i, err) : 0;
}

/* A directory that was made, with its path in the stage. */
struct made {
	struct ckpt_fs_inode *dir;
	char *path;
};

static void made_done(struct made **list)
{
	for (struct made *m = *list; m && m->dir; m++)
		free(m->path);
	free(*list);
}

static int add_made(struct made **list, size_t *n, struct ckpt_fs_inode *dir, const char *path,
		    struct ckpt_err *err)
{
	struct made *grown = realloc(*list, (*n + 2) * sizeof(*grown));
	char *copy = strdup(path);

	if (grown) {
		*list = grown;
		grown[*n + 1].dir = grown[*n].dir = NULL;
	}
	if (!grown || !copy) {
		free(copy);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a restore");
	}
	grown[(*n)++] = (struct made){ dir, copy };
	return 0;
}

/* The list of directories grows while it is worked off; their times are set when all is in them. */
static int put_below(struct ckpt_fs_staging *s, int stage, struct made **list, size_t *n,
		     struct ckpt_err *err)
{
	for (size_t at = 0; at < *n; at++)
		for (struct ckpt_fs_node *c = (*list)[at].dir->first; c; c = c->next) {
			cleanup_free char *path = NULL;

			if (asprintf(&path, "%s/%s", (*list)[at].path, c->name) < 0)
				return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a restore");
			if (put_one(s, stage, path, c->inode, err))
				return -1;
			if (ckpt_fs_is_dir(c->inode) &&
			    add_made(list, n, c->inode, path, err))
				return -1;
		}
	for (size_t at = *n; at--;) {
		cleanup_close int fd = ckpt_fs_open(stage, (*list)[at].path, O_PATH | O_DIRECTORY);

		if (fd < 0)
			return ckpt_fail(err, CKPT_FAILED, -fd, "open a stage");
		if (ckpt_fs_meta_apply(fd, &(*list)[at].dir->meta, (*list)[at].path, err))
			return -1;
	}
	return 0;
}

int ckpt_fs_staging_put(struct ckpt_fs_staging *s, int stage, const char *path,
			struct ckpt_fs_inode *inode, struct ckpt_err *err)
{
	cleanup_with(made_done) struct made *list = NULL;
	size_t n = 0;

	if (put_one(s, stage, path, inode, err))
		return -1;
	if (!ckpt_fs_is_dir(inode))
		return 0;
	if (add_made(&list, &n, inode, path, err))
		return -1;
	return put_below(s, stage, &list, &n, err);
}
