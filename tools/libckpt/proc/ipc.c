// SPDX-License-Identifier: GPL-2.0-or-later
/* Settings of an ipc namespace. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/ipc.h"
#include "proc/procfs.h"

static const char *const names[] = {
	"kernel/shmmax", "kernel/shmall", "kernel/shmmni", "kernel/shm_rmid_forced",
	"kernel/msgmax", "kernel/msgmni", "kernel/msgmnb", "kernel/sem",
	"fs/mqueue/queues_max", "fs/mqueue/msg_max", "fs/mqueue/msgsize_max",
	"fs/mqueue/msg_default", "fs/mqueue/msgsize_default",
	/* what somebody has asked for and nobody has made yet */
	"kernel/shm_next_id", "kernel/sem_next_id", "kernel/msg_next_id",
};

/* Of the last: nothing is asked for. */
#define UNASKED "-1"

#define N (sizeof(names) / sizeof(names[0]))

int ckpt_ipc_place(const char *name)
{
	for (size_t i = 0; i < N; i++) {
		if (!strcmp(names[i], name))
			return (int)i;
	}
	return -1;
}

static int open_setting(const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	return open(path, flags | O_CLOEXEC);
}

/* Without the end of the line. Return: 0, or -errno. */
static int get(const char *name, char ret[CKPT_IPC_VALUE_MAX + 1])
{
	cleanup_close int fd = open_setting(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, CKPT_IPC_VALUE_MAX + 1);

	if (n < 0)
		return -errno;
	if (!n || ret[n - 1] != '\n')
		return -EOVERFLOW;
	ret[n - 1] = 0;
	return 0;
}

static int add(struct ckpt_ipc *ipc, const char *name, const char *value, struct ckpt_err *err)
{
	struct ckpt_ipc_setting *list = ckpt_grow(ipc->settings, &ipc->n_settings, sizeof(*list));
	struct ckpt_ipc_setting *s;

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of settings");
	ipc->settings = list;
	s = &list[ipc->n_settings - 1];
	s->name = strdup(name);
	s->value = strdup(value);
	return s->name && s->value ? 0 :
	       ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of settings");
}

int ckpt_ipc_get(struct ckpt_ipc *ret, struct ckpt_err *err)
{
	char value[CKPT_IPC_VALUE_MAX + 1];

	for (size_t i = 0; i < N; i++) {
		int e = get(names[i], value);

		if (e == -ENOENT || (!e && !strcmp(value, UNASKED)))
			continue;
		if (e)
			return ckpt_fail(err, CKPT_FAILED, -e, "cannot read /proc/sys/%s",
					 names[i]);
		if (add(ret, names[i], value, err))
			return -1;
	}
	return 0;
}

static int set_one(const struct ckpt_ipc_setting *s, struct ckpt_err *err)
{
	char now[CKPT_IPC_VALUE_MAX + 1] = "";
	cleanup_close int fd = -1;
	size_t len = strlen(s->value);

	if (!get(s->name, now) && !strcmp(now, s->value))
		return 0;
	fd = open_setting(s->name, O_WRONLY);
	if (fd < 0 || write(fd, s->value, len) != (ssize_t)len)
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "the tree has '%s' in its /proc/sys/%s, which cannot be set here",
				 s->value, s->name);
	return !get(s->name, now) && !strcmp(now, s->value) ? 0 :
	       ckpt_fail(err, CKPT_REFUSED, 0,
			 "the tree has '%s' in its /proc/sys/%s, here it becomes '%s'", s->value,
			 s->name, now);
}

int ckpt_ipc_set(const struct ckpt_ipc *ipc, struct ckpt_err *err)
{
	for (size_t i = 0; i < ipc->n_settings; i++) {
		if (set_one(&ipc->settings[i], err))
			return -1;
	}
	return 0;
}
