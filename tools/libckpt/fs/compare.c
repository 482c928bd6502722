// SPDX-License-Identifier: GPL-2.0-or-later
/* Comparison of live roots with those of a checkpoint. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/compare.h"
#include "fs/path.h"
#include "fs/round.h"
#include "fs/stage.h"

int ckpt_fs_compare_start(struct ckpt_fs_compare *c, struct ckpt_fs_table *image,
			  const struct ckpt_source *source, struct ckpt_fs_stats *stats,
			  struct ckpt_err *err)
{
	*c = (struct ckpt_fs_compare){ .image = image, .source = source, .stats = stats };
	for (struct ckpt_fs_inode *i = image->all; i; i = i->all_next) {
		i->keeper = NULL;
		i->staged = 0;
		i->touched = false;
	}
	return ckpt_fs_table_new(&c->live, err);
}

static void forget(struct ckpt_fs_compare *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->found[i].path);
	c->n = 0;
}

void ckpt_fs_compare_done(struct ckpt_fs_compare *c)
{
	forget(c);
	free(c->found);
	ckpt_fs_table_free(c->live);
	*c = (struct ckpt_fs_compare){ 0 };
}

static int find(struct ckpt_fs_compare *c, enum ckpt_fs_finding_kind kind,
		struct ckpt_fs_inode *dir, struct ckpt_fs_inode *inode, const char *path,
		const char *what, const struct ckpt_fs_meta *live, struct ckpt_err *err)
{
	struct ckpt_fs_was was = { .kind = kind == CKPT_FS_MISSING ? CKPT_FS_WAS_NOTHING :
						      CKPT_FS_WAS_UNKNOWN };
	char *copy = strdup(path);

	if (dir && kind != CKPT_FS_META)
		dir->touched = true;

	if (copy && c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		void *found = realloc(c->found, cap * sizeof(*c->found));

		if (found) {
			c->found = found;
			c->cap = cap;
		}
	}
	if (!copy || c->n == c->cap) {
		free(copy);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the comparison of files");
	}
	c->found[c->n++] = (struct ckpt_fs_finding){
		kind, inode, copy, what, live && S_ISDIR(live->mode),
		live ? ckpt_fs_was_of(live) : was,
	};
	return 0;
}

static int fail_at(struct ckpt_err *err, const struct ckpt_fs_root *root, const char *path,
		   int error)
{
	if (error == -EXDEV)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s/%s is a mount point inside a root; unmount it first",
				 root->path, path);
	return ckpt_fail(err, CKPT_FAILED, -error, "look at %s/%s", root->path, path);
}

/* The inode was not touched since it was captured, as far as its times can tell that. */
static bool untouched(const struct ckpt_fs_inode *i, const struct ckpt_fs_root *root,
		      const struct ckpt_fs_meta *live)
{
	return root->times_tell && !(i->meta.flags & CKPT_FS_RECHECK) &&
	       ckpt_fs_meta_same_inode(&i->meta, live) && ckpt_fs_meta_same_times(&i->meta, live);
}

static bool taken(struct ckpt_fs_compare *c, const struct ckpt_fs_meta *live)
{
	const struct ckpt_fs_inode *i = NULL;

	while ((i = ckpt_fs_by_ino(c->live, live->ino, i)))
		if (i->meta.dev == live->dev)
			return true;
	return false;
}

/* The live inode is the image's inode from here on. */
static int keep(struct ckpt_fs_compare *c, struct ckpt_fs_node *n, const struct ckpt_fs_meta *live,
		struct ckpt_err *err)
{
	struct ckpt_fs_meta id = { .dev = live->dev, .ino = live->ino };

	n->inode->keeper = n;
	n->inode->keeper_ino = live->ino;
	if (live->nlink > 1 && !ckpt_fs_inode_new(c->live, &id, 0))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the comparison of files");
	return 0;
}

static int same_content(struct ckpt_fs_compare *c, struct ckpt_fs_root *root,
			const struct ckpt_fs_inode *i, int fd, const char *path,
			struct ckpt_err *err)
{
	cleanup_close int data = ckpt_fs_reopen(fd, O_RDONLY | O_NOATIME);

	if (data < 0)
		return fail_at(err, root, path, data);
	return ckpt_fs_content_same(data, i->meta.size, c->source, i->space, c->live->buf, path,
				    c->stats, err);
}

/* Both have a node there that is no directory on either side. */
static int compare_node(struct ckpt_fs_compare *c, struct ckpt_fs_root *root,
			struct ckpt_fs_node *n, const char *path, int dirfd,
			struct ckpt_fs_meta *live, struct ckpt_err *err)
{
	struct ckpt_fs_inode *i = n->inode;
	cleanup_close int fd = -1;
	const char *what;
	bool replace;
	int rc;

	if (i->keeper && i->keeper_ino == live->ino)
		return 0;
	if (i->keeper || (live->nlink > 1 && taken(c, live)))
		return find(c, CKPT_FS_REPLACE, n->dir, i, path, "hard links", live, err);
	if (untouched(i, root, live))
		return keep(c, n, live, err);
	fd = ckpt_fs_open(dirfd, n->name, O_PATH);
	rc = fd < 0 ? fd : ckpt_fs_meta_rest(fd, live);
	if (rc)
		return fail_at(err, root, path, rc);
	what = ckpt_fs_meta_diff(&i->meta, live, &replace);
	if (what && replace)
		return find(c, CKPT_FS_REPLACE, n->dir, i, path, what, live, err);
	if (S_ISREG(i->meta.mode)) {
		rc = same_content(c, root, i, fd, path, err);
		if (rc < 0)
			return -1;
		if (!rc)
			return find(c, CKPT_FS_REPLACE, n->dir, i, path, "content", live, err);
	}
	if (keep(c, n, live, err))
		return -1;
	return what ? find(c, CKPT_FS_META, n->dir, i, path, what, live, err) : 0;
}

