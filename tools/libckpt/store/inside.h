/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the store share; nobody else includes it. */
#ifndef CKPT_STORE_INSIDE_H
#define CKPT_STORE_INSIDE_H

#include <sys/types.h>

#include "base/buf.h"
#include "store/identity.h"
#include "store/objects.h"
#include "store/store.h"

/**
 * struct ckpt_store - an open store
 * @path: as given
 * @dir: its directory
 * @packs: the directory packs
 * @groups: the directory groups
 * @writable: opened to write
 * @format: content of its format file
 * @objects: everything stored, found by name
 */
struct ckpt_store {
	char *path;
	int dir;
	int packs;
	int groups;
	bool writable;
	struct ckpt_format format;
	struct ckpt_objects objects;
};

/* An error of a system call on the store: full and read-only get their own sentence. */
int ckpt_store_fail(const char *path, int os, const char *what, struct ckpt_err *err);

/* Append the whole file; err->os is ENOENT when there is none. */
int ckpt_file_read(int dir, const char *name, size_t max, struct ckpt_buf *ret,
		   struct ckpt_err *err);
/* All of it. Return: 0, or -1 with errno. */
int ckpt_file_write(int fd, const void *data, size_t len);

/**
 * struct ckpt_place - a file that is made beside its place and moved there
 * @store: path of the store, for messages
 * @tmp: directory in which it is written
 * @dir: directory it ends up in
 * @name: in both
 * @mode: permissions
 * @what: what it is, for messages
 * @point: prefix of the fault points; NULL for a file whose loss does not matter,
 *	which then is not flushed
 */
struct ckpt_place {
	const char *store;
	int tmp;
	int dir;
	const char *name;
	mode_t mode;
	const char *what;
	const char *point;
};

/* Replace a file as a whole; after a failure the old one is there and no trace of the new. */
int ckpt_file_replace(const struct ckpt_place *at, const void *data, size_t len,
		      struct ckpt_err *err);
/* The same in two steps: all that needs room on the disk, and the move; or back again. */
int ckpt_file_prepare(const struct ckpt_place *at, const void *data, size_t len,
		      struct ckpt_err *err);
/* @flags: of renameat2: RENAME_NOREPLACE where there can be no file of that name */
int ckpt_file_move(const struct ckpt_place *at, unsigned int flags, struct ckpt_err *err);
void ckpt_file_discard(const struct ckpt_place *at);

#endif
