// SPDX-License-Identifier: GPL-2.0-or-later
/* Nodes of a map, as bytes. */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "store/format.h"
#include "store/node.h"

#define LEAF_MAGIC 0x3146454cu	/* "LEF1" */
#define INNER_MAGIC 0x31524e49u	/* "INR1" */
#define NO_BLOCK 0xffffu

/* Integers are little-endian in the file. */
struct disk_leaf {
	uint32_t magic;
	uint16_t runs;
	uint16_t blocks;
	uint64_t number;
};

struct disk_run {
	uint16_t first;
	uint16_t count;
	uint16_t block;
	uint16_t slot;
};

struct disk_inner {
	uint32_t magic;
	uint8_t level;
	uint8_t zero;
	uint16_t digits;
	uint64_t prefix;
};

static_assert(sizeof(struct disk_leaf) == CKPT_NODE_HEAD_LEN, "leaf header");
static_assert(sizeof(struct disk_inner) == CKPT_NODE_HEAD_LEN, "inner node header");
static_assert(sizeof(struct disk_run) == CKPT_RUN_LEN, "run");
static_assert(CKPT_NODE_LEVELS == 14, "levels of a map");
static_assert(CKPT_BLOCK_PAGES_MAX <= 256, "slots fit a byte");

/* Whether page @i goes on where page @i - 1 ends. */
static bool continues(const struct ckpt_entry *e)
{
	if (e[-1].kind != e->kind)
		return false;
	return e->kind != CKPT_PAGE_IS_DATA ||
	       (e[-1].block == e->block && e[-1].slot + 1 == e->slot);
}

unsigned int ckpt_leaf_block(struct ckpt_leaf *leaf, const struct ckpt_hash *block)
{
	for (unsigned int i = leaf->blocks; i-- > 0;)
		if (ckpt_hash_equal(&leaf->block[i], block))
			return i;
	leaf->block[leaf->blocks] = *block;
	return leaf->blocks++;
}

int ckpt_leaf_encode(const struct ckpt_leaf *leaf, struct ckpt_buf *ret, struct ckpt_err *err)
{
	struct disk_leaf head = { .magic = htole32(LEAF_MAGIC), .number = htole64(leaf->number) };
	uint16_t order[CKPT_LEAF_PAGES], as[2 * CKPT_LEAF_PAGES];
	unsigned int runs = 0, blocks = 0, next;
	size_t at = ckpt_buf_put(ret, NULL, sizeof(head));

	memset(as, 0xff, sizeof(as));
	for (unsigned int i = 0; i < CKPT_LEAF_PAGES; i = next) {
		const struct ckpt_entry *e = &leaf->entry[i];
		struct disk_run run = { .first = htole16(i), .block = htole16(CKPT_RUN_ZERO) };

		for (next = i + 1; next < CKPT_LEAF_PAGES && continues(&leaf->entry[next]); next++)
			;
		if (e->kind == CKPT_PAGE_IS_ABSENT)
			continue;
		if (e->kind == CKPT_PAGE_IS_DATA) {
			if (as[e->block] == NO_BLOCK) {
				order[blocks] = e->block;
				as[e->block] = blocks++;
			}
			run.block = htole16(as[e->block]);
			run.slot = htole16(e->slot);
		}
		run.count = htole16(next - i);
		ckpt_buf_put(ret, &run, sizeof(run));
		runs++;
	}
	for (unsigned int i = 0; i < blocks; i++)
		ckpt_buf_put(ret, leaf->block[order[i]].b, CKPT_HASH_LEN);
	if (ret->failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a node of the map");
	head.runs = htole16(runs);
	head.blocks = htole16(blocks);
	memcpy(ret->data + at, &head, sizeof(head));
	return 0;
}

int ckpt_inner_encode(const struct ckpt_inner *inner, struct ckpt_buf *ret, struct ckpt_err *err)
{
	struct disk_inner head = {
		.magic = htole32(INNER_MAGIC),
		.level = inner->level,
		.digits = htole16(inner->digits),
		.prefix = htole64(inner->prefix),
	};

	ckpt_buf_put(ret, &head, sizeof(head));
	for (unsigned int d = 0; d < 16; d++)
		if (inner->digits & 1u << d)
			ckpt_buf_put(ret, inner->child[d].b, CKPT_HASH_LEN);
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for a node of the map") : 0;
}

static int bad(const char *what, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_DAMAGED, 0, "node of the map %s", what);
}

