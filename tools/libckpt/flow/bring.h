/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bring: a restore in the making, shared by the stages of flow/restore.c. */
#ifndef CKPT_FLOW_BRING_H
#define CKPT_FLOW_BRING_H

#include "flow/outer.h"
#include "flow/restore.h"
#include "flow/tagged.h"
#include "fs/restore.h"
#include "proc/restore.h"
#include "store/verify.h"

/**
 * struct ckpt_bring - what the stages share
 * @verified: the checkpoint; only a verification makes this value
 * @group: the group as it will be known in this boot
 * @taken: a pid of the tree that somebody has, 0: none
 * @stdio: what replaces descriptors that led out of the tree
 */
struct ckpt_bring {
	const struct ckpt_bring_params *params;
	struct ckpt_bring_result result;
	struct ckpt_store *store;
	struct ckpt_verified *verified;
	struct ckpt_source source;
	struct ckpt_tagged group;
	struct ckpt_image image;
	struct ckpt_outer outer;
	struct ckpt_fs_table *table;
	struct ckpt_fs_restore *roots;
	struct ckpt_fs_stats stats;
	struct ckpt_restore *tree;
	int32_t taken;
	int stdio[3];
};

uint64_t ckpt_bring_now(void);

/* Limits of the cgroup at the checkpoint, NULL: none. */
const struct ckpt_note *ckpt_bring_limits(const struct ckpt_bring *b);

/* End an interrupted restore of the roots and the files outside them, before anything else. */
int ckpt_bring_recover(struct ckpt_bring *b, struct ckpt_err *err);

/* Steps, in order. */
int ckpt_bring_open(struct ckpt_bring *b, struct ckpt_err *err);
int ckpt_bring_preflight(struct ckpt_bring *b, struct ckpt_err *err);
int ckpt_bring_files(struct ckpt_bring *b, struct ckpt_err *err);
int ckpt_bring_memory(struct ckpt_bring *b, struct ckpt_err *err);
int ckpt_bring_check(struct ckpt_bring *b, struct ckpt_err *err);
int ckpt_bring_run(struct ckpt_bring *b, struct ckpt_err *err);

#endif
