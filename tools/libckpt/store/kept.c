// SPDX-License-Identifier: GPL-2.0-or-later
/* Kept: plain bytes of the blocks that a verification found whole. */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/spare.h"
#include "store/kept.h"

/* Of the memory that is to be had, what may be kept: the tree that is restored needs as much. */
#define PART 4

struct ckpt_kept_block {
	struct ckpt_hash name;
	const uint8_t *plain;
	size_t len;
};

void ckpt_kept_open(struct ckpt_kept *k, size_t n, size_t len)
{
	size_t size = 16;
	void *memory;

	ckpt_kept_done(k);
	if (!len || len > ckpt_spare_memory() / PART)
		return;
	while (size < 2 * n)
		size *= 2;
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return;
	*k = (struct ckpt_kept){
		.slot = calloc(size, sizeof(*k->slot)), .size = size, .memory = memory, .len = len,
	};
	if (!k->slot || madvise(memory, len, MADV_DONTFORK)) {
		ckpt_kept_done(k);
		return;
	}
	/* one fault for 2 MiB, where the kernel can */
	madvise(memory, len, MADV_HUGEPAGE);
}

void ckpt_kept_done(struct ckpt_kept *k)
{
	if (k->memory)
		munmap(k->memory, k->len);
	free(k->slot);
	*k = (struct ckpt_kept){ 0 };
}

void ckpt_kept_close(struct ckpt_kept *k)
{
	if (k->memory)
		mprotect(k->memory, k->len, PROT_READ);
}

uint8_t *ckpt_kept_room(struct ckpt_kept *k, size_t len)
{
	uint8_t *room = k->memory + k->used;

	if (len > k->len - k->used)
		return NULL;
	k->used += len;
	return room;
}

static struct ckpt_kept_block *slot_of(const struct ckpt_kept *k, const struct ckpt_hash *name)
{
	uint64_t n;
	size_t i;

	memcpy(&n, name->b, sizeof(n));
	for (i = n & (k->size - 1); k->slot[i].plain; i = (i + 1) & (k->size - 1))
		if (ckpt_hash_equal(&k->slot[i].name, name))
			break;
	return &k->slot[i];
}

void ckpt_kept_add(struct ckpt_kept *k, const struct ckpt_hash *name, const uint8_t *plain,
		   size_t len)
{
	*slot_of(k, name) = (struct ckpt_kept_block){ *name, plain, len };
}

const uint8_t *ckpt_kept_find(const struct ckpt_kept *k, const struct ckpt_hash *name,
			      size_t *ret_len)
{
	const struct ckpt_kept_block *b = k->size ? slot_of(k, name) : NULL;

	if (!b || !b->plain)
		return NULL;
	*ret_len = b->len;
	return b->plain;
}
