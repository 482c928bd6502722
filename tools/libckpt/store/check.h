/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Check: reading many blocks on all processors, in the order in which they lie on disk. */
#ifndef CKPT_STORE_CHECK_H
#define CKPT_STORE_CHECK_H

#include "store/objects.h"

/**
 * struct ckpt_block_check - one block to check
 * @name: of the block
 * @leaf: number of the first leaf that names it
 * @need: bytes of it that leaves refer to
 * @len: plain length, set when it is whole; 0 when it is damaged
 * @why: why it is damaged, allocated
 */
struct ckpt_block_check {
	struct ckpt_hash name;
	uint64_t leaf;
	uint32_t need;
	uint32_t len;
	char *why;
};

/**
 * ckpt_check_blocks - read and check blocks
 * @keep: a restore follows, which wants to have them
 *
 * Those that are whole are known then (@o->whole), or kept if they are wanted and there is memory
 * (@o->kept).
 *
 * Return: 0, or -1 when something but damage stood in the way.
 */
int ckpt_check_blocks(struct ckpt_objects *o, struct ckpt_block_check *blocks, size_t n,
		      bool keep, struct ckpt_err *err);

#endif
