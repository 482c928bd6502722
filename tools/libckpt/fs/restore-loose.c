// SPDX-License-Identifier: GPL-2.0-or-later
/* Restore: the files outside the roots. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "fs/plan.h"

int ckpt_fs_plan_make_stage(struct ckpt_fs_plan *p, struct ckpt_err *err)
{
	if (p->stage.parent < 0) {
		cleanup_free char *path = strdup(p->stage.path);

		ckpt_fs_stage_done(&p->stage);
		if (!path || ckpt_fs_stage_locate(&p->stage, path, true, err))
			return -1;
	}
	return ckpt_fs_stage_make(&p->stage, err);
}

void ckpt_fs_plan_name(struct ckpt_buf *b, const struct ckpt_fs_plan *p)
{
	struct ckpt_fs_journal_root root = { .path = p->stage.path, .inside = p->stage.inside,
					     .file = p->stage.file,
					     .mount_len = p->stage.mount_len };

	ckpt_fs_journal_root(b, &root);
}

/* A file that the tree has opened more than once is in the list as often. */
static bool is_again(const struct ckpt_fs_restore *r, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(r->loose[k].path, r->loose[i].path))
			return true;
	return false;
}

/* Return: 1 when some differ, 0, -1. */
static int compare(struct ckpt_fs_restore *r, struct ckpt_fs_plan *plans,
		   const struct ckpt_source *source, struct ckpt_fs_stats *stats,
		   struct ckpt_err *err)
{
	int some = 0;

	for (size_t i = 0; i < r->n_loose; i++) {
		int rc;

		if (is_again(r, i))
			continue;
		rc = ckpt_fs_loose_differs(&r->loose[i], source, &plans[i].stage, &plans[i].was,
					   stats, err);
		if (rc < 0)
			return -1;
		plans[i].differs = rc;
		some |= rc;
	}
	return some;
}

/* Whoever finds an interrupted restore knows the roots: one of them decides, if there is any. */
static int let_a_root_know(struct ckpt_fs_restore *r, const struct ckpt_fs_plan *plans,
			   struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	size_t first = 0;

	if (!r->image->n_roots)
		return 0;
	while (first < r->image->n_roots && r->plans[first].stage.fd < 0)
		first++;
	if (first == r->image->n_roots) {
		first = 0;
		if (ckpt_fs_plan_make_stage(&r->plans[first], err))
			return -1;
	}
	for (size_t i = 0; i < r->n_loose; i++)
		if (plans[i].differs)
			ckpt_fs_plan_name(&b, &plans[i]);
	return ckpt_fs_journal_write(r->plans[first].stage.fd, CKPT_FS_FILES, &b, err);
}

int ckpt_fs_plan_loose(struct ckpt_fs_restore *r, const struct ckpt_source *source,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	struct ckpt_fs_plan *plans = r->plans + r->image->n_roots;
	int some = compare(r, plans, source, stats, err);

	if (some <= 0)
		return some;
	if (let_a_root_know(r, plans, err))
		return -1;
	for (size_t i = 0; i < r->n_loose; i++) {
		struct ckpt_fs_plan *p = &plans[i];

		if (!p->differs)
			continue;
		if (ckpt_fs_loose_stage(&r->loose[i], source, &p->stage, stats, err))
			return -1;
		ckpt_fs_journal_op(&p->ops, CKPT_FS_OP_PUT, 0, "", &p->was, NULL);
		if (ckpt_fault("fs.staged"))
			return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.staged");
	}
	return 0;
}
