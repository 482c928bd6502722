/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cache of plain bytes by name, least recently used first out. */
#ifndef CKPT_STORE_CACHE_H
#define CKPT_STORE_CACHE_H

#include "store/hash.h"

#define CKPT_CACHE_LEN_MAX (64u << 20)
#define CKPT_CACHE_BUCKETS 4096

struct ckpt_cached;

/* @len_max: bytes it may hold, 0: CKPT_CACHE_LEN_MAX */
struct ckpt_cache {
	struct ckpt_cached *bucket[CKPT_CACHE_BUCKETS];
	struct ckpt_cached *newest;
	struct ckpt_cached *oldest;
	size_t len;
	size_t len_max;
};

void ckpt_cache_done(struct ckpt_cache *c);
/* Return: the bytes, or NULL. They stay until the next ckpt_cache_add. */
const uint8_t *ckpt_cache_find(struct ckpt_cache *c, const struct ckpt_hash *name, size_t *ret_len);
/* Takes @data, which malloc made, over. Return: 0, or -1 without memory (@data freed). */
int ckpt_cache_add(struct ckpt_cache *c, const struct ckpt_hash *name, uint8_t *data, size_t len);

#endif
