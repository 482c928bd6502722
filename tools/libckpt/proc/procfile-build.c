// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of procfs that are of processes, and namespaces: opened in init when all are there. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"

int ckpt_build_procfiles(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];

		if (f->kind != CKPT_FILE_PROC)
			continue;
		if (ckpt_build_open(r, f->path, ckpt_build_open_flags(f), 0, i, err))
			return -1;
		if (f->pos &&
		    ckpt_site_call(&r->init_site, err, "set a file position", SYS_lseek,
				   ARGS(r->fd_base + i, f->pos, SEEK_SET)) < 0)
			return -1;
	}
	return 0;
}

/* Where the path leads to in the tree, by the numbers that its processes have here. */
static bool same_place(const struct ckpt_restore *r, const char *path, const struct stat *st)
{
	char own[4096];
	struct stat now;

	snprintf(own, sizeof(own), "/proc/%d/root%s", r->init.pid, path);
	return !stat(own, &now) && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

int ckpt_verify_procfile(const struct ckpt_restore *r, const struct ckpt_file *f, pid_t host,
			 int fd, struct ckpt_err *err)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", host, fd);
	if (stat(path, &st) || !same_place(r, f->path, &st))
		return NOT_AS_CAPTURED("it does not lead to %s", f->path);
	return 0;
}
