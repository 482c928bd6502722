/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tagging: a group becomes known to the module, where there is one, and to this boot. */
#ifndef CKPT_FLOW_TAG_H
#define CKPT_FLOW_TAG_H

#include "base/err.h"
#include "flow/tagged.h"

/**
 * ckpt_tag - name an existing cgroup
 *
 * Refused when the name is that of a group that lives, when there is no such
 * cgroup, and while another ckpt-tool is at work on the name.  A group of that
 * name that is dead is replaced: what the module knew of it is forgotten, so
 * that the next checkpoint is full.  A restore of its roots that was interrupted
 * is finished or undone first (flow/settle.h).
 */
int ckpt_tag(const struct ckpt_tagged *group, struct ckpt_err *err);
/* The same by a caller that holds the lock of the name. */
int ckpt_tag_locked(const struct ckpt_tagged *group, struct ckpt_err *err);

/*
 * What of it can be refused before anything is changed, for a dry run: all but
 * what another ckpt-tool does at this moment, and the module's own limits.
 */
int ckpt_tag_check(const struct ckpt_tagged *group, struct ckpt_err *err);

/*
 * Forget a group; its tasks run on, its checkpoints stay.  What a restored tree
 * has written to its output in CKPT_RUN_DIR goes with it when no task of it lives.
 */
int ckpt_untag(const char *name, struct ckpt_err *err);
int ckpt_untag_locked(const char *name, struct ckpt_err *err);
int ckpt_untag_check(const char *name, struct ckpt_err *err);

#endif
