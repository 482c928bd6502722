/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reader: the pages of one checkpoint
 *
 * Every node and block is checked against its name when it is read.  Restoring
 * takes a struct ckpt_verified (store/verify.h) instead.
 */
#ifndef CKPT_STORE_READER_H
#define CKPT_STORE_READER_H

#include "base/pages.h"
#include "store/manifest.h"
#include "store/store.h"

struct ckpt_reader;

/**
 * ckpt_reader_open - open a checkpoint
 * @which: an id; 0 for the newest, -N for the Nth before it
 *
 * Return: the reader, or NULL.
 */
struct ckpt_reader *ckpt_reader_open(struct ckpt_store *store, const char *name, int64_t which,
				     struct ckpt_err *err);
/* NULL is allowed. */
void ckpt_reader_close(struct ckpt_reader *r);

const struct ckpt_manifest *ckpt_reader_manifest(const struct ckpt_reader *r);
struct ckpt_source ckpt_reader_source(struct ckpt_reader *r);
/* Append a blob of the manifest to @ret. */
int ckpt_reader_blob(struct ckpt_reader *r, const char *name, struct ckpt_buf *ret,
		     struct ckpt_err *err);

/* Turn newest and -N into an id. */
int ckpt_reader_resolve(struct ckpt_store *store, const char *name, int64_t which,
			uint64_t *ret_id, struct ckpt_err *err);

#endif
