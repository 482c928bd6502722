// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * File locks: who holds which, through which open file
 *
 * The kernel shows a lock at the descriptors of the description that it was made through: one of
 * flock or of a description at each of them, whoever has it, one of a process at those of that
 * process.  Who waits for a lock is shown nowhere, and asks again when it goes on.
 */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

static int refuse(const struct ckpt_reader *r, const struct ckpt_held_proc *p, int fd,
		  uint32_t file, struct ckpt_err *err)
{
	const char *path = r->image->files[file].path;

	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds a lock of what is no file on descriptor %d (%s), which this "
		"version cannot restore", p->pid, p->comm, fd, path ? path : "it has no name");
}

/* Files that a restore opens again, or their equals. */
static bool is_kept(uint32_t kind)
{
	return kind == CKPT_FILE_REG || kind == CKPT_FILE_DIR || kind == CKPT_FILE_CHR ||
	       kind == CKPT_FILE_FIFO;
}

static bool has_own(const struct ckpt_image *image, uint32_t file, int32_t pid)
{
	for (size_t i = 0; i < image->n_locks; i++) {
		const struct ckpt_lock *o = &image->locks[i];

		if (o->file == file && o->kind == CKPT_LOCK_POSIX && o->pid == pid)
			return true;
	}
	return false;
}

int ckpt_read_locks(struct ckpt_reader *r, const struct ckpt_held_proc *p, int fd, uint32_t file,
		    bool known, struct ckpt_err *err)
{
	const int32_t pid = p->threads[0].status.ns_tgid;
	const bool own_known = known && has_own(r->image, file, pid);
	const char *at = (const char *)r->hold->scratch.data;
	struct ckpt_image *image = r->image;
	struct ckpt_lock_line line;
	struct ckpt_lock *list;
	int more;

	while ((more = ckpt_parse_lock_line(&at, true, &line)) > 0) {
		if (!is_kept(image->files[file].kind))
			return refuse(r, p, fd, file, err);
		if (line.kind == CKPT_LOCK_POSIX ? own_known : known)
			continue;
		list = ckpt_grow(image->locks, &image->n_locks, sizeof(*list));
		if (!list)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of locks");
		image->locks = list;
		list[image->n_locks - 1] = (struct ckpt_lock){
			.kind = line.kind, .write = line.write, .file = file, .pid = pid,
			.start = line.start, .end = line.end,
			.setter = line.kind == CKPT_LOCK_FLOCK || line.kind == CKPT_LOCK_LEASE ?
				  line.pid : 0,
		};
	}
	return more < 0 ? ckpt_fail(err, CKPT_FAILED, 0,
				    "cannot understand the locks of descriptor %d of pid %d", fd,
				    p->pid) : 0;
}

static bool has_file(const struct ckpt_image *image, const struct ckpt_task *t, uint32_t file)
{
	const struct ckpt_fdtable *table = &image->fdtables[t->fdtable];

	for (size_t i = 0; i < table->n_fds; i++) {
		if (table->fds[i].file == file)
			return true;
	}
	return false;
}

/* Does a process that is not in the tree have the description of @f? It may have ended. */
static bool is_open_in(pid_t pid, const struct ckpt_file *f)
{
	cleanup_close int dir = -1;
	cleanup_free int *fds = NULL;
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	n = dir < 0 ? -1 : ckpt_procfs_numbers(dir, "fd", &fds);
	for (ssize_t i = 0; i < n; i++) {
		if (!syscall(SYS_kcmp, pid, f->capture_pid, KCMP_FILE, fds[i], f->capture_fd))
			return true;
	}
	return false;
}

/* Whoever has made it and has it still makes it again: it is what others see. */
static int find_owner(struct ckpt_reader *r, struct ckpt_lock *l, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[l->file];
	const struct ckpt_held_proc *p;

	for (size_t i = 0; i < r->image->n_tasks; i++) {
		const struct ckpt_task *t = &r->image->tasks[i];

		if (t->host_pid != l->setter)
			continue;
		if (t->state != CKPT_TASK_ZOMBIE && has_file(r->image, t, l->file))
			l->pid = t->pid;
		return 0;
	}
	if (!is_open_in(l->setter, f))
		return 0;
	p = ckpt_tree_find(r->hold, f->capture_pid);
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds the lock on descriptor %d (%s) together with pid %d, which is "
		"not in the tree", p->pid, p->comm, f->capture_fd, f->path, l->setter);
}

int ckpt_read_locks_owners(struct ckpt_reader *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_locks; i++) {
		if (r->image->locks[i].setter > 0 &&
		    ckpt_survey_pass(r->hold->survey, find_owner(r, &r->image->locks[i], err), err))
			return -1;
	}
	return 0;
}
