// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole: the blocks that a verification found whole. */
#include <stdlib.h>

#include "store/whole.h"

struct ckpt_whole_block {
	struct ckpt_hash name;
	struct ckpt_stamp stamp;
	bool used;
};

void ckpt_whole_open(struct ckpt_whole *s, size_t n)
{
	size_t size = 16;

	ckpt_whole_done(s);
	while (size < 2 * n)
		size *= 2;
	s->slot = calloc(size, sizeof(*s->slot));
	if (!s->slot)
		return;
	s->size = size;
	s->key = ckpt_stamp_key_new();
}

void ckpt_whole_done(struct ckpt_whole *s)
{
	free(s->slot);
	explicit_bzero(s, sizeof(*s));
}

static struct ckpt_whole_block *slot_of(const struct ckpt_whole *s, const struct ckpt_hash *name)
{
	uint64_t n;
	size_t i;

	memcpy(&n, name->b, sizeof(n));
	for (i = n & (s->size - 1); s->slot[i].used; i = (i + 1) & (s->size - 1))
		if (ckpt_hash_equal(&s->slot[i].name, name))
			break;
	return &s->slot[i];
}

void ckpt_whole_add(struct ckpt_whole *s, const struct ckpt_hash *name,
		   const struct ckpt_stamp *stamp)
{
	if (s->size)
		*slot_of(s, name) = (struct ckpt_whole_block){ *name, *stamp, true };
}

const struct ckpt_stamp *ckpt_whole_find(const struct ckpt_whole *s, const struct ckpt_hash *name)
{
	const struct ckpt_whole_block *b = s->size ? slot_of(s, name) : NULL;

	return b && b->used ? &b->stamp : NULL;
}