/* One run into @leaf; @used counts the blocks named so far, @from the first page free. */
static int decode_run(const uint8_t *p, struct ckpt_leaf *leaf, unsigned int *used,
		      unsigned int *from, struct ckpt_err *err)
{
	struct disk_run run;
	unsigned int first, count, block, slot;

	memcpy(&run, p, sizeof(run));
	first = le16toh(run.first);
	count = le16toh(run.count);
	block = le16toh(run.block);
	slot = le16toh(run.slot);
	if (first < *from || !count || first + count > CKPT_LEAF_PAGES)
		return bad("has runs that overlap or leave it", err);
	if (block == CKPT_RUN_ZERO ? slot : block > *used || block >= leaf->blocks ||
	    slot + count > CKPT_BLOCK_PAGES_MAX)
		return bad("has a run outside of its block", err);
	if (block == *used)
		++*used;
	for (unsigned int i = 0; i < count; i++) {
		struct ckpt_entry *e = &leaf->entry[first + i];

		if (block == CKPT_RUN_ZERO)
			*e = (struct ckpt_entry){ .kind = CKPT_PAGE_IS_ZERO };
		else
			*e = (struct ckpt_entry){ CKPT_PAGE_IS_DATA, slot + i, block };
	}
	if (first && first == *from && continues(&leaf->entry[first]))
		return bad("has a run in two pieces", err);
	*from = first + count;
	return 0;
}

static int decode_leaf(const uint8_t *p, size_t len, struct ckpt_leaf *ret, struct ckpt_err *err)
{
	struct disk_leaf head;
	unsigned int runs, used = 0, from = 0;

	memcpy(&head, p, sizeof(head));
	runs = le16toh(head.runs);
	ret->number = le64toh(head.number);
	ret->blocks = le16toh(head.blocks);
	if (!runs || runs > CKPT_LEAF_PAGES || ret->blocks > runs ||
	    ret->number >> CKPT_LEAF_NUMBER_BITS ||
	    len != sizeof(head) + runs * CKPT_RUN_LEN + (size_t)ret->blocks * CKPT_HASH_LEN)
		return bad("has an impossible length", err);
	memset(ret->entry, 0, sizeof(ret->entry));
	p += sizeof(head);
	for (unsigned int i = 0; i < runs; i++, p += CKPT_RUN_LEN)
		if (decode_run(p, ret, &used, &from, err))
			return -1;
	if (used != ret->blocks)
		return bad("names a block it does not use", err);
	memcpy(ret->block, p, (size_t)ret->blocks * CKPT_HASH_LEN);
	for (unsigned int i = 1; i < ret->blocks; i++)
		for (unsigned int j = 0; j < i; j++)
			if (ckpt_hash_equal(&ret->block[i], &ret->block[j]))
				return bad("names a block twice", err);
	return 0;
}

static int decode_inner(const uint8_t *p, size_t len, struct ckpt_inner *ret,
			struct ckpt_err *err)
{
	struct disk_inner head;
	unsigned int n;

	memcpy(&head, p, sizeof(head));
	ret->level = head.level;
	ret->digits = le16toh(head.digits);
	ret->prefix = le64toh(head.prefix);
	n = __builtin_popcount(ret->digits);
	if (ret->level >= CKPT_NODE_LEVELS || head.zero || n < 2 ||
	    len != sizeof(head) + (size_t)n * CKPT_HASH_LEN)
		return bad("has an impossible length", err);
	/* The top level has the three bits that are left. */
	if (ret->level == CKPT_NODE_LEVELS - 1 ? ret->prefix || ret->digits >> 8 :
	    ret->prefix >> (CKPT_LEAF_NUMBER_BITS - 4 * (ret->level + 1)))
		return bad("has an impossible prefix", err);
	p += sizeof(head);
	for (unsigned int d = 0; d < 16; d++) {
		if (!(ret->digits & 1u << d))
			continue;
		memcpy(ret->child[d].b, p, CKPT_HASH_LEN);
		p += CKPT_HASH_LEN;
	}
	return 0;
}

int ckpt_node_decode(const void *data, size_t len, struct ckpt_node *ret, struct ckpt_err *err)
{
	uint32_t magic;

	if (len < CKPT_NODE_HEAD_LEN)
		return bad("is cut short", err);
	memcpy(&magic, data, sizeof(magic));
	switch (le32toh(magic)) {
	case LEAF_MAGIC:
		ret->is_leaf = true;
		return decode_leaf(data, len, &ret->leaf, err);
	case INNER_MAGIC:
		ret->is_leaf = false;
		return decode_inner(data, len, &ret->inner, err);
	}
	return bad("does not begin like a node", err);
}
