/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kinds of changes of files: each must happen, and be compared
 */
#ifndef TESTS_AUDIT_TALLY_H
#define TESTS_AUDIT_TALLY_H

#include <stdint.h>

enum change {
	CHANGE_CREATE,
	CHANGE_WRITE,
	CHANGE_APPEND,
	CHANGE_HELD,		/* through a descriptor that is open over takes */
	CHANGE_TRUNCATE,
	CHANGE_ALLOCATE,
	CHANGE_PUNCH,
	CHANGE_ZERO,
	CHANGE_COLLAPSE,
	CHANGE_INSERT,
	CHANGE_COPY,		/* copy_file_range */
	CHANGE_SPLICE,
	CHANGE_MAPPED,		/* stores through a shared mapping */
	CHANGE_MAPPED_EXIT,	/* the same, and the process ends with it */
	CHANGE_AIO,
	CHANGE_RING,		/* io_uring */
	CHANGE_DIRECT,		/* direct, not waited for: in flight over takes */
	CHANGE_RENAME,		/* in one directory */
	CHANGE_ACROSS,		/* to another one */
	CHANGE_EXCHANGE,
	CHANGE_RENAME_DIR,	/* two directories change places */
	CHANGE_OUT,		/* a file leaves the root */
	CHANGE_IN,
	CHANGE_OUT_DIR,
	CHANGE_IN_DIR,
	CHANGE_LINK,
	CHANGE_UNLINK,
	CHANGE_MKDIR,
	CHANGE_RMDIR,
	CHANGE_SYMLINK,
	CHANGE_FIFO,
	CHANGE_DEVICE,
	CHANGE_TMPFILE,		/* O_TMPFILE and linkat */
	CHANGE_CHMOD,
	CHANGE_CHOWN,
	CHANGE_UTIMENS,
	CHANGE_XATTR,
	CHANGE_NO_XATTR,	/* taken away */
	CHANGE_ACL,
	CHANGE_BESIDE,		/* by a name outside the root */
	CHANGE_OUTSIDE,		/* any of these by a process outside the group */
	NR_CHANGES
};

const char *change_name(enum change change);

/**
 * struct tally - how often each was made and compared
 * @since: made until the last checkpoint
 * @compared: made between two checkpoints whose files were compared
 */
struct tally {
	uint64_t since[NR_CHANGES];
	uint64_t compared[NR_CHANGES];
};

/* A checkpoint; @compared: what changed since the last one has been looked at. */
void tally_commit(struct tally *t, bool compared);
/* Print all; return how many were not made or not compared. */
unsigned int tally_show(const struct tally *t);

#endif
