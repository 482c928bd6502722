// SPDX-License-Identifier: GPL-2.0-or-later
/* Before a restore: refusals, verification, the records, preflight. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "flow/bring.h"
#include "flow/cut.h"
#include "flow/limits.h"
#include "fs/loose.h"
#include "store/log.h"

static int refuse_alive(struct ckpt_bring *b, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged old = { 0 };
	bool alive;

	if (ckpt_tagged_check_name(b->params->name, err))
		return -1;
	if (!ckpt_tagged_exists(b->params->name))
		return 0;
	if (ckpt_tagged_load(b->params->name, &old, err) || ckpt_tagged_alive(&old, &alive, err))
		return -1;
	return alive ? ckpt_fail(err, CKPT_REFUSED, 0,
				 "group '%s' is alive; stop it first (checkpoint --stop, or kill "
				 "its tasks)", b->params->name) : 0;
}

/* So that nothing is built on it; where the store cannot be written it stays unknown. */
static void mark_damaged(const struct ckpt_bring *b, uint64_t id)
{
	struct ckpt_err unwritable = CKPT_ERR_INIT;
	struct ckpt_store *store;

	if (b->params->dry_run)
		return;
	store = ckpt_store_open(b->params->store, CKPT_STORE_WRITE, &unwritable);
	if (store)
		ckpt_verify_mark(store, b->params->name, id);
	ckpt_store_close(store);
}

/* Verify one checkpoint. Return: 1 whole, 0 damaged with @err set, -1. */
static int verify_one(struct ckpt_bring *b, int64_t which, struct ckpt_err *err)
{
	cleanup_report struct ckpt_report report = { 0 };
	int whole = ckpt_verify(b->store, b->params->name, which, &report, &b->verified, err);

	if (whole < 0)
		return err->status == CKPT_DAMAGED ? 0 : -1;
	b->result.id = report.id;
	if (!whole)
		mark_damaged(b, report.id);
	if (!whole)
		ckpt_fail(err, CKPT_DAMAGED, 0, "checkpoint '%s@%llu' is damaged: %s",
			  b->params->name, (unsigned long long)report.id,
			  report.ndamage ? report.damage[0] : "its content cannot be read");
	return whole;
}

static void pass_over(struct ckpt_bring *b, struct ckpt_err *err)
{
	if (!b->result.skipped++)
		memcpy(b->result.why_skipped, err->text, sizeof(b->result.why_skipped));
	ckpt_err_clear(err);
}

/*
 * The one asked for; without an id the newest that is whole.  What was found damaged once is
 * looked at again: a later checkpoint may have mended it.
 */
static int verify(struct ckpt_bring *b, struct ckpt_err *err)
{
	uint64_t before = 0, id;
	int whole, found;

	if (b->params->id) {
		whole = verify_one(b, b->params->id, err);
		return whole == 1 ? 0 : -1;
	}
	for (;;) {
		found = ckpt_log_before(b->store, b->params->name, before, &id, err);
		if (found < 0)
			return -1;
		if (!found && before)
			return ckpt_fail(err, CKPT_DAMAGED, 0, "%s; so are all that are older",
					 b->result.why_skipped);
		if (!found)
			return ckpt_fail(err, CKPT_FAILED, 0, "group '%s' has no checkpoint",
					 b->params->name);
		whole = verify_one(b, id, err);
		if (whole)
			return whole < 0 ? -1 : 0;
		pass_over(b, err);
		before = id;
	}
}

static int load_records(struct ckpt_bring *b, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf tasks = CKPT_BUF_INIT, roots = CKPT_BUF_INIT;
	cleanup_buf struct ckpt_buf outer = CKPT_BUF_INIT;

	b->source = ckpt_verified_source(b->verified);
	if (ckpt_verified_blob(b->verified, CKPT_BLOB_TASKS, &tasks, err) ||
	    ckpt_verified_blob(b->verified, CKPT_BLOB_ROOTS, &roots, err) ||
	    ckpt_verified_blob(b->verified, CKPT_BLOB_OUTER, &outer, err) ||
	    ckpt_outer_decode(outer.data, outer.len, &b->outer, err) ||
	    ckpt_image_decode(tasks.data, tasks.len, &b->image, err))
		return -1;
	return ckpt_fs_table_load(&b->source, roots.data, roots.len, &b->table, err);
}

