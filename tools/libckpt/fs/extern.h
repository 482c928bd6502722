/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * External files: what a tree only reads, and what must be there again
 *
 * Programs, libraries and data outside the roots are not stored.  A record of
 * each (identity, times, SHA-256 of its content) lets a restore refuse when
 * one is gone or another.  Hashing is done while the tree runs: a file whose
 * identity and times are those in the parent's records is not read again.
 */
#ifndef CKPT_FS_EXTERN_H
#define CKPT_FS_EXTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/quiet.h"

#define CKPT_FS_HASH_LEN 32

/**
 * struct ckpt_fs_extern - one file
 * @path: absolute, owned
 * @dev, @ino, @size, @mtime_ns, @ctime_ns, @btime_ns: as seen when it was hashed
 * @young: changed so shortly before that equal times prove nothing
 * @hash: SHA-256 of its content
 */
struct ckpt_fs_extern {
	char *path;
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns, btime_ns;
	bool young;
	uint8_t hash[CKPT_FS_HASH_LEN];
};

/**
 * struct ckpt_fs_externs - records in the order in which they were added
 * @quiet: what must not be opened as it is; NULL: nothing; not stored
 */
struct ckpt_fs_externs {
	struct ckpt_fs_extern *files;
	size_t n, cap;
	struct ckpt_quiet *quiet;
};

void ckpt_fs_externs_done(struct ckpt_fs_externs *e);
#define cleanup_externs __attribute__((cleanup(ckpt_fs_externs_done)))

/**
 * ckpt_fs_extern_add - record a file, once per path
 * @path: its path as the tree sees it
 * @at: a path that opens it, as /proc/PID/map_files/...; NULL: @path
 * @parent: records of the parent checkpoint, or NULL
 *
 * Refused when the file changes while it is hashed: the record is of one instant.
 */
int ckpt_fs_extern_add(struct ckpt_fs_externs *e, const char *path, const char *at,
		       const struct ckpt_fs_externs *parent, struct ckpt_err *err);

const struct ckpt_fs_extern *ckpt_fs_extern_find(const struct ckpt_fs_externs *e,
						 const char *path);

/**
 * ckpt_fs_extern_check - is the file there and the same?
 *
 * Return: 0, or -1 with CKPT_REFUSED and a sentence that names it.
 */
int ckpt_fs_extern_check(const struct ckpt_fs_extern *f, struct ckpt_err *err);

int ckpt_fs_externs_encode(const struct ckpt_fs_externs *e, struct ckpt_buf *ret,
			   struct ckpt_err *err);
int ckpt_fs_externs_decode(const void *data, size_t len, struct ckpt_fs_externs *ret,
			   struct ckpt_err *err);

#endif
