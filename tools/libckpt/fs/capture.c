// SPDX-License-Identifier: GPL-2.0-or-later
/* Capture of the roots: the rounds. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ckpt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/path.h"
#include "fs/round.h"

int ckpt_fs_pend(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, uint32_t mask)
{
	struct ckpt_fs_table *t = r->t;

	if (S_ISDIR(i->meta.mode) && (mask & (CKPT_INODE_ENTRIES | CKPT_INODE_CREATED)))
		mask |= CKPT_INODE_ENTRIES;
	else
		mask &= ~CKPT_INODE_ENTRIES;
	if (mask & CKPT_INODE_ENTRIES)
		r->again = true;
	i->pending |= mask;
	if (i->queued)
		return 0;
	if (t->n_work == t->cap_work) {
		size_t cap = t->cap_work ? t->cap_work * 2 : 256;
		void *work = realloc(t->work, cap * sizeof(*t->work));

		if (!work)
			return ckpt_fs_no_memory(r);
		t->work = work;
		t->cap_work = cap;
	}
	t->work[t->n_work++] = i;
	i->queued = true;
	return 0;
}

/* The table says where @i is, and it is not there: its directories are out of date. */
static int doubt(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, bool *progress)
{
	/* Once is enough, and a tree in motion would have us run for ever. */
	if (i->doubted == r->t->pass)
		return 0;
	i->doubted = r->t->pass;
	i->stale = true;
	for (struct ckpt_fs_node *n = i->names; n; n = n->other)
		if (n->dir->listed != r->t->pass) {
			*progress = true;
			if (ckpt_fs_pend(r, n->dir, CKPT_INODE_ENTRIES))
				return -1;
		}
	return 0;
}

/* Directories first: then every path in the table is right. */
static int do_dirs(struct ckpt_fs_round *r)
{
	bool progress = true;

	while (progress) {
		progress = false;
		for (size_t at = 0; at < r->t->n_work; at++) {
			struct ckpt_fs_inode *i = r->t->work[at];
			cleanup_free char *path = NULL;
			struct ckpt_fs_root *root;
			int rc;

			if (!(i->pending & CKPT_INODE_ENTRIES))
				continue;
			path = ckpt_fs_path(i, NULL, &root);
			if (!path)
				continue;
			rc = ckpt_fs_list(r, root, i, path);
			if (rc < 0 || (rc && doubt(r, i, &progress)))
				return -1;
			if (!rc) {
				i->pending &= ~(CKPT_INODE_ENTRIES | CKPT_INODE_CREATED);
				progress = true;
			}
		}
	}
	return 0;
}

static int do_node(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, bool *progress)
{
	bool connected = false;

	for (struct ckpt_fs_node *n = i->names; n; n = n->other) {
		cleanup_free char *path = NULL;
		struct ckpt_fs_root *root;
		int rc;

		path = ckpt_fs_path(n->dir, n->name, &root);
		if (!path)
			continue;
		connected = true;
		rc = ckpt_fs_refresh(r, i, root, root->fd, path, NULL,
				     i->fresh ? i->pending | CKPT_FS_WHOLE : i->pending);
		if (rc < 0)
			return -1;
		if (!rc) {
			i->pending &= CKPT_INODE_ENTRIES;
			return 0;
		}
		if (rc == CKPT_FS_LATER) {
			i->pending |= CKPT_FS_WHOLE;
			return 0;
		}
	}
	return connected ? doubt(r, i, progress) : 0;
}

static int do_nodes(struct ckpt_fs_round *r)
{
	bool progress = false;

	for (size_t at = 0; at < r->t->n_work; at++) {
		struct ckpt_fs_inode *i = r->t->work[at];

		/* A root's own directory is read when the root is opened. */
		if (i->root)
			i->pending &= CKPT_INODE_ENTRIES;
		else if ((i->pending & ~CKPT_INODE_ENTRIES) && do_node(r, i, &progress))
			return -1;
	}
	return 0;
}

/* Keep what could not be looked at for a later round, which is not told the ranges of this one. */
static int sweep(struct ckpt_fs_round *r)
{
	size_t kept = 0;

	for (size_t at = 0; at < r->t->n_work; at++) {
		struct ckpt_fs_inode *i = r->t->work[at];
		cleanup_free char *path = NULL;
		struct ckpt_fs_root *root;

		if (!i->pending) {
			i->queued = false;
			continue;
		}
		i->pending |= i->pending & CKPT_FS_CONTENT ? CKPT_FS_WHOLE : 0;
		r->t->work[kept++] = i;
		if (!(r->flags & CKPT_FS_FINAL) || (!i->names && !i->root))
			continue;
		path = i->root ? ckpt_fs_path(i, NULL, &root) :
		       ckpt_fs_path(i->names->dir, i->names->name, &root);
		if (path)
			return ckpt_fail(r->err, CKPT_FAILED, 0,
					 "%s/%s cannot be found in the stopped tree", root->path,
					 path);
	}
	r->t->n_work = kept;
	return 0;
}

