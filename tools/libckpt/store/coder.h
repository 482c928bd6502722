/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Coder: hashing and compressing objects on all processors, writing them in order. */
#ifndef CKPT_STORE_CODER_H
#define CKPT_STORE_CODER_H

#include "store/pack.h"

#define CKPT_CODER_BATCH 16

/**
 * struct ckpt_code_job - one object
 * @type: of the object
 * @part: its plain bytes, in pieces of equal length
 * @parts: number of pieces
 * @part_len: length of each, in bytes
 * @coded: result; points into the coder
 */
struct ckpt_code_job {
	enum ckpt_object_type type;
	const uint8_t *const *part;
	size_t parts;
	size_t part_len;
	struct ckpt_coded coded;
};

struct ckpt_coder;

/* @level: of zstd; negative ones are fast. */
struct ckpt_coder *ckpt_coder_new(int level, struct ckpt_err *err);
void ckpt_coder_free(struct ckpt_coder *c);
/**
 * ckpt_coder_run - code up to CKPT_CODER_BATCH objects and add them to a pack
 *
 * What the pack holds already is only hashed; what the store holds is compared
 * with it (store/twin.h).
 */
int ckpt_coder_run(struct ckpt_coder *c, struct ckpt_code_job *jobs, size_t n,
		   struct ckpt_pack_out *pack, struct ckpt_err *err);

#endif
