/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kept: plain bytes of the blocks that a verification found whole, for the restore that follows
 *
 * What was unpacked and hashed once need not be read, unpacked or compared again.  All of them are
 * kept, or none where they are too many for the memory of this machine: those are read again, and
 * known by their stamps (whole.h).
 *
 * LOCKING: rooms are given and blocks added by one thread, while any number fill rooms of their
 *	own; after that any number may find them.
 */
#ifndef CKPT_STORE_KEPT_H
#define CKPT_STORE_KEPT_H

#include "store/hash.h"

struct ckpt_kept_block;

/**
 * struct ckpt_kept - blocks by name
 * @slot: open addressing, @size of them, a power of two
 * @memory: in which they lie, @len bytes, @used of them given away
 */
struct ckpt_kept {
	struct ckpt_kept_block *slot;
	size_t size;
	uint8_t *memory;
	size_t len, used;
};

/**
 * ckpt_kept_open - forget all, and be ready for other blocks
 * @n: how many at most
 * @len: all of their bytes
 *
 * Children that are forked do not have them.
 */
void ckpt_kept_open(struct ckpt_kept *k, size_t n, size_t len);
void ckpt_kept_done(struct ckpt_kept *k);
/* All are there: nothing may change them any more. */
void ckpt_kept_close(struct ckpt_kept *k);
/* Return: where a block can lie; NULL where none is kept. */
uint8_t *ckpt_kept_room(struct ckpt_kept *k, size_t len);
/* Each once, with @plain in a room of its own, filled. */
void ckpt_kept_add(struct ckpt_kept *k, const struct ckpt_hash *name, const uint8_t *plain,
		   size_t len);
/* Return: its bytes until all are forgotten; NULL when it is not kept. */
const uint8_t *ckpt_kept_find(const struct ckpt_kept *k, const struct ckpt_hash *name,
			      size_t *ret_len);

#endif