const struct ckpt_note *ckpt_bring_limits(const struct ckpt_bring *b)
{
	return ckpt_manifest_note(ckpt_verified_manifest(b->verified), CKPT_NOTE_LIMITS);
}

/* The cgroup it lived in, or the one that run would have given it. */
static int name_group(struct ckpt_bring *b, struct ckpt_err *err)
{
	const struct ckpt_note *note = ckpt_manifest_note(ckpt_verified_manifest(b->verified),
							  CKPT_NOTE_CGROUP);
	const struct ckpt_note *limits = ckpt_bring_limits(b);
	cleanup_free char *cgroup = NULL;
	bool populated, frozen;

	if (note)
		cgroup = strndup((const char *)note->value, note->len);
	else if (asprintf(&cgroup, "/ckpt/%s", b->params->name) < 0)
		cgroup = NULL;
	if (!cgroup)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	if (ckpt_cgroup_populated(cgroup, &populated, err))
		return -1;
	if (populated)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "cgroup %s of group '%s' has living tasks; stop them first",
				 cgroup, b->params->name);
	if (ckpt_cgroup_frozen_above(cgroup, &frozen, err))
		return -1;
	if (frozen)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "a cgroup above %s of group '%s' is frozen; thaw it first",
				 cgroup, b->params->name);
	if (limits && ckpt_limits_check(cgroup, (const char *)limits->value, limits->len,
					b->params->dry_run, err))
		return -1;
	return ckpt_tagged_init(&b->group, b->params->name, cgroup, err);
}

/* In doubt it lives. */
static int refuse_group_in_roots(const struct ckpt_bring *b, const char *name,
				 struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged other = { 0 };
	struct ckpt_err why = CKPT_ERR_INIT;
	bool alive;

	if (!strcmp(name, b->params->name))
		return 0;
	if (ckpt_tagged_load(name, &other, &why)) {
		if (!ckpt_tagged_exists(name))	/* untagged a moment ago */
			return 0;
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "nobody can tell where group '%s' lives, perhaps in what the "
				 "restore would change; untag it first: %s", name, why.text);
	}
	if (!ckpt_tagged_alive(&other, &alive, &why) && !alive)
		return 0;
	for (size_t i = 0; i < b->table->n_roots; i++) {
		const char *root = ckpt_tagged_overlap(&other, b->table->roots[i].path, true);

		if (root)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "group '%s' lives in %s, which the restore would change; "
					 "stop it first", name, root);
	}
	return 0;
}

/* Nobody works in the roots that is known. */
static int refuse_others(const struct ckpt_bring *b, struct ckpt_err *err)
{
	char **names;
	int failed = 0;
	size_t n;

	if (ckpt_tagged_names(&names, &n, err))
		return -1;
	for (size_t i = 0; i < n && !failed; i++)
		failed = refuse_group_in_roots(b, names[i], err);
	ckpt_tagged_names_free(names, n);
	return failed;
}

int ckpt_bring_open(struct ckpt_bring *b, struct ckpt_err *err)
{
	if (refuse_alive(b, err))
		return -1;
	b->store = ckpt_store_open(b->params->store, CKPT_STORE_READ, err);
	if (!b->store || verify(b, err) || load_records(b, err))
		return -1;
	return refuse_others(b, err) || name_group(b, err) ? -1 : 0;
}

int ckpt_bring_recover(struct ckpt_bring *b, struct ckpt_err *err)
{
	enum ckpt_fs_recovered what;

	for (size_t i = 0; i < b->table->n_roots; i++)
		if (ckpt_fs_recover(b->table->roots[i].path, &what, err))
			return -1;
	for (size_t i = 0; i < b->outer.n_written; i++)
		if (ckpt_fs_recover_file(b->outer.written[i].path, &what, err))
			return -1;
	return 0;
}

static bool in_root(const void *arg, const char *path)
{
	const struct ckpt_bring *b = arg;

	return ckpt_fs_table_root_of(b->table, path) != NULL;
}

static int check_dir_of(const char *path, struct ckpt_err *err)
{
	const char *name;
	cleanup_close int dir = ckpt_fs_loose_dir(path, &name, err);

	return dir < 0 ? -1 : 0;
}

