/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Restore: a verified checkpoint becomes a running group again, stage by stage. */
#ifndef CKPT_FLOW_RESTORE_H
#define CKPT_FLOW_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* In order. */
enum ckpt_stage_kind {
	CKPT_STAGE_FILES,	/* the roots, and files outside them */
	CKPT_STAGE_MEMORY,	/* tasks and memory, stopped */
	CKPT_STAGE_CHECK,	/* the user's command decides */
	CKPT_STAGES
};

/**
 * struct ckpt_bring_params - what to bring back
 * @store: directory of the store
 * @name: the group
 * @id: checkpoint id, 0 for the newest good one, negative to count back
 * @dry_run: verification and preflight alone
 * @tcp_repair: TCP connections to the outside go on where that loses nothing; else they are reset
 * @check: shell command that must succeed with files in place and the tree
 *	built, before it runs; NULL for none
 * @progress: called with a word per step; NULL for none
 */
struct ckpt_bring_params {
	const char *store, *name;
	int64_t id;
	bool dry_run, tcp_repair;
	const char *check;
	void (*progress)(const char *step);
};

/**
 * struct ckpt_stage_result - what one stage did
 * @done: it was committed and its verification passed
 */
struct ckpt_stage_result {
	const char *name;
	bool done;
	uint64_t ns;
};

/**
 * struct ckpt_bring_result - a group that runs again
 * @id: the checkpoint it was made from
 * @skipped: newer checkpoints that were found damaged
 * @why_skipped: what is wrong with the newest of them
 * @root_pid: host pid of its first task
 * @moved: its pids are taken: it is in a new pid namespace, or would be
 * @files_changed: entries of the roots, and files outside them, that differed
 * @pages: pages of memory placed and compared
 * @tcp_repaired, @tcp_reset: TCP connections to the outside that go on, and that are reset; in a
 *	dry run those that would be tried, and the others
 * @tcp_why: why the first of these is reset
 */
struct ckpt_bring_result {
	uint64_t id, skipped;
	char why_skipped[CKPT_ERR_LEN];
	int32_t root_pid;
	bool moved;
	uint64_t files_changed, pages, total_ns;
	uint64_t tcp_repaired, tcp_reset;
	char tcp_why[128];
	struct ckpt_stage_result stages[CKPT_STAGES];
};

/**
 * ckpt_bring_back - restore a group
 *
 * Refused over a living group.  A stage that fails is named in the error; what
 * the files stage committed stays, no task is left.
 */
int ckpt_bring_back(const struct ckpt_bring_params *params, struct ckpt_bring_result *ret,
		    struct ckpt_err *err);

#endif
