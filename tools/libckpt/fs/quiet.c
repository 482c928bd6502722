// SPDX-License-Identifier: GPL-2.0-or-later
/* Nodes of roots that somebody watches, or has a lease on. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "fs/path.h"
#include "fs/round.h"

/* Who watches the directory above a root is told of the root itself. */
static bool above_is_heard(const struct ckpt_fs_round *r, const struct ckpt_fs_root *root)
{
	struct stat st;

	return !fstatat(root->fd, "..", &st, 0) && ckpt_quiet_heard(r->t->quiet, st.st_ino);
}

static bool is_heard(const struct ckpt_fs_round *r, const struct ckpt_fs_inode *i)
{
	if (!r->t->quiet)
		return false;
	if (ckpt_quiet_heard(r->t->quiet, i->meta.ino) || (i->root && above_is_heard(r, i->root)))
		return true;
	for (const struct ckpt_fs_node *n = i->names; n; n = n->other)
		if (ckpt_quiet_heard(r->t->quiet, n->dir->meta.ino))
			return true;
	return false;
}

int ckpt_fs_quiet_open(struct ckpt_fs_round *r, const struct ckpt_fs_inode *i, int dirfd,
		       const char *path, int flags)
{
	cleanup_close int at = -1;

	if (!is_heard(r, i))
		return ckpt_fs_open(dirfd, path, flags);
	at = ckpt_fs_open(dirfd, path, O_PATH | (flags & O_DIRECTORY));
	return at < 0 ? at : ckpt_quiet_open(r->t->quiet, at, flags);
}

const struct ckpt_quiet_lease *ckpt_fs_leased(const struct ckpt_fs_round *r,
					      const struct ckpt_fs_inode *i)
{
	return ckpt_quiet_leased(r->t->quiet, makedev(i->meta.dev >> 32, (uint32_t)i->meta.dev),
				 i->meta.ino);
}
