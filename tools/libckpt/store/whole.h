/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole: the blocks that a verification found whole, by stamps of their stored bytes
 *
 * Who reads one again and finds the bytes with that stamp has what was unpacked and hashed then:
 * it need only be unpacked.  Anything else is checked like a block that was never seen.
 *
 * LOCKING: blocks are added by one thread; after that any number may find them.
 */
#ifndef CKPT_STORE_WHOLE_H
#define CKPT_STORE_WHOLE_H

#include "base/stamp.h"
#include "store/hash.h"

struct ckpt_whole_block;

/**
 * struct ckpt_whole - stamps by name
 * @key: of all of them
 * @slot: open addressing, @size of them, a power of two
 */
struct ckpt_whole {
	struct ckpt_stamp_key key;
	struct ckpt_whole_block *slot;
	size_t size;
};

/* Forget all, and be ready for @n blocks at most; without memory, for none. */
void ckpt_whole_open(struct ckpt_whole *s, size_t n);
void ckpt_whole_done(struct ckpt_whole *s);
/* Each once. */
void ckpt_whole_add(struct ckpt_whole *s, const struct ckpt_hash *name,
		   const struct ckpt_stamp *stamp);
/* Return: NULL when it was not seen. */
const struct ckpt_stamp *ckpt_whole_find(const struct ckpt_whole *s, const struct ckpt_hash *name);

#endif
