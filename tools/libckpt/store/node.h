/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes of a map, as bytes
 *
 * A map is a path-compressed 16-way trie over keys (space << 36 | page).  A
 * leaf covers 512 pages; its number is the key without the low 9 bits.  An
 * inner node of level L has children that differ in bits 4L..4L+3 of their
 * leaf numbers; its prefix is what the numbers below it have in common.  One
 * set of pages has exactly one encoding, so equal subtrees have equal names.
 */
#ifndef CKPT_STORE_NODE_H
#define CKPT_STORE_NODE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/pages.h"
#include "store/hash.h"

#define CKPT_LEAF_BITS 9
#define CKPT_LEAF_PAGES (1u << CKPT_LEAF_BITS)
#define CKPT_PAGE_BITS 36
#define CKPT_LEAF_NUMBER_BITS (CKPT_SPACE_BITS + CKPT_PAGE_BITS - CKPT_LEAF_BITS)
#define CKPT_NODE_LEVELS ((CKPT_LEAF_NUMBER_BITS + 3) / 4)
#define CKPT_NODE_HEAD_LEN 16
#define CKPT_RUN_LEN 8
#define CKPT_RUN_ZERO 0xffffu
#define CKPT_NODE_LEN_MAX \
	(CKPT_NODE_HEAD_LEN + CKPT_LEAF_PAGES * (CKPT_RUN_LEN + CKPT_HASH_LEN))

static inline uint64_t ckpt_key(uint32_t space, uint64_t page)
{
	return (uint64_t)space << CKPT_PAGE_BITS | page;
}

static inline unsigned int ckpt_node_digit(uint64_t leaf_number, unsigned int level)
{
	return leaf_number >> 4 * level & 15;
}

/**
 * struct ckpt_entry - where one page of a leaf is
 * @kind: absent, zero or data
 * @block: index into the leaf's block table, for data
 * @slot: which page of the block, for data
 */
struct ckpt_entry {
	uint8_t kind;
	uint8_t slot;
	uint16_t block;
};

/**
 * struct ckpt_leaf - 512 pages
 * @number: key of its first page >> 9
 * @blocks: how many of @block are used
 * @entry: the pages
 * @block: names of the blocks they lie in; more than one leaf needs while it is changed
 */
struct ckpt_leaf {
	uint64_t number;
	uint32_t blocks;
	struct ckpt_entry entry[CKPT_LEAF_PAGES];
	struct ckpt_hash block[2 * CKPT_LEAF_PAGES];
};

/**
 * struct ckpt_inner - a node with at least two children
 * @prefix: leaf numbers below >> 4 * (level + 1)
 * @digits: bit d is set when child @d exists
 * @level: 0 to 13
 * @child: names of the children
 */
struct ckpt_inner {
	uint64_t prefix;
	uint16_t digits;
	uint8_t level;
	struct ckpt_hash child[16];
};

struct ckpt_node {
	bool is_leaf;
	union {
		struct ckpt_leaf leaf;
		struct ckpt_inner inner;
	};
};

/* Index of @block in the table of @leaf, where it is added if need be. */
unsigned int ckpt_leaf_block(struct ckpt_leaf *leaf, const struct ckpt_hash *block);
/* Only blocks that an entry names are written; their order is that of first use. */
int ckpt_leaf_encode(const struct ckpt_leaf *leaf, struct ckpt_buf *ret, struct ckpt_err *err);
int ckpt_inner_encode(const struct ckpt_inner *inner, struct ckpt_buf *ret, struct ckpt_err *err);
/* Refuses every encoding but the one of its pages. @ret is undefined after a failure. */
int ckpt_node_decode(const void *data, size_t len, struct ckpt_node *ret, struct ckpt_err *err);

/* Whether @leaf_number can lie below a node. */
static inline bool ckpt_node_covers(const struct ckpt_node *n, uint64_t leaf_number)
{
	if (n->is_leaf)
		return n->leaf.number == leaf_number;
	return leaf_number >> 4 * (n->inner.level + 1) == n->inner.prefix;
}

#endif
