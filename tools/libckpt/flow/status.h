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
 * @tracker: "kmod" when the module knows the group, else "full"
 * @epoch, @dirty_pages, @changed_inodes, @lost: as the module tells, else 0
 * @last_id: newest checkpoint in the store asked, 0 for none
 */
struct ckpt_status_row {
	char *name, *cgroup;
	const char *tracker;
	bool alive;
	uint64_t tasks, epoch, dirty_pages, changed_inodes, lost, last_id;
};

struct ckpt_status_table {
	struct ckpt_status_row *rows;
	size_t n_rows;
};

void ckpt_status_done(struct ckpt_status_table *status);
/* @store may not exist yet: then no checkpoint is known. */
int ckpt_status_read(const char *store, struct ckpt_status_table *ret, struct ckpt_err *err);

#endif
