/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal of one root carried out, or thrown away. */
#ifndef CKPT_FS_APPLY_H
#define CKPT_FS_APPLY_H

#include "fs/stage.h"

/**
 * ckpt_fs_look_again - before the decision: is all still there that was planned for?
 * @s: with the stage open, its journal ready
 *
 * To get ready takes time.  What has changed meanwhile is refused as long as there is a way
 * back.
 */
int ckpt_fs_look_again(struct ckpt_fs_stage *s, struct ckpt_err *err);

/**
 * ckpt_fs_redo - carry out the journal of a root and remove its stage
 * @s: with the stage open
 * @state: name under which the journal is
 *
 * May be repeated after any interruption.
 */
int ckpt_fs_redo(struct ckpt_fs_stage *s, const char *state, struct ckpt_err *err);

/* Remove a stage whose restore was not decided. */
int ckpt_fs_undo(struct ckpt_fs_stage *s, struct ckpt_err *err);

#endif
