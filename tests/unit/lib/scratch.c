// SPDX-License-Identifier: GPL-2.0-or-later
/* Scratch: a folder of this run. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/refused.h"
#include "lib/scratch.h"
#include "proc/restore.h"

char scratch_dir[64];

int scratch_make(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(scratch_dir, sizeof(scratch_dir), "%s/ckpt-XXXXXX", base ? base : "/tmp");
	return mkdtemp(scratch_dir) ? 0 : -1;
}

/* The last one below it, if there is any. */
static bool unmount_last(void)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	size_t len = strlen(scratch_dir);
	char last[512] = "";
	struct mntent *m;

	while (f && (m = getmntent(f))) {
		if (!strncmp(m->mnt_dir, scratch_dir, len) && m->mnt_dir[len] == '/')
			snprintf(last, sizeof(last), "%s", m->mnt_dir);
	}
	if (f)
		endmntent(f);
	return last[0] && !umount2(last, MNT_DETACH);
}

void scratch_empty(void)
{
	char command[128];

	while (unmount_last())
		;
	snprintf(command, sizeof(command), "rm -rf --one-file-system %s/*", scratch_dir);
	assert_int_equal(system(command), 0);
}

int scratch_remove(void **state)
{
	(void)state;
	scratch_empty();
	return rmdir(scratch_dir);
}

const char *scratch(const char *name)
{
	static char paths[16][128];
	static size_t turn;
	char *path = paths[turn++ % 16];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch_dir, name);
	return path;
}

int scratch_mkdir(const char *name)
{
	return mkdir(scratch(name), 0755) && errno != EEXIST ? -1 : 0;
}

int scratch_touch(const char *name)
{
	int fd = open(scratch(name), O_CREAT | O_RDWR | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : close(fd);
}

void scratch_pretend(const char *file, const char *text)
{
	const char *says = scratch("setting");
	cleanup_close int fd = open(says, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(says, file, NULL, MS_BIND, NULL))
		_exit(2);
}

struct preflight {
	const struct ckpt_restore_params params;
	const char *file, *text;
};

static int preflight(void *arg, struct ckpt_err *err)
{
	const struct preflight *p = arg;

	scratch_pretend(p->file, p->text);
	return ckpt_restore_preflight(&p->params, err);
}

void scratch_preflight(struct ckpt_image *image, const char *file, const char *text,
		       const char *says)
{
	struct preflight p = { .params = { .image = image }, .file = file, .text = text };

	refused_aside(preflight, &p, says);
}
