/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Journal of a restore: what is to be done to a root, written before it is done
 *
 * A root with differences has a stage directory on its own file system: beside
 * it, or inside when it is a mount point.  In it are new/N (what will be put in
 * place), trash/N (what was taken away) and the journal under the name of the
 * state it is in.  A file outside the roots that is put back counts as a root that
 * is a file.
 *
 *   ready   complete and durable; on its own it means nothing
 *   commit  in the first root of the restore: all roots go forward
 *   done    in another root: it is finished; in the first: all are
 *
 * The first root's journal is the first to be written.  All other stages are kept until it is
 * done, and it is the last to be removed: so a stage that is missing while another one needs
 * it was thrown away, or is on another disk than the one that is there now.
 *
 * Before anything is made beside a file outside the roots, the stage of a root names all
 * those files, so that whoever undoes the one finds the others.
 *
 * Operations are done in order, and each leaves a trace in the stage that says
 * so; to do them all again after an interruption changes nothing that is done.
 */
#ifndef CKPT_FS_JOURNAL_H
#define CKPT_FS_JOURNAL_H

#include "fs/meta.h"

#define CKPT_FS_READY "ready"
#define CKPT_FS_COMMIT "commit"
#define CKPT_FS_DONE "done"
#define CKPT_FS_FILES "files"

enum ckpt_fs_op_kind {
	CKPT_FS_OP_TRASH = 1,	/* root/path becomes trash/N */
	CKPT_FS_OP_PUT,		/* new/N becomes root/path */
	CKPT_FS_OP_META,	/* metadata of root/path */
};

enum ckpt_fs_was_kind {
	CKPT_FS_WAS_UNKNOWN,
	CKPT_FS_WAS_NOTHING,
	CKPT_FS_WAS_NODE,
};

/**
 * struct ckpt_fs_was - what an operation found at its path when it was planned
 * @kind: enum ckpt_fs_was_kind
 * @ino, @mtime_ns, @size: of the node; the size of a directory is 0
 *
 * What is there when the operation is carried out, perhaps days later, after an
 * interruption, must be that: anything else is newer work, and stays.
 */
struct ckpt_fs_was {
	uint64_t kind, ino, mtime_ns, size;
};

struct ckpt_fs_was ckpt_fs_was_of(const struct ckpt_fs_meta *m);

/**
 * struct ckpt_fs_op - one operation
 * @kind: enum ckpt_fs_op_kind
 * @n: number in new/ or trash/
 * @path: relative to the root, owned; "" the root itself
 * @was: what is taken away, replaced or given other metadata
 * @meta: for CKPT_FS_OP_META, owned
 */
struct ckpt_fs_op {
	uint32_t kind;
	uint64_t n;
	char *path;
	struct ckpt_fs_was was;
	struct ckpt_fs_meta meta;
};

/**
 * struct ckpt_fs_journal_root - a root as a journal names it
 * @path: absolute, owned
 * @inside: its stage was inside, for it was a mount point
 * @file: it is a file outside the roots
 * @mount_known: @mount_len is; older versions noted it of files alone
 * @mount_len: length of the part of @path that was the mount point of its directory
 * @boot: where a reboot takes it along: which boot it was; else 0
 */
struct ckpt_fs_journal_root {
	char *path;
	bool inside, file, mount_known;
	uint64_t mount_len, boot;
};

/**
 * struct ckpt_fs_journal - a journal as read
 * @roots: all roots of the restore that have a stage; the first decides for all
 * @written_ns: when it was complete, in the time of its file system
 */
struct ckpt_fs_journal {
	struct ckpt_fs_journal_root *roots;
	size_t n_roots;
	struct ckpt_fs_op *ops;
	size_t n_ops;
	int64_t written_ns;
};

void ckpt_fs_journal_done(struct ckpt_fs_journal *j);
#define cleanup_journal __attribute__((cleanup(ckpt_fs_journal_done)))

/* Append records to a journal being written. */
void ckpt_fs_journal_root(struct ckpt_buf *b, const struct ckpt_fs_journal_root *root);
void ckpt_fs_journal_op(struct ckpt_buf *b, uint32_t kind, uint64_t n, const char *path,
			const struct ckpt_fs_was *was, const struct ckpt_fs_meta *meta);

/* Write a journal durably into the stage directory: CKPT_FS_READY, or CKPT_FS_FILES. */
int ckpt_fs_journal_write(int stage, const char *name, struct ckpt_buf *b, struct ckpt_err *err);
/* Read the journal that is under @name in the stage directory. */
int ckpt_fs_journal_read(int stage, const char *name, struct ckpt_fs_journal *ret,
			 struct ckpt_err *err);
/* Rename it, durably. */
int ckpt_fs_journal_move(int stage, const char *from, const char *to, struct ckpt_err *err);

#endif
