// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ipc namespace of the tree's own: its settings, and what may not be in it
 *
 * Nobody but the tree is in it, so whatever there is would be lost.  Segments are read by
 * shm-read.c, as what they are mapped as, semaphores and message queues by sem-read.c and
 * message-read.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/ipc.h"
#include "proc/procfs.h"
#include "proc/read.h"

/**
 * struct look - into the namespace, by a thread that is in it
 * @p: a process of it, for messages
 */
struct look {
	struct ckpt_reader *r;
	const struct ckpt_held_proc *p;
	struct ckpt_ipc *ipc;
};

/*
 * The file system of its POSIX message queues, on a mount that is nowhere.  Such a mount takes
 * milliseconds to go: the keeper has it until the tree runs again.
 * Return: 0 with hold->mqueues, 1: this kernel has no such queues, -1.
 */
static int mount_queues(struct ckpt_hold *hold, struct ckpt_err *err)
{
	cleanup_close int context = -1;

	if (hold->mqueues >= 0)
		return 0;
	context = syscall(SYS_fsopen, "mqueue", FSOPEN_CLOEXEC);
	if (context < 0 && errno == ENODEV)
		return 1;
	if (context >= 0 && !syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		hold->mqueues = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	return hold->mqueues >= 0 ? 0 :
	       ckpt_fail(err, CKPT_FAILED, errno, "cannot list the message queues of the tree");
}

static int check_queues(const struct look *l, struct ckpt_err *err)
{
	cleanup_closedir DIR *d = NULL;
	struct dirent *e;
	int failed = mount_queues(l->r->hold, err), dir;

	if (failed)
		return failed < 0 ? -1 : 0;
	dir = openat(l->r->hold->mqueues, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = dir < 0 ? NULL : fdopendir(dir);
	if (!d)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot list the message queues of the tree");
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) has an ipc namespace of its own with POSIX message "
				"queue /%s in it, which this version cannot restore", l->p->pid,
				l->p->comm, e->d_name);
	}
	return 0;
}

static int look(void *arg, struct ckpt_err *err)
{
	const struct look *l = arg;
	struct ckpt_survey *survey = l->r->hold->survey;

	return ckpt_ipc_get(l->ipc, err) ||
	       ckpt_survey_pass(survey, check_queues(l, err), err) ? -1 : 0;
}

int ckpt_read_ipc(struct ckpt_reader *r, const struct ckpt_held_proc *p, struct ckpt_err *err)
{
	struct look l = { .r = r, .p = p };

	l.ipc = ckpt_grow(r->image->ipc, &r->image->n_ipc, sizeof(*l.ipc));
	if (!l.ipc)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an ipc namespace");
	r->image->ipc = l.ipc;
	return ckpt_inside(p->dir, "ipc", look, &l, err);
}
