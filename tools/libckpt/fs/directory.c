// SPDX-License-Identifier: GPL-2.0-or-later
/* Capture of the roots: a directory that is read again, and what its names mean now. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ckpt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/path.h"
#include "fs/round.h"
#include "fs/stage.h"

/* Take a name away; what it named may live on under another one. */
static int lose(struct ckpt_fs_round *r, struct ckpt_fs_node *n)
{
	struct ckpt_fs_inode *i = n->inode;

	ckpt_fs_unlink(r->t, n);
	return i->names ? ckpt_fs_pend(r, i, CKPT_INODE_META) : 0;
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
		return ckpt_fs_no_memory(r);
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

struct ckpt_fs_inode *ckpt_fs_create(struct ckpt_fs_round *r, const struct ckpt_fs_meta *seen)
{
	struct ckpt_fs_meta m = *seen;
	struct ckpt_fs_inode *i;
	uint32_t space = 0;

	if (S_ISREG(m.mode) && r->sink->space_new(r->sink->self, &space, r->err))
		return NULL;
	i = ckpt_fs_inode_new(r->t, &m, space);
	if (!i) {
		ckpt_fs_no_memory(r);
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
		return ckpt_fs_pend(r, i, CKPT_INODE_ENTRIES | CKPT_INODE_CREATED);
	if (ckpt_fs_is_dir(i))
		return ckpt_fs_pend(r, i, is_new || r->scanning || (change & CKPT_INODE_CREATED) ?
			    CKPT_INODE_ENTRIES : CKPT_INODE_META);
	if (!is_new && !r->scanning && !(change & CKPT_INODE_CREATED))
		return ckpt_fs_pend(r, i, walk && ckpt_fs_doubtful(r, i, root, m) ?
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
	if (rc == CKPT_FS_LATER)
		return ckpt_fs_pend(r, i, CKPT_FS_WHOLE);
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
		i = ckpt_fs_create(r, &m);
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

int ckpt_fs_list(struct ckpt_fs_round *r, struct ckpt_fs_root *root, struct ckpt_fs_inode *dir,
		 const char *path)
{
	cleanup_meta struct ckpt_fs_meta m = { 0 };
	cleanup_close int fd = ckpt_fs_quiet_open(r, dir, root->fd, path,
						  O_RDONLY | O_DIRECTORY | O_NOATIME);
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
