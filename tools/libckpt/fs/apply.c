// SPDX-License-Identifier: GPL-2.0-or-later
/* The journal of one root carried out. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "fs/apply.h"
#include "fs/journal.h"
#include "fs/newer.h"
#include "fs/path.h"
#include "fs/remains.h"

/* The directory that holds an entry of the root, and the entry's name there. */
static int open_place(const struct ckpt_fs_stage *s, const char *path, const char **ret_name)
{
	int fd;

	if (*path)
		return ckpt_fs_open_parent(s->root, path, ret_name);
	*ret_name = s->name;
	fd = fcntl(s->parent, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

static int fail_op(const struct ckpt_fs_stage *s, const struct ckpt_fs_op *op, int error,
		   struct ckpt_err *err)
{
	static const char *const verb[] = { "", "take away", "put in place", "set metadata of" };

	return ckpt_fail(err, CKPT_FAILED, error, "%s %s%s%s", verb[op->kind], s->path,
			 *op->path ? "/" : "", op->path);
}

static int fail_mount(const struct ckpt_fs_stage *s, const struct ckpt_fs_op *op,
		      struct ckpt_err *err)
{
	cleanup_free char *path = NULL, *mount = NULL;

	if (asprintf(&path, "%s%s%s", s->path, *op->path ? "/" : "", op->path) < 0)
		path = NULL;
	mount = path ? ckpt_fs_mount_inside(path) : NULL;
	return ckpt_fail(err, CKPT_REFUSED, 0, "%s is a mount point in what the restore takes "
			 "away; unmount it and run again", mount ? mount : s->path);
}

/* @inside: what has changed in it, or "" the thing itself */
static int fail_newer(const struct ckpt_fs_stage *s, const struct ckpt_fs_op *op,
		      const char *inside, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0, "%s%s%s has changed %s%s%s%s; %s and run again",
			 s->path, *op->path ? "/" : "", op->path,
			 s->undecided ? "while the restore got ready" :
			 "since the restore was interrupted", *inside ? " (" : "", inside,
			 *inside ? ")" : "",
			 s->undecided ? "stop what writes it" : "move it away");
}

static bool is_planned(const struct ckpt_fs_stage *s, const struct ckpt_fs_was *was,
		       const struct ckpt_fs_meta *m)
{
	struct ckpt_fs_was now = ckpt_fs_was_of(m);

	if (!ckpt_fs_numbers_last(s->fd))
		now.ino = was->ino;
	return was->kind == CKPT_FS_WAS_UNKNOWN || !memcmp(&now, was, sizeof(now));
}

/* Return: 1 what the operation was planned for is there, 0 nothing is, -1 newer work. */
static int look(const struct ckpt_fs_stage *s, const struct ckpt_fs_op *op, int dir,
		const char *name, struct ckpt_err *err)
{
	struct ckpt_fs_meta m;
	int rc = ckpt_fs_meta_stat(dir, name, &m);

	if (rc == -ENOENT)
		return 0;
	if (rc)
		return fail_op(s, op, -rc, err);
	return is_planned(s, &op->was, &m) ? 1 : fail_newer(s, op, "", err);
}

/* As look(), and below a directory as well. */
static int look_inside(const struct ckpt_fs_stage *s, const struct ckpt_fs_op *op, int dir,
		       const char *name, int64_t since_ns, struct ckpt_err *err)
{
	cleanup_free char *newer = NULL;
	int there = look(s, op, dir, name, err), rc;

	if (there <= 0)
		return there;
	rc = ckpt_fs_newer(dir, name, since_ns, &newer);
	if (rc == -EXDEV)
		return fail_mount(s, op, err);
	if (rc)
		return fail_op(s, op, -rc, err);
	return newer ? fail_newer(s, op, newer, err) : 1;
}

/* As look_inside(), where a removal was interrupted. */
static int look_at_remains(const struct ckpt_fs_stage *s, const struct ckpt_fs_op *op, int dir,
			   const char *name, const char *list, struct ckpt_err *err)
{
	cleanup_free char *newer = NULL;
	int there = ckpt_fs_remains_check(dir, name, s->fd, list, &newer);

	if (there < 0)
		return fail_op(s, op, -there, err);
	return newer ? fail_newer(s, op, newer, err) : there;
}

/* An older version left a mark where it removed something, and no list of what was there. */
static int check_part(const struct ckpt_fs_stage *s, const struct ckpt_fs_op *op, int dir,
		      const char *name, const char *trash, struct ckpt_err *err)
{
	struct ckpt_fs_meta m;
	char part[40];

	snprintf(part, sizeof(part), "%s.part", trash);
	if (!ckpt_fs_stage_has(s, part) || ckpt_fs_meta_stat(dir, name, &m))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0, "%s/%s is half removed by an older version of "
			 "ckpt-tool, and no list tells what in it is newer; move it away and run "
			 "again", s->path, op->path);
}

/*
 * An overlay does not rename directories of a lower layer: they are removed where they are.
 * Half gone they have other times, so a list tells what was there.
 */
