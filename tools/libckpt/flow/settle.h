/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settle: an interrupted restore of the roots is ended before anything else
 *
 * A journal that was left behind says what to do to roots as they were then.
 * Nothing may start to work in them before it is finished or undone, or the
 * next restore would carry it out over newer work.
 */
#ifndef CKPT_FLOW_SETTLE_H
#define CKPT_FLOW_SETTLE_H

#include "flow/tagged.h"

/**
 * ckpt_settle - finish or undo what was left in the roots of a group
 * @alive: a tree works in them: a restore that could only be finished is refused
 * @dry_run: refuse what would be refused, change nothing
 */
int ckpt_settle(const struct ckpt_tagged *group, bool alive, bool dry_run, struct ckpt_err *err);

#endif
