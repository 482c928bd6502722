/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One round of capture: what its steps share. */
#ifndef CKPT_FS_ROUND_H
#define CKPT_FS_ROUND_H

#include "fs/capture.h"

/* In a restore's stage directory inside a root; a root that has one is not captured. */
#define CKPT_FS_STAGE_INSIDE ".ckpt-stage"

/* Pending beside CKPT_INODE_*: everything about the node is to be read. */
#define CKPT_FS_WHOLE (1u << 31)
#define CKPT_FS_CONTENT \
	(CKPT_INODE_DATA | CKPT_INODE_SUSPECT | CKPT_INODE_CREATED | CKPT_FS_WHOLE)

/**
 * struct ckpt_fs_round - a round under way
 * @scanning: look at everything and compare times
 * @changes: sorted by inode number
 * @again: a directory was put on the list of work
 */
struct ckpt_fs_round {
	struct ckpt_fs_table *t;
	const struct ckpt_sink *sink;
	unsigned int flags;
	bool scanning, again;
	struct ckpt_fs_change *changes;
	size_t n_changes;
	struct ckpt_fs_stats *stats;
	struct ckpt_err *err;
};

static inline int ckpt_fs_no_memory(struct ckpt_fs_round *r)
{
	return ckpt_fail(r->err, CKPT_FAILED, 0, "no memory for the table of files");
}

/* Put an inode on the list of work; @mask: CKPT_INODE_*, CKPT_FS_WHOLE. */
int ckpt_fs_pend(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, uint32_t mask);

/* A new inode of the table, of the metadata @seen.  Return: NULL on errors. */
struct ckpt_fs_inode *ckpt_fs_create(struct ckpt_fs_round *r, const struct ckpt_fs_meta *seen);

/* Read a directory again. Return: 0 done, 1 when it is not at that path, -1 error. */
int ckpt_fs_list(struct ckpt_fs_round *r, struct ckpt_fs_root *root, struct ckpt_fs_inode *dir,
		 const char *path);

/* Where no change was told: may the content or a part of the metadata differ from the table? */
bool ckpt_fs_doubtful(const struct ckpt_fs_round *r, const struct ckpt_fs_inode *i,
		      const struct ckpt_fs_root *root, const struct ckpt_fs_meta *seen);

/**
 * ckpt_fs_quiet_open - open a node to read it, so that nobody is told who watches it
 * @flags: as for open(2), for reading
 *
 * Return: descriptor, or -errno.
 */
int ckpt_fs_quiet_open(struct ckpt_fs_round *r, const struct ckpt_fs_inode *i, int dirfd,
		       const char *path, int flags);

/* The lease on a file that any open breaks, or NULL. */
const struct ckpt_quiet_lease *ckpt_fs_leased(const struct ckpt_fs_round *r,
					      const struct ckpt_fs_inode *i);

/* Of ckpt_fs_refresh(): it can be read in the final round alone. */
#define CKPT_FS_LATER 2

/**
 * ckpt_fs_refresh - read a node again as far as needed
 * @dirfd, @path: where it is
 * @seen: its metadata as just read, or NULL
 * @mask: CKPT_INODE_*, CKPT_FS_WHOLE
 *
 * Return: 0 done, 1 when something else (or nothing) is there, CKPT_FS_LATER, -1 error.
 */
int ckpt_fs_refresh(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, struct ckpt_fs_root *root,
		    int dirfd, const char *path, const struct ckpt_fs_meta *seen, uint32_t mask);

/* Take over metadata just read; the listings that show it become dirty. */
void ckpt_fs_update(struct ckpt_fs_round *r, struct ckpt_fs_inode *i, struct ckpt_fs_meta *m);

/* What the change set says of an inode number: mask, and flags if @ret_flags. */
uint32_t ckpt_fs_change_of(const struct ckpt_fs_round *r, const struct ckpt_fs_root *root,
			   uint64_t ino, uint32_t *ret_flags);

/* The change that has all ranges of an inode number, or NULL. */
const struct ckpt_fs_change *ckpt_fs_ranges_of(const struct ckpt_fs_round *r,
					       const struct ckpt_fs_root *root, uint64_t ino);

/* Is the node on the mount of its root? Refuses if not. */
int ckpt_fs_check_mount(struct ckpt_fs_round *r, const struct ckpt_fs_root *root,
			const struct ckpt_fs_meta *m, const char *path);

#endif
