/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Status: a row per group of this boot. */
#ifndef CKPT_FLOW_STATUS_H
#define CKPT_FLOW_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/**
 * struct ckpt_status_row - one group
 * @tracker: "kmod" when the module knows the group, else "full"; NULL when nothing
 *	but the name could be learned
 * @epoch, @dirty_pages, @changed_inodes, @lost: as the module tells, else 0
 * @last_id: newest checkpoint in the store asked, 0 for none
 * @why: what could not be learned of the group and why; CKPT_OK: all of it was
 */
struct ckpt_status_row {
	char *name, *cgroup;
	const char *tracker;
	bool alive;
	uint64_t tasks, epoch, dirty_pages, changed_inodes, lost, last_id;
	struct ckpt_err why;
};

/**
 * struct ckpt_status_table - the groups of this boot
 * @store: why the store could not be asked; CKPT_OK: it was, or there is none yet
 */
struct ckpt_status_table {
	struct ckpt_status_row *rows;
	size_t n_rows;
	struct ckpt_err store;
};

void ckpt_status_done(struct ckpt_status_table *status);
/**
 * ckpt_status_read - look at all groups of this boot
 * @store: directory of the store to be asked
 * @must_exist: otherwise one that is not there yet has no checkpoint
 *
 * A group that cannot be looked at hides no other.
 */
int ckpt_status_read(const char *store, bool must_exist, struct ckpt_status_table *ret,
		     struct ckpt_err *err);

#endif