static int remove_in_place(struct ckpt_fs_stage *s, const struct ckpt_fs_op *op, int dir,
			   const char *name, const char *trash, const char *list,
			   struct ckpt_err *err)
{
	cleanup_close int hang = openat(s->fd, "trash", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = hang < 0 ? -errno : 0;

	if (!rc && !ckpt_fs_stage_has(s, list))
		rc = ckpt_fs_remains_list(dir, name, s->fd, list);
	if (!rc)
		rc = ckpt_fs_remove_tree(dir, name, hang);
	if (!rc && mkdirat(s->fd, trash, 0700))
		rc = -errno;
	return rc ? fail_op(s, op, -rc, err) : 0;
}

static int take_away(struct ckpt_fs_stage *s, const struct ckpt_fs_op *op, int64_t since_ns,
		     struct ckpt_err *err)
{
	cleanup_close int dir = -1;
	char trash[32], list[40];
	const char *name;
	int rc;

	snprintf(trash, sizeof(trash), "trash/%llu", (unsigned long long)op->n);
	if (ckpt_fs_stage_has(s, trash))
		return 0;
	dir = open_place(s, op->path, &name);
	if (dir < 0)
		return fail_op(s, op, -dir, err);
	snprintf(list, sizeof(list), "%s.list", trash);
	if (ckpt_fs_stage_has(s, list)) {
		rc = look_at_remains(s, op, dir, name, list, err);
		return rc < 0 ? rc : remove_in_place(s, op, dir, name, trash, list, err);
	}
	if (check_part(s, op, dir, name, trash, err))
		return -1;
	rc = look_inside(s, op, dir, name, since_ns, err);
	if (rc <= 0)
		return rc;
	if (!renameat(dir, name, s->fd, trash) || errno == ENOENT)
		return 0;
	if (errno != EXDEV)
		return fail_op(s, op, errno, err);
	return remove_in_place(s, op, dir, name, trash, list, err);
}

static int put_in_place(struct ckpt_fs_stage *s, const struct ckpt_fs_op *op,
			struct ckpt_err *err)
{
	cleanup_close int dir = -1;
	const char *name;
	char staged[32];

	snprintf(staged, sizeof(staged), "new/%llu", (unsigned long long)op->n);
	if (!ckpt_fs_stage_has(s, staged))
		return 0;
	dir = open_place(s, op->path, &name);
	if (dir < 0)
		return fail_op(s, op, -dir, err);
	if (look(s, op, dir, name, err) < 0)
		return -1;
	return renameat(s->fd, staged, dir, name) ? fail_op(s, op, errno, err) : 0;
}

static int set_meta(struct ckpt_fs_stage *s, const struct ckpt_fs_op *op, struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_fs_open(s->root, op->path, O_PATH);
	struct ckpt_fs_was done = op->was;
	struct ckpt_fs_meta m;
	int rc;

	/* Moved away or written since the interruption: that is as somebody wants it. */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fail_op(s, op, -fd, err);
	rc = ckpt_fs_meta_stat(fd, "", &m);
	if (rc)
		return fail_op(s, op, -rc, err);
	/* done before, perhaps: then it has the time that it shall have */
	done.mtime_ns = op->meta.mtime_ns;
	if (!is_planned(s, &done, &m) && !is_planned(s, &op->was, &m))
		return 0;
	return ckpt_fs_meta_apply(fd, &op->meta, *op->path ? op->path : s->path, err);
}

/* Is what an operation was planned for taken away by one before it? */
static bool is_taken_before(const struct ckpt_fs_journal *j, const struct ckpt_fs_op *op)
{
	for (const struct ckpt_fs_op *before = j->ops; before < op; before++)
		if (before->kind == CKPT_FS_OP_TRASH && !strcmp(before->path, op->path))
			return true;
	return false;
}

/* Would the operation find what it was planned for? @since_ns: when the root was compared */
static int look_ahead(const struct ckpt_fs_stage *s, const struct ckpt_fs_journal *j,
		      const struct ckpt_fs_op *op, int64_t since_ns, struct ckpt_err *err)
{
	cleanup_close int dir = -1;
	const char *name;
	struct ckpt_fs_meta m;
	int there;

	if (op->was.kind == CKPT_FS_WAS_UNKNOWN && op->kind != CKPT_FS_OP_TRASH)
		return 0;
	dir = open_place(s, op->path, &name);
	if (dir == -ENOENT || dir == -ENOTDIR || dir == -ELOOP)
		return fail_newer(s, op, "", err);
	if (dir < 0)
		return fail_op(s, op, -dir, err);
	if (op->was.kind == CKPT_FS_WAS_NOTHING && !ckpt_fs_meta_stat(dir, name, &m) &&
	    is_taken_before(j, op))
		return 0;
	there = op->kind == CKPT_FS_OP_TRASH ? look_inside(s, op, dir, name, since_ns, err) :
					       look(s, op, dir, name, err);
	if (!there && op->was.kind == CKPT_FS_WAS_NODE)
		return fail_newer(s, op, "", err);
	return there < 0 ? -1 : 0;
}

int ckpt_fs_look_again(struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	cleanup_journal struct ckpt_fs_journal j = { 0 };
	struct ckpt_fs_meta trash;
	int rc;

	if (ckpt_fs_stage_moved(s))
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s %s was moved away or replaced while the "
				 "restore got ready; run again", ckpt_fs_stage_noun(s), s->path);
	/* Nothing is in trash/ yet, so it is as old as the stage. */
	rc = ckpt_fs_meta_stat(s->fd, "trash", &trash);
	if (rc)
		return ckpt_fail(err, CKPT_FAILED, -rc, "look at the stage of %s %s",
				 ckpt_fs_stage_noun(s), s->path);
	if (ckpt_fs_journal_read(s->fd, CKPT_FS_READY, &j, err))
		return -1;
	s->undecided = true;
	for (size_t i = 0; !rc && i < j.n_ops; i++)
		rc = look_ahead(s, &j, &j.ops[i], trash.mtime_ns, err);
	s->undecided = false;
	return rc;
}

