// SPDX-License-Identifier: GPL-2.0-or-later
/* Restore: the order of its stages. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "flow/bring.h"
#include "flow/lock.h"

uint64_t ckpt_bring_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void tell(const struct ckpt_bring *b, const char *step)
{
	if (b->params->progress)
		b->params->progress(step);
}

static void bring_done(struct ckpt_bring *b)
{
	ckpt_restore_close(b->tree);
	ckpt_fs_restore_free(b->roots);
	ckpt_fs_table_free(b->table);
	ckpt_image_done(&b->image);
	ckpt_outer_done(&b->outer);
	for (int i = 0; i < 3; i++)
		if (b->stdio[i] >= 0)
			close(b->stdio[i]);
	ckpt_tagged_done(&b->group);
	ckpt_verified_close(b->verified);
	ckpt_store_close(b->store);
}

static int run_stage(struct ckpt_bring *b, enum ckpt_stage_kind kind, const char *name,
		     int (*stage)(struct ckpt_bring *, struct ckpt_err *), struct ckpt_err *err)
{
	struct ckpt_stage_result *r = &b->result.stages[kind];
	uint64_t began = ckpt_bring_now();

	tell(b, name);
	r->name = name;
	if (stage(b, err))
		return ckpt_fail_at(err, "stage %s of '%s@%llu' failed", name, b->params->name,
				    (unsigned long long)b->result.id);
	r->done = true;
	r->ns = ckpt_bring_now() - began;
	return 0;
}

static int steps(struct ckpt_bring *b, struct ckpt_err *err)
{
	tell(b, "verifying");
	if (ckpt_bring_open(b, err) || ckpt_bring_preflight(b, err))
		return -1;
	if (b->params->dry_run)
		return 0;
	if (run_stage(b, CKPT_STAGE_FILES, "files", ckpt_bring_files, err) ||
	    run_stage(b, CKPT_STAGE_MEMORY, "memory", ckpt_bring_memory, err))
		return -1;
	if (b->params->check &&
	    run_stage(b, CKPT_STAGE_CHECK, "check", ckpt_bring_check, err))
		return -1;
	return ckpt_bring_run(b, err);
}

int ckpt_bring_back(const struct ckpt_bring_params *params, struct ckpt_bring_result *ret,
		    struct ckpt_err *err)
{
	struct ckpt_bring b = { .params = params, .stdio = { -1, -1, -1 } };
	uint64_t began = ckpt_bring_now();
	cleanup_close int lock = -1;
	int failed;

	/*
	 * From the first refusal to the end, so that nobody starts it in between; of a dry run
	 * because its trial of limits must not meet that of a restore.
	 */
	if (ckpt_lock_name(params->name, &lock, err))
		return -1;
	failed = steps(&b, err);
	if (!failed) {
		b.result.total_ns = ckpt_bring_now() - began;
		*ret = b.result;
	}
	bring_done(&b);
	return failed;
}
