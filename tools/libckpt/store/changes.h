/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes: pages on their way into a checkpoint
 *
 * What is put is compared with the parent; what differs is staged, each content once, packed
 * into blocks, and in the end becomes leaves of the new map.
 */
#ifndef CKPT_STORE_CHANGES_H
#define CKPT_STORE_CHANGES_H

#include "store/coder.h"
#include "store/map.h"
#include "store/contents.h"
#include "store/table.h"

/* Pages staged before blocks are written: 64 MiB. */
#define CKPT_STAGED_MAX 16384u
/* A block begins where an aligned group of this many pages begins ... */
#define CKPT_BLOCK_PAGES 64u
/* ... if the block before it has at least this many. */
#define CKPT_BLOCK_PAGES_MIN 16u

/**
 * struct ckpt_changes - all of that
 * @parent: map of the parent, its root NULL without one
 * @parent_spaces: spaces from this number on have no pages in the parent
 * @complete: a page that @table lacks is absent in the parent
 * @fingerprinter: under the key of the group
 * @coder: made when first needed
 * @level: of zstd
 * @pack: where blocks and nodes go
 * @table: the pages
 * @contents: of changed pages
 * @recalled: those of the parent are among them
 * @adopted: pages of the parent that are used again for another, @unpacked: blocks read for them
 * @block: names of the blocks written and of those of the parent that are used again, @blocks
 *	of them
 */
struct ckpt_changes {
	struct ckpt_map parent;
	uint32_t parent_spaces;
	bool complete;
	struct ckpt_fingerprinter *fingerprinter;
	struct ckpt_coder *coder;
	int level;
	struct ckpt_pack_out *pack;
	struct ckpt_table table;
	struct ckpt_contents contents;
	bool recalled;
	uint64_t adopted, unpacked;
	struct ckpt_hash *block;
	uint32_t blocks;
};

void ckpt_changes_done(struct ckpt_changes *c);
/* Take in what is known of the pages of the parent. */
int ckpt_changes_recall(struct ckpt_changes *c, const struct ckpt_fingerprint_set *known,
			struct ckpt_err *err);
/* One page. The fingerprint is that of @data. */
int ckpt_changes_put(struct ckpt_changes *c, uint64_t key, const uint8_t *data,
		     struct ckpt_err *err);
/* Pages [key, end) of one space are absent. */
int ckpt_changes_drop(struct ckpt_changes *c, uint64_t key, uint64_t end, struct ckpt_err *err);
/* Pages that were put and differ from the parent. */
uint64_t ckpt_changes_pages(const struct ckpt_changes *c);
/* What the next checkpoint needs to know; free ret->entry. */
int ckpt_changes_known(const struct ckpt_changes *c, struct ckpt_fingerprint_set *ret,
		       struct ckpt_err *err);

/* A block that pages of this checkpoint are in: number c->blocks - 1 from now on. */
int ckpt_changes_block(struct ckpt_changes *c, const struct ckpt_hash *name,
		       struct ckpt_err *err);
/* Pack staged pages into blocks. @all: the last, short block too. */
int ckpt_changes_pack(struct ckpt_changes *c, bool all, struct ckpt_err *err);
/* Everything is packed: write the nodes. Return: as ckpt_map_change. */
int ckpt_changes_map(struct ckpt_changes *c, struct ckpt_hash *ret_root, struct ckpt_err *err);

#endif
