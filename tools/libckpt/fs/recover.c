// SPDX-License-Identifier: GPL-2.0-or-later
/* Recovery after an interruption: a restore is finished or undone, all of it. */
#include <string.h>

#include "base/cleanup.h"
#include "fs/apply.h"
#include "fs/journal.h"
#include "fs/restore.h"

/* Locate a root, or a file outside the roots, and its stage. Return: as ckpt_fs_stage_open. */
static int find_stage(struct ckpt_fs_stage *s, const char *path, bool file, struct ckpt_err *err)
{
	if (path[0] != '/')
		return ckpt_fail(err, CKPT_USAGE, 0, "root %s is not an absolute path", path);
	if (file ? ckpt_fs_stage_locate_file(s, path, err) :
		   ckpt_fs_stage_locate(s, path, false, err))
		return -1;
	return s->parent < 0 ? 0 : ckpt_fs_stage_open(s, err);
}

static int fail_other(const struct ckpt_fs_journal_root *root, bool there, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0, "a restore was interrupted, and its %s %s is not "
			 "%s; bring it back and run again", root->file ? "directory of" : "root",
			 root->path, there ? "mounted as it was" : "there");
}

/*
 * Root @i of a journal. Return: as ckpt_fs_stage_open; a root that is not there at all, or
 * not mounted as it was, says nothing of its stage, nor does a file without its directory.
 */
static int find_other(const struct ckpt_fs_journal *j, size_t i, struct ckpt_fs_stage *s,
		      struct ckpt_err *err)
{
	const struct ckpt_fs_journal_root *root = &j->roots[i];
	int rc = find_stage(s, root->path, root->file, err);
	bool there, mounted;

	if (rc)
		return rc;
	there = root->file ? s->parent >= 0 : s->root >= 0;
	mounted = root->file ? s->mount_len == root->mount_len : s->inside == root->inside;
	return there && mounted ? 0 : fail_other(root, there, err);
}

/* Was the restore decided that a ready root belongs to? Return: 1 yes, 0 no, -1 error. */
static int decided(const struct ckpt_fs_journal *j, const char *path, struct ckpt_err *err)
{
	cleanup_stage struct ckpt_fs_stage first = CKPT_FS_STAGE_INIT;
	int rc;

	if (!strcmp(j->roots[0].path, path))
		return 0;
	rc = find_other(j, 0, &first, err);
	return rc <= 0 ? rc : ckpt_fs_stage_has(&first, CKPT_FS_COMMIT);
}

/* The first root is decided: every other one goes forward before it. */
static int finish(struct ckpt_fs_stage *first, struct ckpt_err *err)
{
	cleanup_journal struct ckpt_fs_journal j = { 0 };

	if (ckpt_fs_journal_read(first->fd, CKPT_FS_COMMIT, &j, err))
		return -1;
	for (size_t i = j.n_roots; --i > 0;) {
		cleanup_stage struct ckpt_fs_stage s = CKPT_FS_STAGE_INIT;
		int rc = find_other(&j, i, &s, err);

		if (rc < 0 || (!rc && ckpt_fs_stage_settle(&s, err)))
			return -1;
		if (!rc)
			continue;
		rc = ckpt_fs_stage_has(&s, CKPT_FS_READY) ? ckpt_fs_redo(&s, CKPT_FS_READY, err) :
		     ckpt_fs_stage_remove(&s, err);
		if (rc)
			return -1;
	}
	return ckpt_fs_redo(first, CKPT_FS_COMMIT, err);
}

int ckpt_fs_pending(const char *path, bool *ret, struct ckpt_err *err)
{
	cleanup_journal struct ckpt_fs_journal j = { 0 };
	cleanup_stage struct ckpt_fs_stage s = CKPT_FS_STAGE_INIT;
	int rc = find_stage(&s, path, false, err);

	if (rc > 0 && !ckpt_fs_stage_has(&s, CKPT_FS_COMMIT))
		rc = !ckpt_fs_stage_has(&s, CKPT_FS_READY) ? 0 :
		     ckpt_fs_journal_read(s.fd, CKPT_FS_READY, &j, err) ? -1 :
		     decided(&j, path, err);
	if (rc < 0)
		return -1;
	*ret = rc;
	return 0;
}

static int recover(const char *path, bool file, enum ckpt_fs_recovered *ret, struct ckpt_err *err);

/*
 * A restore that was not decided: what is beside the files outside the roots goes before the
 * stage that names them.  They look at it themselves, so it is let go of meanwhile.
 */
static int undo(struct ckpt_fs_stage *s, bool file, struct ckpt_err *err)
{
	cleanup_journal struct ckpt_fs_journal j = { 0 };
	cleanup_free char *path = NULL;
	enum ckpt_fs_recovered what;
	int rc;

	if (!ckpt_fs_stage_has(s, CKPT_FS_FILES))
		return ckpt_fs_undo(s, err);
	if (ckpt_fs_journal_read(s->fd, CKPT_FS_FILES, &j, err))
		return -1;
	path = strdup(s->path);
	if (!path)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	ckpt_fs_stage_done(s);
	for (size_t i = 0; i < j.n_roots; i++)
		if (recover(j.roots[i].path, j.roots[i].file, &what, err))
			return -1;
	rc = find_stage(s, path, file, err);
	return rc <= 0 ? rc : ckpt_fs_undo(s, err);
}

static int recover(const char *path, bool file, enum ckpt_fs_recovered *ret, struct ckpt_err *err)
{
	cleanup_journal struct ckpt_fs_journal j = { 0 };
	cleanup_stage struct ckpt_fs_stage s = CKPT_FS_STAGE_INIT;
	enum ckpt_fs_recovered what = CKPT_FS_UNDONE;
	int rc = find_stage(&s, path, file, err);

	if (rc > 0 && ckpt_fs_stage_has(&s, CKPT_FS_COMMIT)) {
		rc = finish(&s, err);
		what = CKPT_FS_FINISHED;
	} else if (rc > 0 && ckpt_fs_stage_has(&s, CKPT_FS_DONE)) {
		rc = ckpt_fs_stage_remove(&s, err);
		what = CKPT_FS_FINISHED;
	} else if (rc > 0 && ckpt_fs_stage_has(&s, CKPT_FS_READY)) {
		rc = ckpt_fs_journal_read(s.fd, CKPT_FS_READY, &j, err);
		if (!rc)
			rc = decided(&j, path, err);
		if (rc > 0) {
			/* The first root takes this one along, so let go of it. */
			ckpt_fs_stage_done(&s);
			return recover(j.roots[0].path, j.roots[0].file, ret, err);
		}
		if (!rc)
			rc = undo(&s, file, err);
	} else if (rc > 0) {
		rc = undo(&s, file, err);
	} else if (!rc) {
		rc = ckpt_fs_stage_settle(&s, err);
		what = CKPT_FS_NOTHING_LEFT;
	}
	if (rc < 0)
		return -1;
	*ret = what;
	return 0;
}

int ckpt_fs_recover(const char *path, enum ckpt_fs_recovered *ret, struct ckpt_err *err)
{
	return recover(path, false, ret, err);
}

int ckpt_fs_recover_file(const char *path, enum ckpt_fs_recovered *ret, struct ckpt_err *err)
{
	return recover(path, true, ret, err);
}
