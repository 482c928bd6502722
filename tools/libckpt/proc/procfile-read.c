// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files of procfs that are of a process of the tree, settings, and namespaces of the tree
 *
 * Such a file is a question to the kernel, asked anew by who opens it again by the same path, when
 * the processes of the tree are there.  What was read of it so far counts as a position alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

#define LARGE 0100000u	/* O_LARGEFILE: whatever is opened by a path has it */

static int refuse(const struct ckpt_held_proc *p, const struct ckpt_file *f, const char *what,
		  struct ckpt_err *err)
{
	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has a file of procfs (%s) as fd/%d, %s, which this version cannot "
		"restore", p->pid, p->comm, f->path, f->capture_fd, what);
	return ckpt_fail_passing(err);
}

/* By which name below /proc/PID/ns it is the namespace of @p, or NULL. */
static const char *space_of(const struct ckpt_held_proc *p, const char *link, char name[32])
{
	cleanup_free char *own = NULL;

	snprintf(name, 32, "ns/%.*s", (int)strcspn(link, ":"), link);
	return !ckpt_procfs_link(p->dir, name, &own) && !strcmp(own, link) ? name : NULL;
}

bool ckpt_procfile_is_space(const char *link)
{
	static const char *const kinds[] = {
		"cgroup:[", "ipc:[", "mnt:[", "net:[", "pid:[", "time:[", "user:[", "uts:[",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strncmp(link, kinds[i], strlen(kinds[i])))
			return true;
	}
	return false;
}

bool ckpt_procfile_is_own_space(const struct ckpt_held_proc *p, const char *link)
{
	char name[32];

	return space_of(p, link, name);
}

static const struct ckpt_task *task_of(const struct ckpt_image *image, long pid)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].pid == pid)
			return &image->tasks[i];
	}
	return NULL;
}

static bool has_thread(const struct ckpt_task *t, long tid)
{
	if (t->pid == tid)
		return true;
	for (size_t i = 0; i < t->n_threads; i++) {
		if (t->threads[i].tid == tid)
			return true;
	}
	return false;
}

/* Of "/proc/PID/..." or "/proc/PID/task/TID/...": are they of the tree? */
static bool is_of_tree(const struct ckpt_image *image, const char *path)
{
	const struct ckpt_task *t;
	const char *at = path + 6;
	char *end;

	t = task_of(image, strtol(at, &end, 10));
	if (!t || end == at || (*end && *end != '/'))
		return false;
	if (strncmp(end, "/task/", 6))
		return true;
	at = end + 6;
	return has_thread(t, strtol(at, &end, 10)) && end > at;
}

/* A new one may not be able to stand there. */
static bool takes_position(const struct ckpt_held_proc *p, const struct ckpt_file *f)
{
	cleanup_close int fd = -1;
	char full[PATH_MAX + 8];

	if (!f->pos || f->flags & O_PATH)
		return true;
	snprintf(full, sizeof(full), "root%s", f->path);
	fd = openat(p->dir, full, (f->flags & O_ACCMODE) | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && lseek(fd, f->pos, SEEK_SET) == (off_t)f->pos;
}

static int read_space(const struct ckpt_held_proc *p, struct ckpt_file *f, struct ckpt_err *err)
{
	char name[32], *path;

	if (!space_of(p, f->path, name))
		return refuse(p, f, "a namespace that it is not in", err);
	/* one that another descriptor was asked for lacks it */
	if (!(f->flags & LARGE))
		return refuse(p, f, "a namespace that was not opened by a path", err);
	if (asprintf(&path, "/proc/%d/%s", p->threads[0].status.ns_tgid, name) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	free(f->path);
	f->path = path;
	return 0;
}

int ckpt_read_procfile(const struct ckpt_reader *r, const struct ckpt_held_proc *p,
		       struct ckpt_file *f, struct ckpt_err *err)
{
	const struct stat st = { .st_dev = f->dev, .st_ino = f->ino };

	if (ckpt_procfile_is_space(f->path))
		return read_space(p, f, err);
	if (!ckpt_leads_to(p, f->path, &st))
		return refuse(p, f, "of a process that is gone", err);
	if (strncmp(f->path, CKPT_SETTINGS, strlen(CKPT_SETTINGS)) &&
	    !is_of_tree(r->image, f->path))
		return refuse(p, f, "of a process that is not in the tree", err);
	/* it may not be there yet when the file is opened */
	if (strstr(f->path, "/fdinfo/"))
		return refuse(p, f, "of a descriptor", err);
	return takes_position(p, f) ? 0 :
	       refuse(p, f, "at a place that cannot be found again", err);
}
