// SPDX-License-Identifier: GPL-2.0-or-later
/* Restore of the roots: compare, get ready, decide. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "fs/apply.h"
#include "fs/compare.h"
#include "fs/plan.h"
#include "fs/staging.h"

void ckpt_fs_restore_free(struct ckpt_fs_restore *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_plans; i++) {
		ckpt_fs_stage_done(&r->plans[i].stage);
		ckpt_buf_done(&r->plans[i].ops);
	}
	setrlimit(RLIMIT_NOFILE, &r->limit);
	free(r->plans);
	free(r);
}

size_t ckpt_fs_restore_count(const struct ckpt_fs_restore *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_plans; i++)
		n += r->plans[i].count;
	return n;
}

/* Look at every root; the comparison works on open descriptors. */
static int locate(struct ckpt_fs_table *image, struct ckpt_fs_plan *plans, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_roots; i++) {
		struct ckpt_fs_root *root = &image->roots[i];

		if (ckpt_fs_stage_locate(&plans[i].stage, root->path, false, err))
			return -1;
		ckpt_cleanup_close(&root->fd);
		root->fd = -1;
		if (plans[i].stage.root < 0)
			continue;
		root->fd = fcntl(plans[i].stage.root, F_DUPFD_CLOEXEC, 3);
		if (root->fd < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "open root %s", root->path);
	}
	return 0;
}

static void let_go(struct ckpt_fs_table *image)
{
	for (size_t i = 0; i < image->n_roots; i++) {
		ckpt_cleanup_close(&image->roots[i].fd);
		image->roots[i].fd = -1;
	}
}

/* A stage, made when the first difference of a root is known. */
static int plan_root(struct ckpt_fs_plan *p, const struct ckpt_fs_compare *c, struct ckpt_err *err)
{
	if (!c->n)
		return 0;
	if (ckpt_fs_plan_make_stage(p, err))
		return -1;
	p->count = c->n;
	for (size_t i = 0; i < c->n; i++) {
		const struct ckpt_fs_finding *f = &c->found[i];
		bool image_dir = f->inode && ckpt_fs_is_dir(f->inode);

		if (f->kind == CKPT_FS_EXTRA ||
		    (f->kind == CKPT_FS_REPLACE && (f->live_dir || image_dir)))
			ckpt_fs_journal_op(&p->ops, CKPT_FS_OP_TRASH, p->next++, f->path, &f->was,
					   NULL);
	}
	return 0;
}

/* Copies into the stage. Needs the keepers of all roots. */
static int stage_root(struct ckpt_fs_plan *p, const struct ckpt_fs_compare *c,
		      struct ckpt_fs_staging *s, struct ckpt_err *err)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct ckpt_fs_finding *f = &c->found[i];
		struct ckpt_fs_was was = { .kind = CKPT_FS_WAS_NOTHING };
		uint64_t n = p->next;
		char name[32];

		if (f->kind != CKPT_FS_MISSING && f->kind != CKPT_FS_REPLACE)
			continue;
		p->next++;
		snprintf(name, sizeof(name), "new/%llu", (unsigned long long)n);
		if (ckpt_fs_staging_put(s, p->stage.fd, name, f->inode, err))
			return ckpt_fail_at(err, "prepare %s/%s", p->stage.path, f->path);
		/* A directory was taken away before, anything else is replaced. */
		if (!f->live_dir && !ckpt_fs_is_dir(f->inode))
			was = f->was;
		ckpt_fs_journal_op(&p->ops, CKPT_FS_OP_PUT, n, f->path, &was, NULL);
		if (ckpt_fault("fs.staged"))
			return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.staged");
	}
	return 0;
}

/* Metadata of what stays: files first, directories when nothing below them moves any more. */
static void fix_root(struct ckpt_fs_plan *p, const struct ckpt_fs_compare *c,
		     struct ckpt_fs_table *image, struct ckpt_fs_root *root)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->found[i].kind == CKPT_FS_META && !c->found[i].live_dir)
			ckpt_fs_journal_op(&p->ops, CKPT_FS_OP_META, 0, c->found[i].path,
					   &c->found[i].was, &c->found[i].inode->meta);
	for (size_t i = 0; i < c->n; i++)
		if (c->found[i].kind == CKPT_FS_META && c->found[i].live_dir)
			c->found[i].inode->touched = true;
	if (p->stage.inside)
		root->top->touched = true;
	for (struct ckpt_fs_inode *i = image->all; i; i = i->all_next) {
		cleanup_free char *path = NULL;
		struct ckpt_fs_root *of;

		if (!i->touched)
			continue;
		path = ckpt_fs_path(i, NULL, &of);
		if (!path)
			p->ops.failed = 1;
		else if (of == root)
			ckpt_fs_journal_op(&p->ops, CKPT_FS_OP_META, 0, path, NULL, &i->meta);
	}
}

