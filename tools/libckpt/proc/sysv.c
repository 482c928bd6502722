// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Semaphores and message queues of System V, made in an ipc namespace that has none yet
 *
 * In a new namespace every id is free, so each is had by asking for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/ipc.h"

struct ckpt_ipc_id ckpt_ipc_id_of(int id, const struct ipc_perm *perm)
{
	return (struct ckpt_ipc_id){
		.id = id, .key = perm->__key, .uid = perm->uid, .gid = perm->gid,
		.cuid = perm->cuid, .cgid = perm->cgid, .mode = perm->mode & 0777,
	};
}

static int write_number(const char *path, int number)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", number);

	return fd >= 0 && write(fd, text, n) == n ? 0 : -errno;
}

static int get_as(const struct ckpt_ipc_id *id, int (*get)(const void *what), const void *what)
{
	if (syscall(SYS_setresgid, -1, id->cgid, -1) || syscall(SYS_setresuid, -1, id->cuid, -1))
		return -errno;
	return get(what) == id->id ? 0 : errno ? -errno : -EEXIST;
}

int ckpt_ipc_make(const char *kind, const struct ckpt_ipc_id *id, int (*get)(const void *what),
		  const void *what)
{
	char path[64];
	int failed, status;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s_next_id", kind);
	failed = write_number(path, id->id);
	if (failed)
		return failed;
	errno = 0;
	/* who makes it is its maker for good */
	if (id->cuid == geteuid() && id->cgid == getegid())
		return get_as(id, get, what);
	pid = fork();
	if (!pid)
		_exit(-get_as(id, get, what));
	while (pid > 0 && waitpid(pid, &status, 0) != pid) {
		if (errno != EINTR)
			return -errno;
	}
	return pid < 0 ? -errno : WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* What waits may be more than the settings, which come last, allow. */
static int widen(const struct ckpt_ipc *ipc, struct ckpt_err *err)
{
	static const char *const names[] = { "msgmax", "msgmnb" };
	char path[64];

	for (size_t i = 0; ipc->n_queues && i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/proc/sys/kernel/%s", names[i]);
		if (write_number(path, INT_MAX))
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot write %s", path);
	}
	return 0;
}

int ckpt_ipc_fill(const struct ckpt_ipc *ipc, struct ckpt_err *err)
{
	if (widen(ipc, err))
		return -1;
	for (size_t i = 0; i < ipc->n_sems; i++) {
		if (ckpt_sem_make(&ipc->sems[i], err))
			return -1;
	}
	for (size_t i = 0; i < ipc->n_queues; i++) {
		if (ckpt_message_queue_make(&ipc->queues[i], err))
			return -1;
	}
	return 0;
}

int ckpt_ipc_compare(const struct ckpt_ipc *ipc, struct ckpt_err *err)
{
	for (size_t i = 0; i < ipc->n_sems; i++) {
		if (ckpt_sem_compare(&ipc->sems[i], err))
			return -1;
	}
	for (size_t i = 0; i < ipc->n_queues; i++) {
		if (ckpt_message_queue_compare(&ipc->queues[i], err))
			return -1;
	}
	return 0;
}
