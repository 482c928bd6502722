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
#include "fs/stage.h"

static int no_memory(struct ckpt_fs_round *r)
{
	return ckpt_fail(r->err, CKPT_FAILED, 0, "no memory for the table of files");
}

/* Put an inode on the list of work. */
static int pend(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, uint32_t mask)
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
			return no_memory(r);
		t->work = work;
		t->cap_work = cap;
	}
	t->work[t->n_work++] = i;
	i->queued = true;
	return 0;
}

/* Take a name away; what it named may live on under another one. */
static int lose(struct ckpt_fs_round *r, struct ckpt_fs_node *n)
{
	struct ckpt_fs_inode *i = n->inode;

	ckpt_fs_unlink(r->t, n);
	return i->names ? pend(r, i, CKPT_INODE_META) : 0;
}

/*
 * Give @i a name.  A directory has one alone, and while things move it may come
 * up below itself: then the name that led there is out of date.
 */
static int gain(struct ckpt_fs_round *r, struct ckpt_fs_inode *dir, const char *name,
		struct ckpt_fs_inode *i)
{
	struct ckpt_fs_node *n;

	if (ckpt_fs_is_dir(i)) {
		struct ckpt_fs_inode *up = dir;

		while (up != i && up->names && up->names->dir != i)
			up = up->names->dir;
		if (up == i)
			return 0;
		if (up->names)
			ckpt_fs_unlink(r->t, up->names);
		if (i->names)
			ckpt_fs_unlink(r->t, i->names);
	}
	n = ckpt_fs_link(r->t, dir, name, i);
	if (!n)
		return no_memory(r);
	n->seen = r->t->pass;
	return 0;
}

static struct ckpt_fs_inode *known(struct ckpt_fs_round *r, const struct ckpt_fs_meta *m,
				   uint32_t change)
{
	struct ckpt_fs_inode *i = NULL;

	/* Without a birth time a number used again looks like the old inode. */
	if ((change & CKPT_INODE_CREATED) && !m->btime_ns)
		return NULL;
	while ((i = ckpt_fs_by_ino(r->t, m->ino, i)))
		if (ckpt_fs_meta_same_inode(&i->meta, m))
			return i;
	return NULL;
}

static struct ckpt_fs_inode *create(struct ckpt_fs_round *r, const struct ckpt_fs_meta *seen)
{
	struct ckpt_fs_meta m = *seen;
	struct ckpt_fs_inode *i;
	uint32_t space = 0;

	if (S_ISREG(m.mode) && r->sink->space_new(r->sink->self, &space, r->err))
		return NULL;
	i = ckpt_fs_inode_new(r->t, &m, space);
	if (!i) {
		no_memory(r);
		return NULL;
	}
	i->fresh = i->dirty = true;
	return i;
}

/*
 * Look at what a name was found to mean.
 * @walk: the directory came from elsewhere, and what happened in it there was not told
 */
static int look(struct ckpt_fs_round *r, struct ckpt_fs_root *root, struct ckpt_fs_inode *i,
		bool is_new, bool walk, int dirfd, const char *name, const struct ckpt_fs_meta *m,
		uint32_t change)
{
	struct ckpt_fs_node *n;
	int rc;

	if (ckpt_fs_is_dir(i) && walk)
		return pend(r, i, CKPT_INODE_ENTRIES | CKPT_INODE_CREATED);
	if (ckpt_fs_is_dir(i))
		return pend(r, i, is_new || r->scanning || (change & CKPT_INODE_CREATED) ?
			    CKPT_INODE_ENTRIES : CKPT_INODE_META);
	if (!is_new && !r->scanning && !(change & CKPT_INODE_CREATED))
		return pend(r, i, walk && ckpt_fs_doubtful(r, i, root, m) ?
			    CKPT_INODE_META | CKPT_INODE_SUSPECT : CKPT_INODE_META);
	if (i->visited == r->t->pass)
		return 0;
	i->visited = r->t->pass;
	rc = ckpt_fs_refresh(r, i, root, dirfd, name, m, is_new ? CKPT_FS_WHOLE : change);
	if (rc <= 0) {
		if (!rc)
			i->pending = 0;
		return rc;
	}
	/* Gone between two looks: a later round will see what became of it. */
	if (r->flags & CKPT_FS_FINAL)
		return ckpt_fail(r->err, CKPT_FAILED, 0,
				 "%s in root %s changes while the tree stands still", name,
				 root->path);
	i->visited = 0;
	for (n = i->names; n; n = n->other)
		n->seen = 0;
	return 0;
}

static uint32_t type_of(unsigned char d_type)
{
	return DTTOIF(d_type);
}

