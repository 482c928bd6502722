// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the locks of an image. */
#include <fcntl.h>

#include "proc/image-check.h"

/* Has a living process of this number the file open? */
static bool is_open(const struct ckpt_image *image, int32_t pid, uint32_t file)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];
		const struct ckpt_fdtable *table;

		if (t->pid != pid || t->state == CKPT_TASK_ZOMBIE)
			continue;
		table = &image->fdtables[t->fdtable];
		for (size_t j = 0; j < table->n_fds; j++) {
			if (table->fds[j].file == file)
				return true;
		}
	}
	return false;
}

/* One for reading is only given to who cannot write, and nobody else can. */
static bool is_leasable(const struct ckpt_lock *l, const struct ckpt_file *f)
{
	return f->kind == CKPT_FILE_REG && (l->write || (f->flags & O_ACCMODE) == O_RDONLY);
}

/* Of bytes: only who can read may lock against writers, and the other way round. */
static bool is_allowed(const struct ckpt_lock *l, uint32_t flags)
{
	if (flags & O_PATH)
		return false;
	return l->kind == CKPT_LOCK_FLOCK || l->kind == CKPT_LOCK_LEASE ||
	       (flags & O_ACCMODE) != (l->write ? O_RDONLY : O_WRONLY);
}

static int check_lock(const struct ckpt_image *image, const struct ckpt_lock *l,
		      struct ckpt_err *err)
{
	const struct ckpt_file *f;

	if (l->kind > CKPT_LOCK_LEASE || l->start > l->end || l->end > INT64_MAX ||
	    ((l->kind == CKPT_LOCK_FLOCK || l->kind == CKPT_LOCK_LEASE) &&
	     (l->start || l->end != INT64_MAX)))
		return BAD_IMAGE("a lock is of no known kind or has impossible bounds");
	if (l->file >= image->n_files)
		return BAD_IMAGE("a lock is of a file that is not there");
	f = &image->files[l->file];
	if (f->kind != CKPT_FILE_REG && f->kind != CKPT_FILE_DIR && f->kind != CKPT_FILE_CHR &&
	    f->kind != CKPT_FILE_FIFO)
		return BAD_IMAGE("a lock is of what is no file");
	if (!is_allowed(l, f->flags) || (l->kind == CKPT_LOCK_LEASE && !is_leasable(l, f)))
		return BAD_IMAGE("a lock is of another kind than its file is open for");
	return is_open(image, l->pid, l->file) ? 0 :
	       BAD_IMAGE("a lock is held by pid %d, which does not have the file open", l->pid);
}

int ckpt_locks_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_locks; i++) {
		if (check_lock(image, &image->locks[i], err))
			return -1;
	}
	return 0;
}

/* A lease for writing is given to who alone has the file open, and is what a restore opens once. */
static bool opened_again(const struct ckpt_image *image, const struct ckpt_lock *l)
{
	const struct ckpt_file *f = &image->files[l->file];

	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *o = &image->files[i];

		if (i != l->file && o->kind == CKPT_FILE_REG && o->dev == f->dev &&
		    o->ino == f->ino && !(o->flags & O_PATH))
			return true;
	}
	return false;
}

int ckpt_locks_restorable(const struct ckpt_image *image, struct ckpt_survey *survey,
			  struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_locks; i++) {
		const struct ckpt_lock *l = &image->locks[i];
		int failed = 0;

		if (l->kind == CKPT_LOCK_LEASE && l->write && opened_again(image, l))
			failed = ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d has a lease on %s, which it has mapped as well, and which "
				"this version cannot restore", l->pid, image->files[l->file].path);
		if (ckpt_survey_pass(survey, failed, err))
			return -1;
	}
	return 0;
}
