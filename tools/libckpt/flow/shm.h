/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared memory of a checkpoint: memfds, shared anonymous memory, System V segments
 *
 * Each is a space of its own, stored once however many processes map it.  All of it is read
 * while the group is stopped: no tracker tells which pages of it were written.  It goes into the
 * space that the parent has for what is most like it, so that the store keeps what has changed.
 */
#ifndef CKPT_FLOW_SHM_H
#define CKPT_FLOW_SHM_H

#include "base/pages.h"
#include "flow/stage.h"
#include "proc/image.h"

/**
 * ckpt_shm_capture - content of shared memory
 * @image: the stopped tree; the space of each is filled in
 * @parent: processes of the parent, or nothing
 * @stage: where it goes
 * @sink: the stage as a sink
 * @ret_pages: how many were read
 */
int ckpt_shm_capture(struct ckpt_image *image, const struct ckpt_image *parent,
		     struct ckpt_stage *stage, const struct ckpt_sink *sink, uint64_t *ret_pages,
		     struct ckpt_err *err);

/* Spaces of the parent that nothing in @image goes on with. */
int ckpt_shm_drop(const struct ckpt_image *parent, const struct ckpt_image *image,
		  const struct ckpt_sink *sink, struct ckpt_err *err);

/* Pages of it that a process has mapped and in memory; 0 when it is gone. */
uint64_t ckpt_shm_resident(int32_t pid);

#endif
