// SPDX-License-Identifier: GPL-2.0-or-later
/* One node read again: metadata, and content where it may have changed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ckpt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/path.h"
#include "fs/round.h"

#define HELD (CKPT_INODE_F_MAPPED | CKPT_INODE_F_OPEN)
#define FINAL_TRIES 3
#define READ (O_RDONLY | O_NOATIME | O_NONBLOCK | O_NOCTTY)

/* The first change of an inode number. */
static size_t first_of(const struct ckpt_fs_round *r, uint64_t ino)
{
	size_t low = 0, high = r->n_changes;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (r->changes[mid].ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t ckpt_fs_change_of(const struct ckpt_fs_round *r, const struct ckpt_fs_root *root,
			   uint64_t ino, uint32_t *ret_flags)
{
	uint32_t mask = 0, flags = 0;

	for (size_t i = first_of(r, ino); i < r->n_changes && r->changes[i].ino == ino; i++)
		/* The device of a suspect may be that of stat; a false match costs a read. */
		if (r->scanning || r->changes[i].dev == root->dev) {
			mask |= r->changes[i].mask;
			flags |= r->changes[i].flags;
		}
	if (ret_flags)
		*ret_flags = flags;
	return mask;
}

const struct ckpt_fs_change *ckpt_fs_ranges_of(const struct ckpt_fs_round *r,
					       const struct ckpt_fs_root *root, uint64_t ino)
{
	const struct ckpt_fs_change *found = NULL;

	for (size_t i = first_of(r, ino); i < r->n_changes && r->changes[i].ino == ino; i++)
		if (r->changes[i].dev == root->dev) {
			/* Two generations of a number: which one is here is not told. */
			if (found || !(r->changes[i].flags & CKPT_INODE_F_RANGES))
				return NULL;
			found = &r->changes[i];
		}
	return found;
}

int ckpt_fs_check_mount(struct ckpt_fs_round *r, const struct ckpt_fs_root *root,
			const struct ckpt_fs_meta *m, const char *path)
{
	if (m->mnt == root->mnt && !m->mount_root)
		return 0;
	return ckpt_fail(r->err, CKPT_REFUSED, 0,
			 "%s in root %s is a mount point; unmount it or make it a root",
			 path, root->path);
}

void ckpt_fs_update(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, struct ckpt_fs_meta *m)
{
	r->stats->nodes++;
	if (ckpt_fs_meta_same_entry(&i->meta, m)) {
		ckpt_fs_meta_done(m);
		return;
	}
	for (struct ckpt_fs_node *n = i->names; n; n = n->other)
		n->dir->dirty = true;
	ckpt_fs_inode_set(r->t, i, m);
}

bool ckpt_fs_doubtful(const struct ckpt_fs_round *r, const struct ckpt_fs_inode *i,
		      const struct ckpt_fs_root *root, const struct ckpt_fs_meta *seen)
{
	if ((r->flags & CKPT_FS_AUDIT) || (i->meta.flags & CKPT_FS_RECHECK) ||
	    (S_ISREG(i->meta.mode) && !root->times_tell))
		return true;
	return !ckpt_fs_meta_same_times(&i->meta, seen) || i->meta.nlink != seen->nlink;
}

/* Nothing at the path any more, or something of another kind. */
static bool vanished(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -ENXIO ||
	       error == -ESTALE;
}

static int fail_open(struct ckpt_fs_round *r, const struct ckpt_fs_root *root, const char *path,
		     int error)
{
	if (error == -EXDEV)
		return ckpt_fail(r->err, CKPT_REFUSED, 0,
				 "%s in root %s is behind a mount; unmount it or make it a root",
				 path, root->path);
	return ckpt_fail(r->err, CKPT_FAILED, -error, "open %s/%s", root->path, path);
}

/* The pages to be read, if the others are in the space: NULL when all have to be. */
static const struct ckpt_fs_change *some_pages(const struct ckpt_fs_round *r,
					       const struct ckpt_fs_inode *i,
					       const struct ckpt_fs_root *root, uint32_t mask,
					       const struct ckpt_fs_meta *m)
{
	if (r->scanning || (r->flags & CKPT_FS_AUDIT) || i->fresh ||
	    ((mask | i->pending) & CKPT_FS_WHOLE) || m->size < i->meta.size)
		return NULL;
	return ckpt_fs_ranges_of(r, root, i->meta.ino);
}

/* Copy the content; in the final round it must stand still meanwhile. */
static int read_content(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, int fd, bool shared,
			struct ckpt_fs_meta *m, const struct ckpt_fs_change *some,
			const char *path)
{
	for (int tries = 0; tries < FINAL_TRIES; tries++) {
		enum ckpt_fs_way way = shared ? CKPT_FS_WAY_SHARED :
				       m->blocks * 512 >= m->size ? CKPT_FS_WAY_DENSE :
								    CKPT_FS_WAY_SEEK;
		struct ckpt_fs_meta after;
		int rc;

		rc = some ? ckpt_fs_content_read_ranges(fd, i->meta.size, m->size, way,
							some->ranges, some->n_ranges, r->sink,
							i->space, r->t->buf, path, r->stats,
							r->err) :
			    ckpt_fs_content_read(fd, m->size, way, r->sink, i->space, r->t->buf,
						 path, r->stats, r->err);
		if (rc)
			return -1;
		if (!(r->flags & CKPT_FS_FINAL))
			return 0;
		rc = ckpt_fs_meta_stat(fd, "", &after);
		if (rc)
			return ckpt_fail(r->err, CKPT_FAILED, -rc, "stat %s", path);
		if (ckpt_fs_meta_same_times(m, &after))
			return 0;
		*m = after;
		some = NULL;
	}
	return ckpt_fail(r->err, CKPT_FAILED, 0,
			 "%s is being written while the tree stands still; stop its writer", path);
}

/*
 * A store through a mapping changes the times when it faults, and after that no
 * more until the page was written back.  A file that was read while it was mapped
 * and is not mapped any more at the stop would keep its times and not its content:
 * so what is dirty is written back before it is read, in live rounds.
 */
static bool times_will_tell(const struct ckpt_fs_round *r, const struct ckpt_fs_root *root, int fd)
{
	return (r->flags & CKPT_FS_FINAL) || !root->times_tell ||
	       !sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
}

int ckpt_fs_refresh(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, struct ckpt_fs_root *root,
		    int dirfd, const char *path, const struct ckpt_fs_meta *seen, uint32_t mask)
{
	cleanup_meta struct ckpt_fs_meta m = { 0 };
	bool regular = S_ISREG(i->meta.mode), content, tell = true;
	const struct ckpt_quiet_lease *lease;
	cleanup_close int fd = -1;
	int64_t now = ckpt_fs_now_ns();
	uint32_t flags;
	int rc;

	mask |= ckpt_fs_change_of(r, root, i->meta.ino, &flags);
	if (flags & HELD)
		mask |= CKPT_INODE_SUSPECT;
	if (r->scanning && !(mask & CKPT_FS_CONTENT) && seen && !ckpt_fs_doubtful(r, i, root, seen))
		return 0;
	content = regular && (r->scanning || (mask & CKPT_FS_CONTENT));
again:
	lease = content ? ckpt_fs_leased(r, i) : NULL;
	if (lease && !(r->flags & CKPT_FS_FINAL))
		return CKPT_FS_LATER;
	if (lease)
		fd = ckpt_quiet_borrow(r->t->quiet, lease, path, r->err);
	else
		fd = content ? ckpt_fs_quiet_open(r, i, dirfd, path, READ) :
			       ckpt_fs_open(dirfd, path, O_PATH);
	if (fd < 0)
		return lease ? -1 : vanished(fd) ? 1 : fail_open(r, root, path, fd);
	if (content)
		tell = times_will_tell(r, root, fd);
	rc = ckpt_fs_meta_stat(fd, "", &m);
	if (rc)
		return ckpt_fail(r->err, CKPT_FAILED, -rc, "stat %s/%s", root->path, path);
	if (!ckpt_fs_meta_same_inode(&m, &i->meta))
		return 1;
	if (regular && !content && (m.size != i->meta.size || m.mtime_ns != i->meta.mtime_ns)) {
		content = true;
		close(take_fd(fd));
		goto again;
	}
	if (content &&
	    read_content(r, i, fd, lease, &m, some_pages(r, i, root, mask, &m), path))
		return -1;
	rc = ckpt_fs_meta_rest(fd, &m);
	if (rc)
		return ckpt_fail(r->err, CKPT_FAILED, -rc,
				 "read the extended attributes of %s/%s", root->path, path);
	if (regular && !content)
		m.flags = i->meta.flags;
	if (ckpt_fs_meta_young(&m, now) || (regular && (flags & HELD)) || !tell)
		m.flags |= CKPT_FS_RECHECK;
	ckpt_fs_update(r, i, &m);
	i->fresh = false;
	return 0;
}
