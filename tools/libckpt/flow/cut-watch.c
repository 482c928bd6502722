// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stop of its own for who is not watched yet
 *
 * A process that the tracker does not know is read whole in the stop, and a group's first
 * checkpoint is all of such ones.  So before it they are stopped once for as long as it takes to
 * watch them, and what they have is copied while they run.
 */
#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "flow/cut.h"

/* 16 MiB: what is copied in less time than such a stop takes. */
#define WORTH_PAGES 4096

/* Whom the tracker does not know. @ret_worth: it is enough for a stop */
static int find_missing(struct ckpt_cut *cut, int32_t **ret, size_t *ret_n, bool *ret_worth,
			struct ckpt_err *err)
{
	cleanup_free int32_t *pids = NULL;
	uint64_t pages = 0;
	size_t n;

	if (ckpt_cgroup_pids(cut->params->group->cgroup, &pids, &n, err) ||
	    cut->tracker.missing(cut->tracker.self, pids, n, ret, ret_n, err))
		return -1;
	for (size_t i = 0; i < *ret_n; i++)
		pages += ckpt_cut_resident((*ret)[i]);
	*ret_worth = pages >= WORTH_PAGES;
	return 0;
}

/* The tree stands. */
static int watch_stopped(struct ckpt_cut *cut, struct ckpt_stop *stop, const int32_t *missing,
			 size_t n_missing, struct ckpt_take *take, struct ckpt_err *err)
{
	cleanup_with(ckpt_image_done) struct ckpt_image image = { 0 };
	cleanup_free int32_t *pids = NULL;
	size_t n;

	if (ckpt_stop_want(stop, missing, n_missing, err) ||
	    ckpt_stop_collect(stop, &image, err) || ckpt_cut_adopt(cut, stop, &image, err))
		return -1;
	ckpt_fault("checkpoint.watching");
	if (ckpt_cgroup_pids(cut->params->group->cgroup, &pids, &n, err) ||
	    cut->tracker.watch(cut->tracker.self, pids, n, take, err))
		return -1;
	return ckpt_stop_release(stop, &cut->result.watch_ns, err);
}

int ckpt_cut_watch(struct ckpt_cut *cut, struct ckpt_err *err)
{
	cleanup_free int32_t *missing = NULL;
	struct ckpt_stop *stop = NULL;
	struct ckpt_take take = { 0 };
	size_t n_missing;
	bool worth;
	int ret;

	/* who cannot be watched would be stopped for it each time, were it not for the parent */
	if (!cut->tracker.watch || !cut->epoch.load_cookie || cut->parent)
		return 0;
	if (find_missing(cut, &missing, &n_missing, &worth, err))
		return -1;
	/* known from checkpoints in another store: all that they have is copied */
	if (!worth)
		return ckpt_cut_ahead(cut, &cut->sink, err);
	ret = ckpt_cut_open_stop(cut, false, &stop, err);
	if (!ret)
		ret = ckpt_stop_begin(stop, err);
	if (!ret)
		ret = watch_stopped(cut, stop, missing, n_missing, &take, err);
	cut->unhurried |= ret;
	ckpt_stop_close(stop);
	if (!ret) {
		ckpt_fault("checkpoint.watched");
		cut->result.rounds++;
		ret = ckpt_mem_live(&cut->mem, &take, &cut->sink, err);
	}
	ckpt_take_done(&take);
	return ret;
}
