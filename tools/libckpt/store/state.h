/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State: what was found out about a checkpoint after it was written
 *
 * Kept beside the manifest and bound to its bytes; without it, or when it is
 * damaged, nothing is known of the checkpoint.
 */
#ifndef CKPT_STORE_STATE_H
#define CKPT_STORE_STATE_H

#include "store/group.h"

enum ckpt_verdict {
	CKPT_VERDICT_NONE,	/* never verified */
	CKPT_VERDICT_GOOD,
	CKPT_VERDICT_DAMAGED,
};

/**
 * struct ckpt_state - result of the last verification
 * @verdict: of it
 * @time_ns: CLOCK_REALTIME of its end, 0 for none
 */
struct ckpt_state {
	enum ckpt_verdict verdict;
	uint64_t time_ns;
};

/* Was it ever looked at? */
bool ckpt_state_exists(const struct ckpt_group *g, uint64_t id);
/* @manifest: hash of the manifest's file. */
void ckpt_state_load(const struct ckpt_group *g, uint64_t id, const struct ckpt_hash *manifest,
		     struct ckpt_state *ret);
/* For information: it may be lost without harm. */
int ckpt_state_save(const struct ckpt_group *g, uint64_t id, const struct ckpt_hash *manifest,
		    const struct ckpt_state *state, struct ckpt_err *err);
/* "good", "damaged", "none" */
const char *ckpt_verdict_name(enum ckpt_verdict v);

#endif