/* Compare all roots, so that a file can be linked to where it still is; keep what was found. */
static int compare_all(struct ckpt_fs_restore *r, struct ckpt_fs_compare *c,
		       struct ckpt_fs_compare *found, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_roots; i++) {
		if (ckpt_fs_compare_root(c, &r->image->roots[i], r->plans[i].stage.other, err))
			return -1;
		found[i] = *c;
		found[i].live = NULL;
		c->found = NULL;
		c->n = c->cap = 0;
		if (plan_root(&r->plans[i], &found[i], err))
			return -1;
	}
	return 0;
}

/* Has a plan a stage that is not the first one? */
static bool is_other(const struct ckpt_fs_restore *r, const struct ckpt_fs_plan *p)
{
	return p->stage.fd >= 0 && p != r->first;
}

static int write_journal(const struct ckpt_fs_plan *p, const struct ckpt_buf *names,
			 struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	ckpt_buf_put(&b, names->data, names->len);
	ckpt_buf_put(&b, p->ops.data, p->ops.len);
	b.failed |= p->ops.failed | names->failed;
	if (ckpt_fault("fs.sync"))
		return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.sync");
	/* What is staged is durable before the journal says so. */
	if (ckpt_fs_stage_sync(&p->stage, err) ||
	    ckpt_fs_journal_write(p->stage.fd, CKPT_FS_READY, &b, err))
		return -1;
	return ckpt_fault("fs.ready") ? ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.ready") : 0;
}

/* The first one's comes first: who has one finds the first one, and that finds all. */
static int write_journals(struct ckpt_fs_restore *r, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf names = CKPT_BUF_INIT;

	if (!r->first)
		return 0;
	ckpt_fs_plan_name(&names, r->first);
	for (size_t i = 0; i < r->n_plans; i++)
		if (is_other(r, &r->plans[i]))
			ckpt_fs_plan_name(&names, &r->plans[i]);
	if (write_journal(r->first, &names, err))
		return -1;
	for (size_t i = 0; i < r->n_plans; i++)
		if (is_other(r, &r->plans[i]) && write_journal(&r->plans[i], &names, err))
			return -1;
	return 0;
}

static int prepare(struct ckpt_fs_restore *r, const struct ckpt_source *source,
		   struct ckpt_fs_compare *found, struct ckpt_fs_stats *stats,
		   struct ckpt_err *err)
{
	cleanup_with(ckpt_fs_compare_done) struct ckpt_fs_compare c = { 0 };
	cleanup_with(ckpt_fs_staging_done) struct ckpt_fs_staging s = { 0 };

	if (locate(r->image, r->plans, err) ||
	    ckpt_fs_compare_start(&c, r->image, source, stats, err) ||
	    compare_all(r, &c, found, err))
		return -1;
	ckpt_fs_plan_choose(r);
	if (ckpt_fs_plan_loose(r, source, stats, err))
		return -1;
	ckpt_fs_staging_start(&s, source, r->image->buf, stats);
	for (size_t i = 0; i < r->image->n_roots; i++) {
		struct ckpt_fs_plan *p = &r->plans[i];

		if (p->stage.fd < 0)
			continue;
		if (stage_root(p, &found[i], &s, err))
			return -1;
		fix_root(p, &found[i], r->image, &r->image->roots[i]);
	}
	return write_journals(r, err);
}

static void raise_limit(struct ckpt_fs_restore *r)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, &r->limit))
		r->limit = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	most = r->limit;
	most.rlim_cur = most.rlim_max;
	setrlimit(RLIMIT_NOFILE, &most);
}

int ckpt_fs_restore_prepare(struct ckpt_fs_table *image, const struct ckpt_fs_loose *loose,
			    size_t n_loose, const struct ckpt_source *source,
			    struct ckpt_fs_restore **ret, struct ckpt_fs_stats *stats,
			    struct ckpt_err *err)
{
	struct ckpt_fs_restore *r = calloc(1, sizeof(*r));
	struct ckpt_fs_compare *found = calloc(image->n_roots + 1, sizeof(*found));
	int rc = -1;

	if (r)
		r->plans = calloc(image->n_roots + n_loose + 1, sizeof(*r->plans));
	if (!r || !found || !r->plans) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for a restore");
		if (r)
			getrlimit(RLIMIT_NOFILE, &r->limit);
		goto out;
	}
	raise_limit(r);
	r->image = image;
	r->loose = loose;
	r->n_loose = n_loose;
	r->n_plans = image->n_roots + n_loose;
	for (size_t i = 0; i < r->n_plans; i++)
		r->plans[i].stage = (struct ckpt_fs_stage)CKPT_FS_STAGE_INIT;
	rc = prepare(r, source, found, stats, err);
	let_go(image);
	for (size_t i = 0; i < image->n_roots; i++)
		ckpt_fs_compare_done(&found[i]);
	/* The first sentence is the one that counts. */
	if (rc)
		ckpt_fs_restore_rollback(r, NULL);
