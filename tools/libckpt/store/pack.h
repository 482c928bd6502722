/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pack in the making: the objects that one checkpoint adds to a store. */
#ifndef CKPT_STORE_PACK_H
#define CKPT_STORE_PACK_H

#include "store/group.h"
#include "store/objects.h"

/**
 * struct ckpt_coded - an object ready to be written
 * @object: complete but for the offset
 * @stored: its stored bytes, not owned
 * @in_store: it was found whole in another pack and need not be written
 */
struct ckpt_coded {
	struct ckpt_object object;
	const uint8_t *stored;
	bool in_store;
};

/**
 * struct ckpt_pack_out - a pack being written
 * @group: whose writer makes it
 * @uuid: of the checkpoint, and so of the pack
 * @fd: the file in tmp, -1 until the first object
 * @head: its header
 * @at: length written so far
 * @table: what it holds
 * @shared: what was found whole in other packs
 * @raw_bytes: plain length of that
 */
struct ckpt_pack_out {
	const struct ckpt_group *group;
	uint8_t uuid[CKPT_UUID_LEN];
	int fd;
	uint8_t head[CKPT_PACK_HEAD_LEN];
	uint64_t at;
	struct ckpt_object_table table;
	struct ckpt_object_table shared;
	uint64_t raw_bytes;
};

/* @group stays the caller's. */
void ckpt_pack_init(struct ckpt_pack_out *p, const struct ckpt_group *group,
		    const uint8_t uuid[CKPT_UUID_LEN]);
/* Remove the file unless it was finished. */
void ckpt_pack_done(struct ckpt_pack_out *p);

/* Whether an object was added before. */
bool ckpt_pack_has(const struct ckpt_pack_out *p, const struct ckpt_hash *name);
/* Append an object unless ckpt_pack_has it or the store does. */
int ckpt_pack_add(struct ckpt_pack_out *p, const struct ckpt_coded *c, struct ckpt_err *err);
/* Complete it, durably, where it does not count yet. Nothing happens when nothing was added. */
int ckpt_pack_finish(struct ckpt_pack_out *p, struct ckpt_err *err);
/* Move the finished pack into the store, durably. */
int ckpt_pack_publish(struct ckpt_pack_out *p, struct ckpt_err *err);

#endif