static int apply(struct ckpt_fs_stage *s, const struct ckpt_fs_journal *j, struct ckpt_err *err)
{
	for (size_t i = 0; i < j->n_ops; i++) {
		const struct ckpt_fs_op *op = &j->ops[i];
		int rc;

		if (op->kind == CKPT_FS_OP_TRASH)
			rc = take_away(s, op, j->written_ns, err) ||
			     ckpt_fault("fs.trash") ? -1 : 0;
		else if (op->kind == CKPT_FS_OP_PUT)
			rc = put_in_place(s, op, err) || ckpt_fault("fs.put") ? -1 : 0;
		else
			rc = set_meta(s, op, err) || ckpt_fault("fs.meta") ? -1 : 0;
		if (rc)
			return err && err->status ? -1 :
			       ckpt_fail(err, CKPT_FAILED, 0, "fault point reached");
	}
	return 0;
}

/* A stage inside the root has the root's times wait until it is gone. */
static int note_times(struct ckpt_fs_stage *s, const struct ckpt_fs_journal *j,
		      struct ckpt_err *err)
{
	for (size_t i = 0; i < j->n_ops; i++)
		if (j->ops[i].kind == CKPT_FS_OP_META && !*j->ops[i].path)
			return ckpt_fs_stage_times(s, j->ops[i].meta.atime_ns,
						   j->ops[i].meta.mtime_ns, err);
	return 0;
}

int ckpt_fs_redo(struct ckpt_fs_stage *s, const char *state, struct ckpt_err *err)
{
	cleanup_journal struct ckpt_fs_journal j = { 0 };

	if (ckpt_fs_journal_read(s->fd, state, &j, err) || apply(s, &j, err))
		return ckpt_fail_at(err, "restore %s %s", ckpt_fs_stage_noun(s), s->path);
	if (ckpt_fs_stage_sync(s, err))
		return -1;
	if (ckpt_fault("fs.applied"))
		return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.applied");
	if (note_times(s, &j, err) || ckpt_fs_journal_move(s->fd, state, CKPT_FS_DONE, err))
		return -1;
	if (ckpt_fault("fs.done"))
		return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.done");
	return 0;
}

/* Return: 1 when something was put in place or taken away, 0 not, -errno. */
static int was_begun(const struct ckpt_fs_stage *s, const struct ckpt_fs_journal *j)
{
	cleanup_closedir DIR *dir = NULL;
	struct dirent *e;
	char staged[32];
	int fd;

	for (size_t i = 0; i < j->n_ops; i++) {
		snprintf(staged, sizeof(staged), "new/%llu", (unsigned long long)j->ops[i].n);
		if (j->ops[i].kind == CKPT_FS_OP_PUT && !ckpt_fs_stage_has(s, staged))
			return 1;
	}
	fd = openat(s->fd, "trash", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return -errno;
	while (errno = 0, (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			return 1;
	return -errno;
}

int ckpt_fs_check_undo(const struct ckpt_fs_stage *s, const struct ckpt_fs_journal *j,
		       struct ckpt_err *err)
{
	cleanup_free char *place = ckpt_fs_stage_place(s);
	int rc = was_begun(s, j);

	if (rc < 0)
		return ckpt_fail(err, CKPT_FAILED, -rc, "look at the stage of %s %s",
				 ckpt_fs_stage_noun(s), s->path);
	return !rc ? 0 : ckpt_fail(err, CKPT_REFUSED, 0, "a restore of %s %s was interrupted half "
				   "way, and the decision to finish it is lost; what was there is "
				   "in %s/trash: take what you need, remove %s and run again",
				   ckpt_fs_stage_noun(s), s->path, place ? place : "its stage",
				   place ? place : "it");
}

int ckpt_fs_forget_ready(struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	if ((unlinkat(s->fd, CKPT_FS_READY, 0) && errno != ENOENT) || fsync(s->fd))
		return ckpt_fail(err, CKPT_FAILED, errno, "undo the restore of %s %s",
				 ckpt_fs_stage_noun(s), s->path);
	if (ckpt_fault("fs.undo"))
		return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.undo");
	return 0;
}

int ckpt_fs_undo(struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	return ckpt_fs_forget_ready(s, err) ? -1 : ckpt_fs_stage_remove(s, err);
}
