// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Namespaces that the tree has of its own beside pid, time and mount: init makes them and lives
 * in them, so that all are born there.  Before that the same is tried by a process that ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/procfs.h"
#include "proc/uts.h"

static int open_proc(pid_t pid, struct ckpt_err *err)
{
	char path[32];
	int dir;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path) : dir;
}

int ckpt_build_inside(const struct ckpt_restore *r, const char *name, ckpt_inside_fn fn, void *arg,
		      struct ckpt_err *err)
{
	cleanup_close int dir = open_proc(r->init.pid, err);

	return dir < 0 ? -1 : ckpt_inside(dir, name, fn, arg, err);
}

/* What init does, by somebody who ends then.  Return: 0, or errno. */
static int try(const struct ckpt_image *image)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(image->n_uts && (unshare(CLONE_NEWUTS) || ckpt_uts_set(image->uts)) ?
		      errno : 0);
	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) != pid) {
		if (errno != EINTR)
			return errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

int ckpt_namespaces_machine(const struct ckpt_image *image, struct ckpt_err *err)
{
	int failed = image->n_uts ? try(image) : 0;

	return failed ? ckpt_fail(err, CKPT_REFUSED, failed,
				  "the tree has a uts namespace of its own, which ckpt-tool cannot "
				  "make here") : 0;
}

static int verify_uts(void *arg, struct ckpt_err *err)
{
	const struct ckpt_image *image = arg;
	struct ckpt_uts now;

	if (ckpt_uts_get(&now, err))
		return -1;
	return memcmp(&now, image->uts, sizeof(now)) ?
	       NOT_AS_CAPTURED("the host or domain name is another one") : 0;
}

/* Does every task live in that of init, and is it not ours? */
static int verify_members(struct ckpt_restore *r, const char *name, struct ckpt_err *err)
{
	struct stat ours, init, st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &ours))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at %s", path);
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", r->init.pid, name);
	if (stat(path, &init) || init.st_ino == ours.st_ino)
		return NOT_AS_CAPTURED("the tree has no %s namespace of its own", name);
	for (size_t i = 0; i < r->image->n_tasks; i++) {
		if (r->tasks[i].task->state == CKPT_TASK_ZOMBIE)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", r->tasks[i].host, name);
		if (stat(path, &st) || st.st_ino != init.st_ino)
			return NOT_AS_CAPTURED("process %d is in another %s namespace",
					       r->tasks[i].task->pid, name);
	}
	return 0;
}

int ckpt_verify_namespaces(struct ckpt_restore *r, struct ckpt_err *err)
{
	if (!r->image->n_uts)
		return 0;
	return verify_members(r, "uts", err) ||
	       ckpt_build_inside(r, "uts", verify_uts, (void *)r->image, err) ? -1 : 0;
}
