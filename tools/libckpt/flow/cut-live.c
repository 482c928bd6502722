// SPDX-License-Identifier: GPL-2.0-or-later
/* Live rounds: copy while the group runs, until the rest is small. */
#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "flow/cut.h"

/* More rounds cost the agent faults and win little. */
#define MAX_ROUNDS 5
/* 2 MiB: copied in less than the time it takes to stop the threads. */
#define SMALL_ROUND 512

int ckpt_cut_listen(struct ckpt_cut *cut, bool stopped, struct ckpt_err *err)
{
	const struct ckpt_tagged *group = cut->params->group;
	cleanup_free int32_t *pids = NULL;
	size_t n;

	if (group->cgroup ? ckpt_cgroup_pids(group->cgroup, &pids, &n, err) :
			    ckpt_quiet_tree(group->root_pid, &pids, &n, err))
		return -1;
	cut->files.table->quiet = cut->outer.read.quiet = &cut->quiet;
	return stopped ? ckpt_quiet_read_leases(pids, n, &cut->quiet, err) :
			 ckpt_quiet_read(pids, n, &cut->quiet, err);
}

static int round_of(struct ckpt_cut *cut, struct ckpt_err *err)
{
	struct ckpt_inode_take inodes = { 0 };
	struct ckpt_take take = { 0 };
	int ret;

	ret = cut->tracker.pages(cut->tracker.self, NULL, 0, &take, err);
	if (!ret)
		ret = cut->tracker.inodes(cut->tracker.self, &inodes, err);
	if (!ret)
		ret = ckpt_mem_live(&cut->mem, &take, &cut->sink, err);
	if (!ret)
		ret = ckpt_cut_listen(cut, false, err);
	if (!ret)
		ret = ckpt_files_round(&cut->files, &inodes, NULL, false, &cut->sink, err);
	ckpt_take_done(&take);
	ckpt_inode_take_done(&inodes);
	cut->result.rounds++;
	return ret;
}

int ckpt_cut_live(struct ckpt_cut *cut, struct ckpt_err *err)
{
	uint64_t before = UINT64_MAX;

	/* A tracker that knows nothing has nothing to gain for memory. */
	if (!cut->tracker.live)
		return ckpt_cut_listen(cut, false, err) ||
		       ckpt_files_round(&cut->files, NULL, NULL, false, &cut->sink, err) ? -1 : 0;
	for (int round = 1; ; round++) {
		uint64_t now;

		if (round_of(cut, err))
			return -1;
		ckpt_fault("checkpoint.round");
		now = cut->mem.round_pages;
		if (now <= SMALL_ROUND || round == MAX_ROUNDS || now > before / 4 * 3)
			return 0;
		before = now;
		if (cut->tracker.next(cut->tracker.self, false, &cut->epoch, err))
			return -1;
	}
}

int ckpt_cut_ahead(struct ckpt_cut *cut, const struct ckpt_sink *sink, struct ckpt_err *err)
{
	uint64_t before = UINT64_MAX;

	if (!cut->tracker.ahead || !cut->epoch.load_cookie)
		return 0;
	for (int round = 0; round < MAX_ROUNDS; round++) {
		struct ckpt_take take = { 0 };
		int ret = cut->tracker.ahead(cut->tracker.self, &take, err);

		if (!ret)
			ret = ckpt_mem_live(&cut->mem, &take, sink, err);
		ckpt_take_done(&take);
		if (ret)
			return -1;
		cut->result.rounds++;
		ckpt_fault("checkpoint.ahead");
		if (cut->mem.round_pages <= SMALL_ROUND || cut->mem.round_pages > before / 4 * 3)
			return 0;
		before = cut->mem.round_pages;
	}
	return 0;
}
