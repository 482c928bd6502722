// SPDX-License-Identifier: GPL-2.0-or-later
/* Tracker `kmod`: the module's dirty sets and change sets over netlink. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "nl/client.h"
#include "track/tracker.h"

/**
 * struct kmod - one group's epoch as seen by one client
 * @open: an epoch was begun and not ended
 */
struct kmod {
	struct ckpt_nl *nl;
	char group[CKPT_NAME_MAX + 1];
	uint64_t epoch;
	bool open;
};

static void tell_epoch(const struct ckpt_nl_round *round, struct ckpt_epoch *ret)
{
	*ret = (struct ckpt_epoch){
		.epoch = round->epoch, .round = round->round, .load_cookie = round->load_cookie,
		.generation = round->generation, .lost = round->lost,
	};
	memcpy(ret->committed, round->committed, CKPT_ID_LEN);
}

static int kmod_begin(void *self, struct ckpt_epoch *ret, struct ckpt_err *err)
{
	struct kmod *k = self;
	struct ckpt_nl_round round;

	if (ckpt_nl_epoch_begin(k->nl, k->group, &round, err))
		return -1;
	k->open = true;
	k->epoch = round.epoch;
	tell_epoch(&round, ret);
	return 0;
}

static int kmod_next(void *self, bool final, struct ckpt_epoch *ret, struct ckpt_err *err)
{
	struct kmod *k = self;
	struct ckpt_nl_round round;

	if (ckpt_nl_epoch_next(k->nl, k->group, final, &round, err))
		return -1;
	tell_epoch(&round, ret);
	return 0;
}

static struct ckpt_take_mm *mm_of(struct ckpt_take *take, const struct ckpt_nl_area *part)
{
	struct ckpt_take_mm *last = take->n_mms ? &take->mms[take->n_mms - 1] : NULL;

	if (last && last->cookie == part->mm_cookie)
		return last;
	return ckpt_take_add_mm(take, part->mm_cookie, part->mm_pid, part->mm_flags);
}

/* An area may come in several parts; they repeat its bounds. */
static struct ckpt_take_area *area_of(struct ckpt_take_mm *mm, const struct ckpt_nl_area *part)
{
	struct ckpt_take_area *last = mm->n_areas ? &mm->areas[mm->n_areas - 1] : NULL;

	if (last && last->start == part->start && last->end == part->end)
		return last;
	return ckpt_take_add_area(mm, part->start, part->end, part->flags);
}

static int add_part(const struct ckpt_nl_area *part, void *data, struct ckpt_err *err)
{
	struct ckpt_take_mm *mm = mm_of(data, part);
	struct ckpt_take_area *area = NULL;

	if (mm && part->has_area)
		area = area_of(mm, part);
	if (!mm || (part->has_area && !area))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the dirty set");
	for (size_t i = 0; area && i < part->n_runs; i++)
		if (ckpt_take_add_run(area, &part->runs[i]))
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the dirty set");
	return 0;
}

static int kmod_pages(void *self, const int32_t *pids, size_t n_pids, struct ckpt_take *ret,
		      struct ckpt_err *err)
{
	struct kmod *k = self;
	struct ckpt_take take = { 0 };

	(void)pids;
	(void)n_pids;
	if (ckpt_nl_page_dump(k->nl, k->group, add_part, &take, err)) {
		ckpt_take_done(&take);
		return -1;
	}
	*ret = take;
	return 0;
}

static int add_inode(const struct ckpt_nl_inode *inode, void *data, struct ckpt_err *err)
{
	struct ckpt_inode_change change = { .dev = inode->dev, .ino = inode->ino,
					    .mask = inode->mask, .flags = inode->flags,
					    .ranges = (struct ckpt_extent *)inode->ranges,
					    .n_ranges = inode->n_ranges };

	if (ckpt_inode_take_add(data, &change))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the change set");
	return 0;
}

static int kmod_inodes(void *self, struct ckpt_inode_take *ret, struct ckpt_err *err)
{
	struct kmod *k = self;
	struct ckpt_inode_take take = { 0 };

	if (ckpt_nl_inode_dump(k->nl, k->group, add_inode, &take, err)) {
		ckpt_inode_take_done(&take);
		return -1;
	}
	*ret = take;
	return 0;
}

static int kmod_commit(void *self, const uint8_t id[CKPT_ID_LEN], struct ckpt_err *err)
{
	struct kmod *k = self;

	if (ckpt_nl_epoch_commit(k->nl, k->group, k->epoch, id, err))
		return -1;
	k->open = false;
	return 0;
}

static int kmod_abort(void *self, struct ckpt_err *err)
{
	struct kmod *k = self;

	if (!k->open)
		return 0;
	if (ckpt_nl_epoch_abort(k->nl, k->group, k->epoch, err))
		return -1;
	k->open = false;
	return 0;
}

static void kmod_close(void *self)
{
	struct kmod *k = self;

	ckpt_nl_close(k->nl);
	free(k);
}

static bool follows(const struct ckpt_nl_group *known, char *const *roots, size_t n_roots)
{
	for (size_t i = 0; i < n_roots; i++) {
		bool there = false;

		for (size_t j = 0; j < known->n_roots; j++)
			there |= !strcmp(known->roots[j], roots[i]);
		if (!there)
			return false;
	}
	return true;
}

int ckpt_tracker_open_kmod(const char *group, const char *cgroup, char *const *roots,
			   size_t n_roots, struct ckpt_tracker *ret, struct ckpt_err *err)
{
	cleanup_nl struct ckpt_nl *nl = NULL;
	struct ckpt_nl_group known = { 0 };
	struct kmod *k;
	bool same, all;

	if (strlen(group) > CKPT_NAME_MAX)
		return ckpt_fail(err, CKPT_USAGE, 0, "'%s' is no group name", group);
	if (ckpt_nl_open(&nl, err) || ckpt_nl_group_get(nl, group, &known, err))
		return -1;
	same = !strcmp(known.cgroup, cgroup);
	all = follows(&known, roots, n_roots);
	ckpt_nl_group_done(&known);
	if (!same)
		return ckpt_fail(err, CKPT_REFUSED, ENOENT,
				 "the module knows group '%s' by another cgroup than %s", group,
				 cgroup);
	k = calloc(1, sizeof(*k));
	if (!k)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the tracker");
	k->nl = take_ptr(nl);
	memcpy(k->group, group, strlen(group));
	*ret = (struct ckpt_tracker){
		.name = "kmod", .live = true, .delta = true, .inodes_known = all, .self = k,
		.begin = kmod_begin, .next = kmod_next, .pages = kmod_pages,
		.inodes = kmod_inodes, .commit = kmod_commit, .abort = kmod_abort,
		.close = kmod_close,
	};
	return 0;
}
