// SPDX-License-Identifier: GPL-2.0-or-later
/* Restore: the files outside the roots. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "fs/path.h"
#include "fs/plan.h"

/* Descriptors that a file holds, its directory and its stage, and those of all the rest. */
#define FDS_OF_FILE 2
#define FDS_OF_REST 64

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

	if (ckpt_fs_stage_forgets(&p->stage))
		root.boot = ckpt_fs_boot();
	ckpt_fs_journal_root(b, &root);
}

/* A file that the tree has opened more than once is in the list as often, by any path. */
static bool is_again(const struct ckpt_fs_plan *plans, size_t i)
{
	const struct ckpt_fs_plan *p = &plans[i];

	for (size_t k = 0; k < i; k++)
		if (plans[k].dir_ino == p->dir_ino && plans[k].dir_dev == p->dir_dev &&
		    !strcmp(plans[k].stage.name, p->stage.name))
			return true;
	return false;
}

static int locate(const struct ckpt_fs_loose *f, struct ckpt_fs_plan *p, struct ckpt_err *err)
{
	struct ckpt_fs_meta dir;
	int rc;

	if (ckpt_fs_loose_locate(f, &p->stage, err))
		return -1;
	rc = ckpt_fs_meta_stat(p->stage.parent, "", &dir);
	if (rc)
		return ckpt_fail(err, CKPT_FAILED, -rc, "stat the directory of %s", f->path);
	p->dir_dev = dir.dev;
	p->dir_ino = dir.ino;
	return 0;
}

static int check_room(const struct ckpt_fs_restore *r, size_t differing, struct ckpt_err *err)
{
	if (r->limit.rlim_max == RLIM_INFINITY ||
	    r->limit.rlim_max >= FDS_OF_REST + FDS_OF_FILE * differing + 4 * r->image->n_roots)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0, "more files outside the roots differ than can be "
			 "open at a time (%llu); raise the hard limit of open files (ulimit -Hn)",
			 (unsigned long long)r->limit.rlim_max);
}

/* Return: 1 when some differ, 0, -1. */
static int compare(struct ckpt_fs_restore *r, struct ckpt_fs_plan *plans,
		   const struct ckpt_source *source, struct ckpt_fs_stats *stats,
		   struct ckpt_err *err)
{
	size_t some = 0;

	for (size_t i = 0; i < r->n_loose; i++) {
		int rc;

		if (locate(&r->loose[i], &plans[i], err))
			return -1;
		rc = is_again(plans, i) ? 0 :
		     ckpt_fs_loose_differs(&r->loose[i], source, &plans[i].stage, &plans[i].was,
					   stats, err);
		if (rc < 0)
			return -1;
		plans[i].differs = rc;
		some += rc;
		if (!rc)
			close(take_fd(plans[i].stage.parent));
		else if (check_room(r, some, err))
			return -1;
	}
	return some > 0;
}

/* Stages that last come first. */
static bool is_better(const struct ckpt_fs_plan *p, const struct ckpt_fs_plan *than)
{
	return !than || (ckpt_fs_stage_forgets(&than->stage) && !ckpt_fs_stage_forgets(&p->stage));
}

void ckpt_fs_plan_choose(struct ckpt_fs_restore *r)
{
	for (size_t i = 0; i < r->image->n_roots; i++)
		if (r->plans[i].stage.fd >= 0 && is_better(&r->plans[i], r->first))
			r->first = &r->plans[i];
}

/* A stage for a root that does not differ. Return: 1, 0 when none can be made there, -1. */
static int try_root(struct ckpt_fs_plan *p, struct ckpt_err *err)
{
	struct ckpt_err why = CKPT_ERR_INIT;

	if (!ckpt_fs_plan_make_stage(p, &why))
		return 1;
	if (why.os == EROFS || why.os == EACCES || why.os == EPERM || why.os == ENOSPC ||
	    why.os == EDQUOT)
		return p->stage.fd < 0 ? ckpt_fs_stage_settle(&p->stage, err) :
					 ckpt_fs_stage_remove(&p->stage, err);
	return ckpt_fail(err, why.status, 0, "%s", why.text);
}

/* A root that decides and tells, or only tells: one that lasts, or any. */
static int choose_root(struct ckpt_fs_restore *r, bool any, struct ckpt_err *err)
{
	for (size_t i = 0; !r->teller && i < r->image->n_roots; i++) {
		struct ckpt_fs_plan *p = &r->plans[i];
		int rc;

		if (p->stage.fd >= 0 || (!any && ckpt_fs_stage_forgets(&p->stage)))
			continue;
		rc = try_root(p, err);
		if (rc < 0)
			return -1;
		if (rc)
			r->teller = p;
	}
	return 0;
}

/*
 * Whoever finds an interrupted restore knows the roots, so one of them tells of the files.
 * It decides as well, unless a reboot would make it forget and a file would not.
 */
static int choose(struct ckpt_fs_restore *r, struct ckpt_fs_plan *plans, struct ckpt_err *err)
{
	if (r->first && !ckpt_fs_stage_forgets(&r->first->stage))
		r->teller = r->first;
	if (choose_root(r, false, err))
		return -1;
	if (!r->teller)
		r->teller = r->first;
	if (choose_root(r, true, err))
		return -1;
	r->first = r->teller;
	for (size_t i = 0; i < r->n_loose; i++)
		if (plans[i].differs && is_better(&plans[i], r->first))
			r->first = &plans[i];
	return 0;
}

static int name_files(struct ckpt_fs_restore *r, const struct ckpt_fs_plan *plans,
		      struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	for (size_t i = 0; i < r->n_loose; i++)
		if (plans[i].differs)
			ckpt_fs_plan_name(&b, &plans[i]);
	return ckpt_fs_journal_write(r->teller->stage.fd, CKPT_FS_FILES, &b, err);
}

int ckpt_fs_plan_loose(struct ckpt_fs_restore *r, const struct ckpt_source *source,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	struct ckpt_fs_plan *plans = r->plans + r->image->n_roots;
	int some = compare(r, plans, source, stats, err);

	if (some <= 0)
		return some;
	if (choose(r, plans, err) || (r->teller && name_files(r, plans, err)))
		return -1;
	for (size_t i = 0; i < r->n_loose; i++) {
		struct ckpt_fs_plan *p = &plans[i];

		if (!p->differs)
			continue;
		if (ckpt_fs_loose_stage(&r->loose[i], source, &p->stage, stats, err))
			return -1;
		p->count = 1;
		ckpt_fs_journal_op(&p->ops, CKPT_FS_OP_PUT, 0, "", &p->was, NULL);
		if (ckpt_fault("fs.staged"))
			return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.staged");
	}
	return 0;
}