out:
	free(found);
	if (rc)
		ckpt_fs_restore_free(r);
	else
		*ret = r;
	return rc;
}

/* What was not undone is left to ckpt_fs_recover, and so is what knows of it. */
int ckpt_fs_restore_rollback(struct ckpt_fs_restore *r, struct ckpt_err *err)
{
	if (r->committed)
		return ckpt_fail(err, CKPT_USAGE, 0, "a committed restore cannot be undone");
	for (size_t i = r->n_plans; i--;)
		if (is_other(r, &r->plans[i]) &&
		    ckpt_fs_forget_ready(&r->plans[i].stage, err))
			return -1;
	for (size_t i = r->n_plans; i--;)
		if (is_other(r, &r->plans[i]) && &r->plans[i] != r->teller &&
		    ckpt_fs_stage_remove(&r->plans[i].stage, err))
			return -1;
	if (r->first && r->first->stage.fd >= 0 && ckpt_fs_undo(&r->first->stage, err))
		return -1;
	if (r->teller && r->teller->stage.fd >= 0)
		return ckpt_fs_stage_remove(&r->teller->stage, err);
	return 0;
}

/* What has changed while all was got ready is refused before the decision, not after it. */
static int look_again(struct ckpt_fs_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->n_plans; i++)
		if (r->plans[i].stage.fd >= 0 && ckpt_fs_look_again(&r->plans[i].stage, err)) {
			ckpt_fs_restore_rollback(r, NULL);
			return -1;
		}
	return 0;
}

static int commit(struct ckpt_fs_restore *r, struct ckpt_err *err)
{
	if (!r->first)
		return 0;
	if (ckpt_fault("fs.commit"))
		return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.commit");
	if (look_again(r, err))
		return -1;
	/* The decision: the roots are old before this rename and new after it. */
	if (ckpt_fs_journal_move(r->first->stage.fd, CKPT_FS_READY, CKPT_FS_COMMIT, err))
		return -1;
	r->committed = true;
	if (ckpt_fault("fs.committed"))
		return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.committed");
	for (size_t i = r->n_plans; i--;)
		if (is_other(r, &r->plans[i]) &&
		    ckpt_fs_redo(&r->plans[i].stage, CKPT_FS_READY, err))
			return -1;
	if (ckpt_fs_redo(&r->first->stage, CKPT_FS_COMMIT, err))
		return -1;
	for (size_t i = r->n_plans; i--;)
		if (is_other(r, &r->plans[i]) && ckpt_fs_stage_remove(&r->plans[i].stage, err))
			return -1;
	return ckpt_fs_stage_remove(&r->first->stage, err);
}

int ckpt_fs_restore_commit(struct ckpt_fs_restore *r, struct ckpt_err *err)
{
	int rc = commit(r, err);

	/* The stages are ckpt_fs_recover's from here: it needs their locks. */
	for (size_t i = 0; rc && i < r->n_plans; i++) {
		ckpt_cleanup_close(&r->plans[i].stage.fd);
		r->plans[i].stage.fd = -1;
	}
	return rc;
}

static int list(struct ckpt_fs_plan *p, const struct ckpt_fs_compare *c, struct ckpt_buf *ret)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct ckpt_fs_finding *f = &c->found[i];
		cleanup_free char *line = NULL;
		int n = asprintf(&line, "%s%s%s: %s\n", p->stage.path, *f->path ? "/" : "", f->path,
				 f->what);

		if (n > 0)
			ckpt_buf_put(ret, line, n);
		else
			ret->failed = 1;
	}
	return c->n;
}

int ckpt_fs_verify(struct ckpt_fs_table *image, const struct ckpt_source *source, size_t *ret_n,
		   struct ckpt_buf *ret_list, struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	cleanup_with(ckpt_fs_compare_done) struct ckpt_fs_compare c = { 0 };
	struct ckpt_fs_plan *plans = calloc(image->n_roots + 1, sizeof(*plans));
	size_t n = 0;
	int rc = 0;

	if (!plans)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a comparison");
	for (size_t i = 0; i < image->n_roots; i++)
		plans[i].stage = (struct ckpt_fs_stage)CKPT_FS_STAGE_INIT;
	rc = locate(image, plans, err);
	if (!rc)
		rc = ckpt_fs_compare_start(&c, image, source, stats, err);
	for (size_t i = 0; !rc && i < image->n_roots; i++) {
		rc = ckpt_fs_compare_root(&c, &image->roots[i], plans[i].stage.other, err);
		if (!rc)
			n += list(&plans[i], &c, ret_list);
	}
	if (!rc && ret_list->failed)
		rc = ckpt_fail(err, CKPT_FAILED, 0, "no memory for a comparison");
	let_go(image);
	for (size_t i = 0; i < image->n_roots; i++)
		ckpt_fs_stage_done(&plans[i].stage);
	free(plans);
	if (!rc)
		*ret_n = n;
	return rc;
}