/* One name on the disk. */
static int compare_name(struct ckpt_fs_compare *c, struct ckpt_fs_root *root,
			struct ckpt_fs_inode *dir, int dirfd, const char *name,
			struct ckpt_fs_inode **dirs, struct ckpt_err *err)
{
	struct ckpt_fs_node *n = ckpt_fs_lookup(c->image, dir, name);
	cleanup_meta struct ckpt_fs_meta live = { 0 };
	cleanup_free char *path = ckpt_fs_path(dir, name, &root);
	bool live_dir;
	int rc;

	if (!path)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the comparison of files");
	rc = ckpt_fs_meta_stat(dirfd, name, &live);
	if (!rc && (live.mnt != root->mnt || live.mount_root))
		rc = -EXDEV;
	if (rc)
		return fail_at(err, root, path, rc);
	if (ckpt_fs_is_stage(name, &live))
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s/%s holds an unfinished restore; finish "
				 "it first", root->path, path);
	live_dir = S_ISDIR(live.mode);
	if (!n)
		return find(c, CKPT_FS_EXTRA, dir, NULL, path, "not in the checkpoint", &live,
			    err);
	n->seen = c->image->pass;
	if (live_dir != ckpt_fs_is_dir(n->inode))
		return find(c, CKPT_FS_REPLACE, dir, n->inode, path, "type", &live, err);
	if (!live_dir)
		return compare_node(c, root, n, path, dirfd, &live, err);
	n->inode->work = *dirs;
	*dirs = n->inode;
	return 0;
}

static int compare_dir_meta(struct ckpt_fs_compare *c, struct ckpt_fs_root *root,
			    struct ckpt_fs_inode *dir, int fd, const char *path,
			    struct ckpt_err *err)
{
	cleanup_meta struct ckpt_fs_meta live = { 0 };
	const char *what;
	bool replace;
	int rc = ckpt_fs_meta_stat(fd, "", &live);

	if (!rc && live.mnt != root->mnt)
		rc = -EXDEV;
	if (!rc)
		rc = ckpt_fs_meta_rest(fd, &live);
	if (rc)
		return fail_at(err, root, path, rc);
	what = ckpt_fs_meta_diff(&dir->meta, &live, &replace);
	return what ? find(c, CKPT_FS_META, NULL, dir, path, what, &live, err) : 0;
}

static int compare_dir(struct ckpt_fs_compare *c, struct ckpt_fs_root *root,
		       struct ckpt_fs_inode *dir, struct ckpt_fs_inode **dirs,
		       struct ckpt_err *err)
{
	cleanup_free char *path = ckpt_fs_path(dir, NULL, &root);
	cleanup_closedir DIR *d = NULL;
	struct dirent *e;
	int fd;

	if (!path)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the comparison of files");
	fd = ckpt_fs_open(root->fd, path, O_RDONLY | O_DIRECTORY | O_NOATIME);
	if (fd < 0)
		return fail_at(err, root, path, fd);
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return fail_at(err, root, path, -errno);
	}
	c->stats->dirs++;
	if (compare_dir_meta(c, root, dir, fd, path, err))
		return -1;
	while (errno = 0, (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    (dir->root && !strcmp(e->d_name, CKPT_FS_STAGE_INSIDE)))
			continue;
		if (compare_name(c, root, dir, fd, e->d_name, dirs, err))
			return -1;
	}
	if (errno)
		return fail_at(err, root, path, -errno);
	for (struct ckpt_fs_node *n = dir->first; n; n = n->next) {
		cleanup_free char *missing = NULL;

		if (n->seen == c->image->pass)
			continue;
		missing = ckpt_fs_path(dir, n->name, &root);
		if (!missing)
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "no memory for the comparison of files");
		if (find(c, CKPT_FS_MISSING, dir, n->inode, missing, "missing", NULL, err))
			return -1;
	}
	return 0;
}

int ckpt_fs_compare_root(struct ckpt_fs_compare *c, struct ckpt_fs_root *root, bool other,
			 struct ckpt_err *err)
{
	struct ckpt_fs_inode *dirs = root->top, *dir;
	struct ckpt_fs_meta m;
	int rc;

	forget(c);
	c->image->pass++;
	if (root->fd < 0)
		return find(c, other ? CKPT_FS_REPLACE : CKPT_FS_MISSING, NULL, root->top, "",
			    other ? "type" : "missing", NULL, err);
	rc = ckpt_fs_meta_stat(root->fd, "", &m);
	if (rc)
		return fail_at(err, root, "", rc);
	root->mnt = m.mnt;
	root->times_tell = ckpt_fs_times_tell(root->fd);
	root->top->work = NULL;
	while ((dir = dirs)) {
		dirs = dir->work;
		if (compare_dir(c, root, dir, &dirs, err))
			return -1;
	}
	return 0;
}