static int open_root(struct ckpt_fs_round *r, struct ckpt_fs_root *root)
{
	cleanup_meta struct ckpt_fs_meta m = { 0 };
	cleanup_free char *mount = NULL;
	int rc;

	root->fd = open(root->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root->fd < 0)
		return ckpt_fail(r->err, CKPT_FAILED, errno, "open root %s", root->path);
	rc = ckpt_fs_meta_stat(root->fd, "", &m);
	if (!rc)
		rc = ckpt_fs_meta_rest(root->fd, &m);
	if (!rc && (m.mnt != root->mnt || !root->dev))
		rc = ckpt_fs_mount_dev(m.mnt, &root->dev);
	if (rc)
		return ckpt_fail(r->err, CKPT_FAILED, -rc, "look at root %s", root->path);
	root->mnt = m.mnt;
	root->times_tell = ckpt_fs_times_tell(root->fd);
	mount = ckpt_fs_mount_inside(root->path);
	if (mount)
		return ckpt_fail(r->err, CKPT_REFUSED, 0,
				 "%s is a mount point in root %s; unmount it or make it a root",
				 mount, root->path);
	if (root->top && ckpt_fs_meta_same_inode(&root->top->meta, &m)) {
		ckpt_fs_update(r, root->top, &m);
		return r->scanning ? ckpt_fs_pend(r, root->top, CKPT_INODE_ENTRIES) : 0;
	}
	if (root->top)
		root->top->root = NULL;
	root->top = ckpt_fs_create(r, &m);
	if (!root->top)
		return -1;
	root->top->root = root;
	return ckpt_fs_pend(r, root->top, CKPT_INODE_ENTRIES);
}

static int by_ino(const void *a, const void *b)
{
	const struct ckpt_fs_change *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Which inodes of the table does the change set name? */
static int take_changes(struct ckpt_fs_round *r)
{
	for (size_t c = 0; c < r->n_changes; c++) {
		struct ckpt_fs_inode *i = NULL;
		bool ours = false;

		for (size_t k = 0; k < r->t->n_roots; k++)
			ours = ours || r->t->roots[k].dev == r->changes[c].dev;
		while (ours && (i = ckpt_fs_by_ino(r->t, r->changes[c].ino, i)))
			if (ckpt_fs_pend(r, i, r->changes[c].mask ?: CKPT_INODE_META))
				return -1;
	}
	return 0;
}

static int run(struct ckpt_fs_round *r)
{
	for (size_t i = 0; i < r->t->n_roots; i++)
		if (open_root(r, &r->t->roots[i]))
			return -1;
	if (!r->scanning && take_changes(r))
		return -1;
	do {
		r->again = false;
		if (do_dirs(r))
			return -1;
		r->again = false;
		if (do_nodes(r))
			return -1;
	} while (r->again);
	return sweep(r);
}

static int capture(struct ckpt_fs_table *t, const struct ckpt_sink *sink, unsigned int flags,
		   bool scanning, const struct ckpt_fs_change *changes, size_t n,
		   struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	cleanup_free struct ckpt_fs_change *sorted = malloc((n + 1) * sizeof(*sorted));
	struct ckpt_fs_round r = {
		.t = t, .sink = sink, .flags = flags, .scanning = scanning, .changes = sorted,
		.n_changes = n, .stats = stats, .err = err,
	};
	int rc;

	if (!sorted)
		return ckpt_fs_no_memory(&r);
	if (n)
		memcpy(sorted, changes, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_ino);
	t->pass++;
	rc = run(&r);
	for (size_t i = 0; i < t->n_roots; i++) {
		ckpt_cleanup_close(&t->roots[i].fd);
		t->roots[i].fd = -1;
	}
	return rc;
}

int ckpt_fs_scan(struct ckpt_fs_table *t, const struct ckpt_sink *sink, unsigned int flags,
		 const struct ckpt_fs_change *suspects, size_t n_suspects,
		 struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	return capture(t, sink, flags, true, suspects, n_suspects, stats, err);
}

int ckpt_fs_changes(struct ckpt_fs_table *t, const struct ckpt_sink *sink, unsigned int flags,
		    const struct ckpt_fs_change *changes, size_t n_changes,
		    struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	return capture(t, sink, flags, false, changes, n_changes, stats, err);
}
