// SPDX-License-Identifier: GPL-2.0-or-later
/* Inside: into a namespace and out of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/inside.h"

/* Our own, by which this thread comes back. */
static int open_own(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int cannot_enter(const char *name, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot enter the %s namespace of the tree",
			 name);
}

static int come_back(int own, const char *name, struct ckpt_err *err)
{
	return setns(own, 0) ? ckpt_fail(err, CKPT_FAILED, errno,
					 "cannot leave the %s namespace of the tree", name) : 0;
}

int ckpt_inside_of(int theirs, const char *name, ckpt_inside_fn fn, void *arg,
		   struct ckpt_err *err)
{
	cleanup_close int own = open_own(name);
	int failed;

	if (own < 0 || setns(theirs, 0))
		return cannot_enter(name, err);
	failed = fn(arg, err);
	return come_back(own, name, err) ? -1 : failed;
}

int ckpt_inside(int dir, const char *name, ckpt_inside_fn fn, void *arg, struct ckpt_err *err)
{
	cleanup_close int theirs = -1;
	char file[32];

	snprintf(file, sizeof(file), "ns/%s", name);
	theirs = openat(dir, file, O_RDONLY | O_CLOEXEC);
	return theirs < 0 ? cannot_enter(name, err) : ckpt_inside_of(theirs, name, fn, arg, err);
}

int ckpt_inside_new(int flag, const char *name, ckpt_inside_fn fn, void *arg, struct ckpt_err *err)
{
	cleanup_close int own = open_own(name);
	int failed;

	if (own < 0 || unshare(flag))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a %s namespace", name);
	failed = fn(arg, err);
	return come_back(own, name, err) ? -1 : failed;
}