/* One name of a directory that is being listed. */
static int see(struct ckpt_fs_round *r, struct ckpt_fs_root *root, struct ckpt_fs_inode *dir,
	       bool walk, int dirfd, const struct dirent *e)
{
	struct ckpt_fs_node *n = ckpt_fs_lookup(r->t, dir, e->d_name);
	uint32_t change = r->scanning ? 0 : ckpt_fs_change_of(r, root, e->d_ino, NULL);
	struct ckpt_fs_inode *i;
	struct ckpt_fs_meta m;
	bool is_new;
	int rc;

	if (dir->root && !strcmp(e->d_name, CKPT_FS_STAGE_INSIDE))
		return ckpt_fail(r->err, CKPT_REFUSED, 0,
				 "root %s holds an unfinished restore; finish it first",
				 root->path);
	if (!r->scanning && !walk && n && !n->inode->stale && n->inode->meta.ino == e->d_ino &&
	    (n->inode->meta.mode & S_IFMT) == type_of(e->d_type) &&
	    !(change & CKPT_INODE_CREATED)) {
		n->seen = r->t->pass;
		return 0;
	}
	rc = ckpt_fs_meta_stat(dirfd, e->d_name, &m);
	if (rc == -ENOENT)
		return 0;
	if (rc)
		return ckpt_fail(r->err, CKPT_FAILED, -rc, "stat %s in root %s", e->d_name,
				 root->path);
	if (ckpt_fs_is_stage(e->d_name, &m))
		return ckpt_fail(r->err, CKPT_REFUSED, 0, "%s in root %s holds an unfinished "
				 "restore; finish it first", e->d_name, root->path);
	if (ckpt_fs_check_mount(r, root, &m, e->d_name))
		return -1;
	if (!r->scanning)
		change |= ckpt_fs_change_of(r, root, m.ino, NULL);
	i = n && ckpt_fs_meta_same_inode(&n->inode->meta, &m) &&
	    (m.btime_ns || !(change & CKPT_INODE_CREATED)) ? n->inode : known(r, &m, change);
	is_new = !i;
	if (n && n->inode != i) {
		if (lose(r, n))
			return -1;
		n = NULL;
	}
	if (is_new) {
		i = create(r, &m);
		if (!i)
			return -1;
	}
	i->stale = false;
	if (n)
		n->seen = r->t->pass;
	else if (gain(r, dir, e->d_name, i))
		return -1;
	return look(r, root, i, is_new || i->fresh, walk, dirfd, e->d_name, &m, change);
}

static int see_all(struct ckpt_fs_round *r, struct ckpt_fs_root *root, struct ckpt_fs_inode *dir,
		   bool walk, int fd, const char *path)
{
	cleanup_closedir DIR *d = fdopendir(fd);
	struct ckpt_fs_node *n, *next;
	struct dirent *e;

	if (!d) {
		close(fd);
		return ckpt_fail(r->err, CKPT_FAILED, errno, "list %s/%s", root->path, path);
	}
	while (errno = 0, (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    see(r, root, dir, walk, fd, e))
			return -1;
	if (errno)
		return ckpt_fail(r->err, CKPT_FAILED, errno, "list %s/%s", root->path, path);
	for (n = dir->first; n; n = next) {
		next = n->next;
		if (n->seen != r->t->pass && lose(r, n))
			return -1;
	}
	return 0;
}

/* List a directory again. Return: 0 done, 1 when it is not at that path, -1 error. */
static int list(struct ckpt_fs_round *r, struct ckpt_fs_root *root, struct ckpt_fs_inode *dir,
		const char *path)
{
	cleanup_meta struct ckpt_fs_meta m = { 0 };
	cleanup_close int fd = ckpt_fs_open(root->fd, path, O_RDONLY | O_DIRECTORY | O_NOATIME);
	bool walk = dir->fresh || dir->pending & CKPT_INODE_CREATED;
	int64_t now = ckpt_fs_now_ns();
	int rc;

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 1;
	if (fd == -EXDEV)
		return ckpt_fail(r->err, CKPT_REFUSED, 0,
				 "%s in root %s is a mount point; unmount it or make it a root",
				 path, root->path);
	if (fd < 0)
		return ckpt_fail(r->err, CKPT_FAILED, -fd, "open directory %s/%s", root->path,
				 path);
	rc = ckpt_fs_meta_stat(fd, "", &m);
	if (!rc && !ckpt_fs_meta_same_inode(&m, &dir->meta))
		return 1;
	if (!rc)
		rc = ckpt_fs_meta_rest(fd, &m);
	if (rc)
		return ckpt_fail(r->err, CKPT_FAILED, -rc, "stat %s/%s", root->path, path);
	r->stats->dirs++;
	if (ckpt_fs_meta_young(&m, now))
		m.flags = CKPT_FS_RECHECK;
	ckpt_fs_update(r, dir, &m);
	dir->listed = r->t->pass;
	dir->fresh = false;
	return see_all(r, root, dir, walk, take_fd(fd), path);
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
			if (pend(r, n->dir, CKPT_INODE_ENTRIES))
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
			rc = list(r, root, i, path);
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
		return r->scanning ? pend(r, root->top, CKPT_INODE_ENTRIES) : 0;
	}
	if (root->top)
		root->top->root = NULL;
	root->top = create(r, &m);
	if (!root->top)
		return -1;
	root->top->root = root;
	return pend(r, root->top, CKPT_INODE_ENTRIES);
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
			if (pend(r, i, r->changes[c].mask ? r->changes[c].mask : CKPT_INODE_META))
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
		return no_memory(&r);
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
