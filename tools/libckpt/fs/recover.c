// SPDX-License-Identifier: GPL-2.0-or-later
/* Recovery after an interruption: a restore is finished or undone, all of it. */
#include <string.h>

#include "base/cleanup.h"
#include "fs/apply.h"
#include "fs/journal.h"
#include "fs/path.h"
#include "fs/restore.h"

/**
 * struct left - a stage that was left
 * @state: name of its journal, NULL: there is none
 * @j: the journal
 */
struct left {
	struct ckpt_fs_stage s;
	const char *state;
	struct ckpt_fs_journal j;
};

#define LEFT_INIT { .s = CKPT_FS_STAGE_INIT }

static void left_done(struct left *l)
{
	ckpt_fs_stage_done(&l->s);
	ckpt_fs_journal_done(&l->j);
	l->state = NULL;
}
#define cleanup_left __attribute__((cleanup(left_done)))

static bool is_in(const struct left *l, const char *state)
{
	return l->state && !strcmp(l->state, state);
}

static int read_state(struct left *l, struct ckpt_err *err)
{
	static const char *const states[] = { CKPT_FS_COMMIT, CKPT_FS_DONE, CKPT_FS_READY };

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (ckpt_fs_stage_has(&l->s, states[i])) {
			l->state = states[i];
			return ckpt_fs_journal_read(l->s.fd, l->state, &l->j, err);
		}
	return 0;
}

/* A stage was moved along with what it is beside, or two names share one. */
static int check_name(const struct left *l, struct ckpt_err *err)
{
	cleanup_free char *place = ckpt_fs_stage_place(&l->s);

	for (size_t i = 0; i < l->j.n_roots; i++)
		if (!strcmp(l->j.roots[i].path, l->s.path))
			return 0;
	if (!l->state)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0, "%s belongs to an interrupted restore of %s, not to "
			 "%s; move it back, or away", place ? place : "a stage",
			 l->j.roots[0].path, l->s.path);
}

/* Find and lock a root's stage, or a file's. Return: as ckpt_fs_stage_open. */
static int find(struct left *l, const char *path, bool file, struct ckpt_err *err)
{
	int rc;

	*l = (struct left)LEFT_INIT;
	if (path[0] != '/')
		return ckpt_fail(err, CKPT_USAGE, 0, "root %s is not an absolute path", path);
	if (file ? ckpt_fs_stage_locate_file(&l->s, path, err) :
		   ckpt_fs_stage_locate(&l->s, path, false, err))
		return -1;
	rc = l->s.parent < 0 ? 0 : ckpt_fs_stage_open(&l->s, err);
	return rc <= 0 ? rc : read_state(l, err) || check_name(l, err) ? -1 : 1;
}

static int fail_other(const struct ckpt_fs_journal_root *root, bool there, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0, "a restore was interrupted, and %s %s is not "
			 "%s; bring it back and run again",
			 root->file ? "the directory of" : "root", root->path,
			 there ? "mounted as it was" : "there");
}

/* A reboot since took the stage along, with all that was there. */
static bool is_forgotten(const struct ckpt_fs_journal_root *root)
{
	return root->boot && root->boot != ckpt_fs_boot();
}

/*
 * Root @i of a journal. Return: 1 found, 0 it has no stage of this restore, -1; a root that is
 * not there at all, or not mounted as it was, says nothing of its stage, nor does a file without
 * its directory.
 */
static int find_other(const struct ckpt_fs_journal *j, size_t i, struct left *l,
		      struct ckpt_err *err)
{
	const struct ckpt_fs_journal_root *root = &j->roots[i];
	int rc = find(l, root->path, root->file, err);
	bool there, mounted;

	if (rc < 0)
		return ckpt_fail_at(err, "a restore of %s was interrupted and cannot be ended",
				    j->roots[0].path);
	if (rc && l->state && strcmp(l->j.roots[0].path, j->roots[0].path))
		rc = 0;
	if (rc || is_forgotten(root))
		return rc;
	/* a root that was missing is looked for by what is above it */
	there = root->file || (root->mount_known && !root->inside) || l->s.fd >= 0 ?
		l->s.parent >= 0 : l->s.root >= 0;
	mounted = (root->file || l->s.inside == root->inside) &&
		  (!root->mount_known || l->s.mount_len == root->mount_len);
	return there && mounted ? 0 : fail_other(root, there, err);
}

