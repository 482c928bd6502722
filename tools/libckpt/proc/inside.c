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

int ckpt_inside(int dir, const char *name, ckpt_inside_fn fn, void *arg, struct ckpt_err *err)
{
	cleanup_close int own = -1, theirs = -1;
	char file[32], path[64];
	int failed;

	snprintf(file, sizeof(file), "ns/%s", name);
	snprintf(path, sizeof(path), "/proc/thread-self/%s", file);
	own = open(path, O_RDONLY | O_CLOEXEC);
	theirs = openat(dir, file, O_RDONLY | O_CLOEXEC);
	if (own < 0 || theirs < 0 || setns(theirs, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot enter the %s namespace of the "
				 "tree", name);
	failed = fn(arg, err);
	if (setns(own, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot leave the %s namespace of the "
				 "tree", name);
	return failed;
}
