/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verification: reads all of a checkpoint
 *
 * Its result is the only thing a restore accepts: struct ckpt_verified cannot
 * be made in another way.  Its blocks are kept in memory until it is closed, or, where they are too
 * many for that, checked again when the restore reads them.
 */
#ifndef CKPT_STORE_VERIFY_H
#define CKPT_STORE_VERIFY_H

#include "base/pages.h"
#include "store/manifest.h"
#include "store/store.h"

#define CKPT_DAMAGE_MAX 100

/**
 * struct ckpt_report - what a verification found
 * @id: of the checkpoint
 * @nodes: map nodes read
 * @blocks: blocks read
 * @bytes: their plain bytes
 * @pages: pages the map holds, zero pages included
 * @damage: sentences, @ndamage of them, the first CKPT_DAMAGE_MAX
 * @faults: how many there are in all
 */
struct ckpt_report {
	uint64_t id;
	uint64_t nodes;
	uint64_t blocks;
	uint64_t bytes;
	uint64_t pages;
	char **damage;
	size_t ndamage;
	uint64_t faults;
};

void ckpt_report_done(struct ckpt_report *r);
#define cleanup_report __attribute__((cleanup(ckpt_report_done)))

struct ckpt_verified;

/**
 * ckpt_verify - read and check one checkpoint
 * @which: an id; 0 for the newest, -N for the Nth before it
 * @ret: filled unless it fails; released by ckpt_report_done
 * @ret_verified: may be NULL; set when the checkpoint is whole, to be closed by
 *	ckpt_verified_close
 *
 * The verdict is remembered where the store was opened to write.
 *
 * Return: 1 whole, 0 damaged, -1 it could not be verified.
 */
int ckpt_verify(struct ckpt_store *store, const char *name, int64_t which,
		struct ckpt_report *ret, struct ckpt_verified **ret_verified,
		struct ckpt_err *err);

/**
 * ckpt_verify_mark - remember that a checkpoint was found damaged
 * @store: opened to write
 *
 * For who verified it through a store that was opened to read.  For information: it may
 * be lost without harm.
 */
void ckpt_verify_mark(struct ckpt_store *store, const char *name, uint64_t id);

/* NULL is allowed. */
void ckpt_verified_close(struct ckpt_verified *v);
const struct ckpt_manifest *ckpt_verified_manifest(const struct ckpt_verified *v);
struct ckpt_source ckpt_verified_source(struct ckpt_verified *v);
/* Append a blob of the manifest to @ret. */
int ckpt_verified_blob(struct ckpt_verified *v, const char *name, struct ckpt_buf *ret,
		       struct ckpt_err *err);

#endif
