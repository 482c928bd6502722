// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes behind the back: direct I/O that is under way while its caller stands still
 *
 * A system call that waits for its direct I/O has ended before its thread stands.  What goes on
 * is asynchronous: rings, and devices that reach into memory by themselves.  They are known by
 * the descriptors and areas that belong to them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "track/notes.h"

/* Documentation/admin-guide/devices.txt */
#define MEM_MAJOR 1	/* null and its like, */
#define MEM_MINOR 1	/* but the machine's own memory */
#define TTY_MAJOR 4
#define TTYAUX_MAJOR 5
#define PTY_FIRST 136
#define PTY_LAST 143

static bool plain_device(dev_t dev)
{
	unsigned int major = major(dev);

	return (major == MEM_MAJOR && minor(dev) > MEM_MINOR) || major == TTY_MAJOR ||
	       major == TTYAUX_MAJOR || (major >= PTY_FIRST && major <= PTY_LAST);
}

/* A descriptor that the kernel made without a file: which of them only count or wait. */
static bool plain_object(const char *link)
{
	static const char *const plain[] = {
		"[eventfd]", "[eventpoll]", "[timerfd]", "[signalfd]", "[pidfd]", "[fanotify]",
		"inotify",
	};
	static const char head[] = "anon_inode:";

	if (strncmp(link, head, sizeof(head) - 1))
		return true;	/* a pipe, a socket, a namespace */
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (!strcmp(link + sizeof(head) - 1, plain[i]))
			return true;
	}
	return false;
}

static bool plain_fd(int dir, const char *name)
{
	char link[64];
	struct stat st;
	ssize_t n = readlinkat(dir, name, link, sizeof(link) - 1);

	if (n < 0)
		return errno == ENOENT;
	link[n] = 0;
	if (link[0] != '/')
		return plain_object(link);
	return !fstatat(dir, name, &st, 0) && (!S_ISCHR(st.st_mode) || plain_device(st.st_rdev));
}

bool ckpt_notes_behind(int32_t pid, const char *maps)
{
	cleanup_closedir DIR *dir = NULL;
	struct dirent *d;
	char path[64];

	if (!maps || strstr(maps, " /[aio]") || strstr(maps, "anon_inode:[io_uring]"))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return true;
	while ((d = readdir(dir))) {
		if (d->d_name[0] != '.' && !plain_fd(dirfd(dir), d->d_name))
			return true;
	}
	return false;
}
