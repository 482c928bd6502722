/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal of one root carried out, or thrown away. */
#ifndef CKPT_FS_APPLY_H
#define CKPT_FS_APPLY_H

#include "fs/journal.h"
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
 * ckpt_fs_redo - carry out the journal of a root
 * @s: with the stage open
 * @state: name under which the journal is; it is CKPT_FS_DONE afterwards
 *
 * May be repeated after any interruption.  The stage stays.
 */
int ckpt_fs_redo(struct ckpt_fs_stage *s, const char *state, struct ckpt_err *err);

/**
 * ckpt_fs_check_undo - refuse to undo what was begun, so that it must have been decided
 * @j: its journal, which is ready
 */
int ckpt_fs_check_undo(const struct ckpt_fs_stage *s, const struct ckpt_fs_journal *j,
		       struct ckpt_err *err);

/* A stage whose restore was not decided is nothing but rubbish from here. */
int ckpt_fs_forget_ready(struct ckpt_fs_stage *s, struct ckpt_err *err);
/* The same, and remove it. */
int ckpt_fs_undo(struct ckpt_fs_stage *s, struct ckpt_err *err);

#endif