/* @l: what needs the stage, and is removed by who gives the restore up */
static int fail_missing(const struct ckpt_fs_journal_root *root, const struct left *l,
			struct ckpt_err *err)
{
	cleanup_free char *place = ckpt_fs_stage_place(&l->s);

	return ckpt_fail(err, CKPT_REFUSED, 0, "a restore of %s was interrupted, and its stage for "
			 "%s %s is gone: another directory or disk may be there; bring it back "
			 "and run again, or remove %s to give the restore up", l->s.path,
			 root->file ? "file" : "root", root->path, place ? place : "its stage");
}

/* The first root is done, so all are. It goes last, for it knows the others. */
static int clear(struct left *first, struct ckpt_err *err)
{
	for (size_t i = first->j.n_roots; --i > 0;) {
		cleanup_left struct left l = LEFT_INIT;
		int rc = find_other(&first->j, i, &l, err);

		if (rc > 0 && (is_in(&l, CKPT_FS_DONE) ||
			       (!l.state && !ckpt_fs_stage_has(&l.s, CKPT_FS_FILES))))
			rc = ckpt_fs_stage_remove(&l.s, err);
		else if (!rc && l.s.fd < 0)
			rc = ckpt_fs_stage_settle(&l.s, err);
		if (rc < 0)
			return -1;
	}
	return ckpt_fs_stage_remove(&first->s, err);
}

/* Another root of a restore that is decided: look for its stage, or carry it out. */
static int forward(const struct left *first, size_t i, bool look, struct ckpt_err *err)
{
	const struct ckpt_fs_journal_root *root = &first->j.roots[i];
	cleanup_left struct left l = LEFT_INIT;
	int rc = find_other(&first->j, i, &l, err);

	if (rc < 0)
		return -1;
	if (!rc || !l.state)
		return is_forgotten(root) ? 0 : fail_missing(root, first, err);
	return !look && is_in(&l, CKPT_FS_READY) ? ckpt_fs_redo(&l.s, CKPT_FS_READY, err) : 0;
}

/* The first root is decided: every other one goes forward before it, when all are there. */
static int finish(struct left *first, struct ckpt_err *err)
{
	for (int look = 1; look >= 0; look--)
		for (size_t i = first->j.n_roots; --i > 0;)
			if (forward(first, i, look, err))
				return -1;
	if (ckpt_fs_redo(&first->s, CKPT_FS_COMMIT, err))
		return -1;
	return clear(first, err);
}

static int recover(const char *path, bool file, enum ckpt_fs_recovered *ret, struct ckpt_err *err);

/*
 * What tells of files outside the roots before there is a journal: what is beside those goes
 * before it.  They may find it themselves, so it is let go of meanwhile.
 */
static int undo_files(struct left *l, bool file, struct ckpt_err *err)
{
	cleanup_journal struct ckpt_fs_journal j = { 0 };
	cleanup_free char *path = strdup(l->s.path);
	enum ckpt_fs_recovered what;
	int rc;

	if (ckpt_fs_journal_read(l->s.fd, CKPT_FS_FILES, &j, err))
		return -1;
	if (!path)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	left_done(l);
	for (size_t i = 0; i < j.n_roots; i++) {
		cleanup_left struct left other = LEFT_INIT;

		if (find_other(&j, i, &other, err) < 0)
			return -1;
		left_done(&other);
		if (recover(j.roots[i].path, j.roots[i].file, &what, err))
			return ckpt_fail_at(err, "undo the restore of %s", path);
	}
	rc = find(l, path, file, err);
	return rc <= 0 ? rc : ckpt_fs_undo(&l->s, err);
}

enum undo_step { LOOK, UNDO, UNDO_TELLER };

