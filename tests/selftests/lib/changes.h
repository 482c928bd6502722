/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking the changed inodes of a group, for tests
 */
#ifndef TESTS_CHANGES_H
#define TESTS_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "nl/client.h"

/**
 * struct changes - a group and what its last round took
 * @nl: the client that owns its epochs
 * @group: its name, of the cgroup too
 * @open: an epoch is open
 * @round: the last round
 * @inodes: what it took
 * @kept: what their ranges point to
 */
struct changes {
	struct ckpt_nl *nl;
	const char *group;
	bool open;
	struct ckpt_nl_round round;
	struct ckpt_nl_inode *inodes;
	size_t n;
	struct ckpt_extent **kept;
};

/* Tag a cgroup of its own; untag it. */
void changes_open(struct changes *c, const char *group);
void changes_close(struct changes *c);
void changes_root(struct changes *c, const char *path);
/* One more round; the first begins an epoch. */
void changes_take(struct changes *c);
void changes_commit(struct changes *c);
void changes_abort(struct changes *c);
/* Take and commit until nobody is suspect any more, or three times. */
void changes_settle(struct changes *c);

/* What the last round says of an inode; 0: nothing. */
uint32_t changes_mask(const struct changes *c, const struct stat *st);
uint32_t changes_flags(const struct changes *c, const struct stat *st);
/* Its pages, if they are told (CKPT_INODE_F_RANGES); else NULL. */
const struct ckpt_extent *changes_ranges(const struct changes *c, const struct stat *st,
					 size_t *ret_n);
/*
 * Identity of a path, links not followed: the device is that of the super block.  The inode may
 * be gone later.
 */
struct stat changes_id(const char *path);

/*
 * One case: the last round has @mask for @st (with or without SUSPECT, unless
 * @mask asks for it), or with a mask of 0 nothing.
 */
bool changes_want(const struct changes *c, const struct stat *st, uint32_t mask, const char *what);
/* One case: the last round names @n inodes, not counting those only suspect. */
bool changes_count(const struct changes *c, size_t n, const char *what);

/* Does the module hear by hooks at the kernel's functions?  They stay a moment longer. */
bool changes_hooked(void);

/* Write @text at the end of a file, or into a new one.  Dies on errors. */
void append(const char *path, const char *text);

#endif
