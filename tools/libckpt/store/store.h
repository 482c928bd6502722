/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Store: a directory that holds the checkpoints of many groups
 *
 * LOCKING: a store, and what was opened from it, belong to one thread.  Several
 * processes and several opens may use one directory at once: one writer per
 * group, any number of readers.
 *
 * LIFETIME: readers, writers and verified checkpoints point to the store they
 * were opened from and must be closed before it.
 */
#ifndef CKPT_STORE_STORE_H
#define CKPT_STORE_STORE_H

#include "base/err.h"
#include "store/format.h"

struct ckpt_store;

enum ckpt_store_mode {
	CKPT_STORE_READ,	/* it must exist */
	CKPT_STORE_WRITE,	/* it must exist and be writable */
	CKPT_STORE_CREATE,	/* like WRITE; made when missing or empty */
};

/**
 * ckpt_store_open - open a store
 * @path: its directory
 * @mode: what for
 *
 * Return: the store, to be closed by ckpt_store_close, or NULL.
 */
struct ckpt_store *ckpt_store_open(const char *path, enum ckpt_store_mode mode,
				   struct ckpt_err *err);
/* NULL is allowed. */
void ckpt_store_close(struct ckpt_store *store);

#endif