/* What a process of the tree has in /proc this one has as well, if the kernel gives it to any. */
static char *procfile_of_ours(const char *path)
{
	const char *rest = path + 6 + strspn(path + 6, "0123456789");
	char *own;

	if (rest == path + 6)
		return strdup(path);	/* a setting */
	if (strncmp(rest, "/task/", 6))
		return asprintf(&own, "/proc/self%s", rest) < 0 ? NULL : own;
	rest += 6 + strspn(rest + 6, "0123456789");
	return asprintf(&own, "/proc/thread-self%s", rest) < 0 ? NULL : own;
}

static int check_procfile(const struct ckpt_file *f, struct ckpt_err *err)
{
	cleanup_free char *own = procfile_of_ours(f->path);
	struct stat st;

	if (!own)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	return stat(own, &st) ? ckpt_fail(err, CKPT_REFUSED, errno, "this kernel has no file like "
					  "%s, which is open in the checkpoint", f->path) : 0;
}

/* What was deleted gets a name for a moment, in directories that are made where they are gone. */
static int check_above(const char *path, struct ckpt_err *err)
{
	cleanup_free char *above = strdup(path);
	struct stat st;
	char *slash;

	if (!above)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	for (slash = strchr(above + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int gone;

		*slash = 0;
		gone = stat(above, &st);
		if (!gone && !S_ISDIR(st.st_mode))
			return ckpt_fail(err, CKPT_REFUSED, 0, "%s is no directory; the checkpoint "
					 "has something open that was deleted there", above);
		*slash = '/';
		if (gone)
			break;
	}
	return 0;
}

/* A file outside the roots is opened as it is found: it must be there, and of its kind. */
static int check_path(const struct ckpt_file *f, struct ckpt_err *err)
{
	struct stat st;

	if (f->deleted)
		return check_above(f->path, err);
	if (f->kind == CKPT_FILE_REG && f->writable)
		return check_dir_of(f->path, err);
	if (stat(f->path, &st))
		return ckpt_fail(err, CKPT_REFUSED, errno, "%s is open in the checkpoint", f->path);
	if ((st.st_mode ^ f->mode) & S_IFMT || (S_ISCHR(st.st_mode) && st.st_rdev != f->rdev))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s is not what the checkpoint has open", f->path);
	return 0;
}

static int check_paths(struct ckpt_bring *b, struct ckpt_err *err)
{
	for (size_t i = 0; i < b->image.n_files; i++) {
		const struct ckpt_file *f = &b->image.files[i];

		/* slaves of pseudo terminals come with their masters */
		if (f->path && f->kind != CKPT_FILE_OUTER && f->kind != CKPT_FILE_PTS &&
		    !in_root(b, f->path) &&
		    (f->kind == CKPT_FILE_PROC ? check_procfile(f, err) : check_path(f, err)))
			return -1;
	}
	return 0;
}

/* What can become of connections to the outside; what does, only their other ends can say. */
static void count_outsides(struct ckpt_bring *b)
{
	for (size_t i = 0; i < b->image.n_tcps; i++) {
		const struct ckpt_tcp *t = &b->image.tcps[i];

		if (t->state != CKPT_TCP_ALONE || !(t->flags & CKPT_TCP_F_RESET))
			continue;
		if (b->params->tcp_repair && t->flags & CKPT_TCP_F_KNOWN)
			b->result.tcp_repaired++;
		else
			b->result.tcp_reset++;
	}
}

int ckpt_bring_preflight(struct ckpt_bring *b, struct ckpt_err *err)
{
	const struct ckpt_note *limits = ckpt_bring_limits(b);
	cleanup_free char *above = NULL, *cpuset = NULL;
	struct ckpt_restore_params params = { .image = &b->image, .source = &b->source,
					      .tcp_repair = b->params->tcp_repair,
					      .later = in_root, .later_arg = b,
					      .stdio = { -1, -1, -1 } };

	count_outsides(b);
	if (!b->params->dry_run && ckpt_bring_recover(b, err))
		return -1;
	/* its cgroup is made after the files are changed */
	if (ckpt_cgroup_above(b->group.cgroup, &above, err) ||
	    (limits && ckpt_limits_find((const char *)limits->value, limits->len, "cpuset.cpus",
					&cpuset, err)))
		return -1;
	params.above = above;
	params.cpuset = cpuset;
	if (ckpt_outer_check(&b->outer, err) || check_paths(b, err) ||
	    ckpt_restore_forecast(&params, &b->taken, err))
		return ckpt_fail_at(err, "preflight of '%s@%llu' failed", b->params->name,
				    (unsigned long long)b->result.id);
	b->result.moved = b->taken;
	return 0;
}