/* Another root of a restore that was not decided. */
static int back(const struct left *first, size_t i, enum undo_step step, struct ckpt_err *err)
{
	cleanup_left struct left l = LEFT_INIT;
	int rc = find_other(&first->j, i, &l, err);
	bool tells;

	if (rc <= 0)
		return rc;
	if (step == LOOK)
		return is_in(&l, CKPT_FS_READY) ? ckpt_fs_check_undo(&l.s, &l.j, err) : 0;
	tells = ckpt_fs_stage_has(&l.s, CKPT_FS_FILES);
	if (step == UNDO && ckpt_fs_forget_ready(&l.s, err))
		return -1;
	return tells == (step == UNDO_TELLER) ? ckpt_fs_stage_remove(&l.s, err) : 0;
}

/* A restore that was not decided: the first root goes last but for what tells of it. */
static int undo(struct left *first, struct ckpt_err *err)
{
	if (ckpt_fs_check_undo(&first->s, &first->j, err))
		return -1;
	for (enum undo_step step = LOOK; step <= UNDO_TELLER; step++) {
		if (step == UNDO_TELLER && ckpt_fs_undo(&first->s, err))
			return -1;
		for (size_t i = first->j.n_roots; --i > 0;)
			if (back(first, i, step, err))
				return -1;
	}
	return 0;
}

/* A root that is not the first, when the first is gone for good. */
static int end_alone(struct left *l, enum ckpt_fs_recovered *ret, struct ckpt_err *err)
{
	*ret = is_in(l, CKPT_FS_DONE) ? CKPT_FS_FINISHED : CKPT_FS_UNDONE;
	if (is_in(l, CKPT_FS_DONE))
		return ckpt_fs_stage_remove(&l->s, err);
	return ckpt_fs_check_undo(&l->s, &l->j, err) ? -1 : ckpt_fs_undo(&l->s, err);
}

/* The first root takes the others along, so they are let go of. */
static int recover_first(struct left *l, enum ckpt_fs_recovered *ret, struct ckpt_err *err)
{
	cleanup_left struct left first = LEFT_INIT;
	cleanup_journal struct ckpt_fs_journal j = l->j;
	int rc;

	l->j = (struct ckpt_fs_journal){ 0 };
	rc = find_other(&j, 0, &first, err);
	if (rc < 0)
		return -1;
	if (!rc || !first.state) {
		if (!is_forgotten(&j.roots[0]))
			return fail_missing(&j.roots[0], l, err);
		l->j = j;
		j = (struct ckpt_fs_journal){ 0 };
		return end_alone(l, ret, err);
	}
	left_done(&first);
	left_done(l);
	return recover(j.roots[0].path, j.roots[0].file, ret, err);
}

static int recover(const char *path, bool file, enum ckpt_fs_recovered *ret, struct ckpt_err *err)
{
	cleanup_left struct left l = LEFT_INIT;
	int rc = find(&l, path, file, err);

	if (rc < 0)
		return -1;
	if (!rc) {
		*ret = CKPT_FS_NOTHING_LEFT;
		return ckpt_fs_stage_settle(&l.s, err);
	}
	if (l.state && strcmp(l.j.roots[0].path, path))
		return recover_first(&l, ret, err);
	*ret = is_in(&l, CKPT_FS_COMMIT) || is_in(&l, CKPT_FS_DONE) ? CKPT_FS_FINISHED :
								      CKPT_FS_UNDONE;
	if (is_in(&l, CKPT_FS_COMMIT))
		return finish(&l, err);
	if (is_in(&l, CKPT_FS_DONE))
		return clear(&l, err);
	if (l.state)
		return undo(&l, err);
	return ckpt_fs_stage_has(&l.s, CKPT_FS_FILES) ? undo_files(&l, file, err) :
							ckpt_fs_undo(&l.s, err);
}

int ckpt_fs_pending(const char *path, bool *ret, struct ckpt_err *err)
{
	cleanup_left struct left l = LEFT_INIT, first = LEFT_INIT;
	int rc = find(&l, path, false, err);

	if (rc < 0)
		return -1;
	*ret = is_in(&l, CKPT_FS_COMMIT);
	if (!rc || !l.state || !strcmp(l.j.roots[0].path, path))
		return 0;
	rc = find_other(&l.j, 0, &first, err);
	if (rc < 0)
		return -1;
	*ret = rc && is_in(&first, CKPT_FS_COMMIT);
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
