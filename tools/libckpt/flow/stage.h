/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stage: a page sink in memory for what is copied while the group is stopped, or just before
 *
 * The buffer is mapped and faulted in before the freeze; hashing, comparing
 * and compressing wait until the group runs again, when the stage is replayed
 * into the store.  It grows when it must, at the price of a longer freeze.
 */
#ifndef CKPT_FLOW_STAGE_H
#define CKPT_FLOW_STAGE_H

#include "base/pages.h"

struct ckpt_stage;

/* @pages: how many to have ready. */
struct ckpt_stage *ckpt_stage_new(size_t pages, struct ckpt_err *err);
void ckpt_stage_free(struct ckpt_stage *stage);

/**
 * ckpt_stage_room - where the next @count pages go
 * Return: memory for them, consecutive, or NULL with @err set; valid until the
 * next call.  ckpt_stage_put_room books it.
 */
void *ckpt_stage_room(struct ckpt_stage *stage, size_t count, struct ckpt_err *err);
int ckpt_stage_put_room(struct ckpt_stage *stage, uint32_t space, uint64_t page, size_t count,
			struct ckpt_err *err);

/* The stage as a sink; space numbers come from @below. */
struct ckpt_sink ckpt_stage_sink(struct ckpt_stage *stage, const struct ckpt_sink *below);

/* Pass everything on to @sink in the order it came. */
int ckpt_stage_replay(struct ckpt_stage *stage, const struct ckpt_sink *sink,
		      struct ckpt_err *err);

#endif
