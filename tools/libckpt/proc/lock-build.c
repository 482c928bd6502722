// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * File locks: made by who owns them
 *
 * Those of a process go when it closes any descriptor of the file: its table is complete before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "proc/build.h"

/* What is in the way of another: two of flock, or two of bytes. */
static bool conflicts(const struct ckpt_lock *wanted, const struct ckpt_lock_line *other)
{
	if (wanted->kind == CKPT_LOCK_LEASE || other->kind == CKPT_LOCK_LEASE)
		return false;
	return other->kind != CKPT_NONE && !other->waits &&
	       (wanted->kind == CKPT_LOCK_FLOCK) == (other->kind == CKPT_LOCK_FLOCK) &&
	       (wanted->write || other->write) && wanted->start <= other->end &&
	       other->start <= wanted->end;
}

/* Who is in the way, by @locks, the text of /proc/locks. Return: false: nobody that shows. */
static bool find_holder(const char *locks, const struct stat *st, const struct ckpt_lock *wanted,
			int32_t *ret_pid)
{
	struct ckpt_lock_line line;
	int more;

	while ((more = ckpt_parse_lock_line(&locks, false, &line))) {
		if (more < 0 || line.ino != st->st_ino || line.dev != st->st_dev ||
		    !conflicts(wanted, &line))
			continue;
		*ret_pid = line.pid;
		return true;
	}
	return false;
}

static int refuse(const struct ckpt_image *image, const struct ckpt_lock *l, int32_t holder,
		  struct ckpt_err *err)
{
	const char *path = image->files[l->file].path;

	if (holder > 0)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d of the checkpoint holds a lock on %s, which pid %d has "
				 "now; end that process first", l->pid, path, holder);
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "pid %d of the checkpoint holds a lock on %s, which a process outside of "
			 "it has now; end that process first", l->pid, path);
}

int ckpt_locks_free(const struct ckpt_restore_params *params, struct ckpt_err *err)
{
	const struct ckpt_image *image = params->image;
	cleanup_free char *text = NULL;

	if (image->n_locks && ckpt_build_text("/proc/locks", &text, err))
		return -1;
	for (size_t i = 0; i < image->n_locks; i++) {
		const struct ckpt_lock *l = &image->locks[i];
		const struct ckpt_file *f = &image->files[l->file];
		struct stat st;
		int32_t holder;

		/* what is put in place later nobody has locked */
		if (f->deleted || (params->later && params->later(params->later_arg, f->path)))
			continue;
		if (!stat(f->path, &st) && find_holder(text, &st, l, &holder))
			return refuse(image, l, holder, err);
	}
	return 0;
}

/* Who took it since the preflight. */
static int taken(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		 const struct ckpt_lock *l, int fd, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	int32_t holder = 0;
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", t->host, fd);
	if (ckpt_build_text("/proc/locks", &text, err))
		return -1;
	if (!stat(path, &st))
		find_holder(text, &st, l, &holder);
	return refuse(r->image, l, holder, err);
}

static int make_lock(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		     const struct ckpt_lock *l, int fd, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	const struct flock range = {
		.l_type = l->write ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = l->start,
		.l_len = l->end == INT64_MAX ? 0 : l->end - l->start + 1,
	};
	uint64_t at = ckpt_site_put(&s, 0, &range, sizeof(range), err);
	int64_t value;
	int failed;

	if (!at)
		return -1;
	if (l->kind == CKPT_LOCK_LEASE)
		failed = ckpt_site_try(&s, err, &value, SYS_fcntl,
				       ARGS(fd, F_SETLEASE, range.l_type));
	else if (l->kind == CKPT_LOCK_FLOCK)
		failed = ckpt_site_try(&s, err, &value, SYS_flock,
				       ARGS(fd, (l->write ? LOCK_EX : LOCK_SH) | LOCK_NB));
	else
		failed = ckpt_site_try(&s, err, &value, SYS_fcntl,
				       ARGS(fd, l->kind == CKPT_LOCK_OFD ? F_OFD_SETLK : F_SETLK,
					    at));
	if (failed)
		return -1;
	if (value == -EAGAIN && l->kind == CKPT_LOCK_LEASE)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d of the checkpoint has a lease on %s, which a process "
				 "outside of it has open now; end that process first", l->pid,
				 r->image->files[l->file].path);
	if (value == -EAGAIN || value == -EACCES)
		return taken(r, t, l, fd, err);
	return value ? ckpt_fail(err, CKPT_FAILED, -value, "process %d: cannot lock %s",
				 t->task->pid, r->image->files[l->file].path) : 0;
}

static int fd_of(const struct ckpt_fdtable *table, uint32_t file)
{
	for (size_t i = 0; i < table->n_fds; i++) {
		if (table->fds[i].file == file)
			return table->fds[i].fd;
	}
	return -1;
}

int ckpt_build_locks(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_fdtable *table = &r->image->fdtables[t->task->fdtable];

	for (size_t i = 0; i < r->image->n_locks; i++) {
		const struct ckpt_lock *l = &r->image->locks[i];

		if (l->pid == t->task->pid && make_lock(r, t, l, fd_of(table, l->file), err))
			return -1;
	}
	return 0;
}

static bool shows(const struct ckpt_lock *l, const struct ckpt_fd *fd,
		  const struct ckpt_task *task)
{
	return l->file == fd->file && (l->kind != CKPT_LOCK_POSIX || l->pid == task->pid);
}

static bool is_line(const struct ckpt_lock *l, const struct ckpt_lock_line *line)
{
	return l->kind == line->kind && l->write == line->write && l->start == line->start &&
	       l->end == line->end;
}

int ckpt_verify_locks(const struct ckpt_restore *r, const struct ckpt_task *task,
		      const struct ckpt_fd *fd, const char *text, struct ckpt_err *err)
{
	const struct ckpt_image *image = r->image;
	size_t wanted = 0, found = 0, i;
	struct ckpt_lock_line line;
	int more;

	for (i = 0; i < image->n_locks; i++)
		wanted += shows(&image->locks[i], fd, task);
	while ((more = ckpt_parse_lock_line(&text, true, &line)) > 0) {
		for (i = 0; i < image->n_locks; i++) {
			if (shows(&image->locks[i], fd, task) && is_line(&image->locks[i], &line))
				break;
		}
		if (i == image->n_locks)
			return ckpt_fail(err, CKPT_DAMAGED, 0, "a lock is not that of the "
					 "checkpoint");
		found++;
	}
	return more || found != wanted ?
		ckpt_fail(err, CKPT_DAMAGED, 0, "%zu locks instead of %zu", found, wanted) : 0;
}
