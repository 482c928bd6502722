/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Twin: what is about to be written is in the store already
 *
 * A name in an index says what a pack held when it was written.  A new
 * checkpoint that relied on that would be as damaged as the pack is by now, and
 * every later one after it.  So the bytes are read, unpacked and compared with
 * those in hand, which takes less than half the time of compressing and writing
 * them again (of 256 MiB: 0.45 s of one processor instead of 1.0 s).
 */
#ifndef CKPT_STORE_TWIN_H
#define CKPT_STORE_TWIN_H

#include "store/objects.h"

/**
 * struct ckpt_twins - what a thread needs to look for them
 * @reader: buffers
 * @pack: index of the pack that @fd is, if @fd >= 0
 */
struct ckpt_twins {
	struct ckpt_object_reader reader;
	uint32_t pack;
	int fd;
};

#define CKPT_TWINS_INIT { .fd = -1 }

void ckpt_twins_done(struct ckpt_twins *t);
/**
 * ckpt_twin - whether a new checkpoint may refer to an object of the store
 * @plain: its plain bytes, @want->raw_len of them
 * @want: name, type and length
 *
 * Several threads may ask at once, each with its own @t, while @o is not refreshed.
 */
bool ckpt_twin(struct ckpt_twins *t, const struct ckpt_objects *o, const struct ckpt_object *want,
	       const uint8_t *plain);

#endif
