// SPDX-License-Identifier: GPL-2.0-or-later
/* Checkpoint: the order of its steps. */
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "flow/cut.h"
#include "flow/lock.h"

/* How long the group is let run on for the sake of what is mostly gone in a moment. */
#define PATIENCE_NS 2000000000ull
/* However long one takes on a busy machine. */
#define ATTEMPTS 3

uint64_t ckpt_cut_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Everything is let go in the order that leaves the group as it was first. */
static void cut_done(struct ckpt_cut *cut)
{
	ckpt_stop_close(cut->stop);
	if (cut->epoch_open) {
		struct ckpt_err ignored = CKPT_ERR_INIT;

		/* A failure to abort is mended by the closing of the socket. */
		cut->tracker.abort(cut->tracker.self, &ignored);
	}
	if (cut->tracker.name)
		ckpt_tracker_close(&cut->tracker);
	ckpt_stage_free(cut->stage);
	ckpt_image_done(&cut->image);
	ckpt_image_done(&cut->before);
	ckpt_outer_done(&cut->outer);
	ckpt_quiet_done(&cut->quiet);
	ckpt_mem_done(&cut->mem);
	ckpt_files_done(&cut->files);
	ckpt_writer_free(cut->writer);
	ckpt_reader_close(cut->parent);
	ckpt_store_close(cut->store);
}

static void tell(const struct ckpt_cut *cut, const char *step)
{
	if (cut->params->progress)
		cut->params->progress(step);
}

static int steps(struct ckpt_cut *cut, struct ckpt_err *err)
{
	if (ckpt_cut_refuse(cut, err))
		return -1;
	tell(cut, "opening the store and the tracker");
	if (ckpt_cut_open(cut, err))
		return -1;
	if (cut->params->dry_run)
		return 0;
	ckpt_fault("checkpoint.opened");
	tell(cut, "copying while the group runs");
	if (ckpt_cut_live(cut, err) || ckpt_cut_watch(cut, err))
		return -1;
	ckpt_fault("checkpoint.live");
	if (ckpt_cut_final(cut, err))
		return -1;
	ckpt_fault("checkpoint.released");
	tell(cut, "writing");
	return ckpt_cut_commit(cut, err);
}

/*
 * Lock the name.  Who held it until then may have tagged or restored the group
 * elsewhere, so where it lives is read once more.
 */
static int lock_group(struct ckpt_checkpoint_params *params, struct ckpt_tagged *ret_now,
		      int *ret_lock, struct ckpt_err *err)
{
	if (params->dry_run)
		return 0;
	if (ckpt_lock_name(params->group->name, ret_lock, err))
		return -1;
	if (!params->group->cgroup)	/* by pid: it has no state to be read */
		return 0;
	if (ckpt_tagged_load(params->group->name, ret_now, err))
		return -1;
	params->group = ret_now;
	return 0;
}

/* One attempt. @unhurried: as in struct ckpt_cut, of this one and then of the next. */
static int attempt(const struct ckpt_checkpoint_params *params, uint64_t began_ns, int lock,
		   bool *unhurried, struct ckpt_checkpoint_result *ret, struct ckpt_err *err)
{
	struct ckpt_cut cut = { .params = params, .began_ns = began_ns, .lock = lock,
				.unhurried = *unhurried };
	int failed = steps(&cut, err);

	*unhurried = cut.unhurried;

	if (!failed) {
		cut.result.total_ns = ckpt_cut_now() - began_ns;
		*ret = cut.result;
	}
	cut_done(&cut);
	return failed;
}

int ckpt_checkpoint(const struct ckpt_checkpoint_params *params,
		    struct ckpt_checkpoint_result *ret, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged now = { 0 };
	struct ckpt_checkpoint_params own = *params;
	const uint64_t began_ns = ckpt_cut_now();
	struct ckpt_err why = CKPT_ERR_INIT;
	cleanup_close int lock = -1;
	unsigned int wait_us = 2000, attempts = 1;
	bool unhurried = false;

	if (lock_group(&own, &now, &lock, err))
		return -1;
	for (; attempt(&own, began_ns, lock, &unhurried, ret, &why); attempts++) {
		if (!why.passing || (attempts >= ATTEMPTS &&
				     ckpt_cut_now() - began_ns > PATIENCE_NS)) {
			if (err)
				*err = why;
			return -1;
		}
		ckpt_err_clear(&why);
		usleep(wait_us);
		if (wait_us < 256000)
			wait_us *= 2;
	}
	return 0;
}
