// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes behind the back: direct I/O that is under way while its caller stands still
 *
 * A system call that waits for its direct I/O has ended before its thread stands.  What goes on
 * is asynchronous: rings, and devices that reach into memory by themselves.  They are known by
 * the descriptors and areas that belong to them.
 *
 * An io_uring does nothing by itself: a request takes hold of the memory that it will write by a
 * fault, which says "written", and has ended when its completion is there.  So one of which as many
 * requests have ended as were made, now and at the round before, has written nothing behind our
 * back in between.  One that has buffers registered took hold of them once and for all.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <unistd.h>

#include "base/cleanup.h"
#include "track/notes.h"

#define RING_LINK "anon_inode:[io_uring]"
#define FDINFO_MOST 16384	/* what does not fit in there is not known */

/* Documentation/admin-guide/devices.txt */
#define MEM_MAJOR 1	/* null and its like, */
#define MEM_MINOR 1	/* but the machine's own memory */
#define TTY_MAJOR 4
#define TTYAUX_MAJOR 5
#define PTY_FIRST 136
#define PTY_LAST 143

bool ckpt_notes_plain_device(dev_t dev)
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

/* Text behind "@key:" at the start of a line, or NULL. */
static const char *field(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, key, len) && p[len] == ':')
			return p + len + 1;
	}
	return NULL;
}

/* A number that must be there, as text; -2 without one. */
static long long number(const char *text, const char *key)
{
	const char *at = field(text, key);
	char *end;
	long long value = at ? strtoll(at, &end, 10) : -2;

	return at && end != at ? value : -2;
}

/* Is there a list, and nothing in it?  What is in a list is indented. */
static bool empty_list(const char *text, const char *key)
{
	const char *at = field(text, key);

	return at && at[0] == '\n' && at[1] != ' ';
}

/* Does it write to no memory, and can it not but by new requests? @text: its fdinfo */
static bool at_rest(const char *text)
{
	long long made = number(text, "CachedSqHead");

	return made >= 0 && number(text, "CachedCqTail") == made && !number(text, "UserBufs") &&
	       number(text, "SqThread") == -1 && empty_list(text, "PollList") &&
	       empty_list(text, "CqOverflowList");
}

/* One at rest is added to @rings by its inode, which no other has. */
static bool plain_ring(int dir, const char *name, struct ckpt_buf *rings)
{
	cleanup_free char *text = malloc(FDINFO_MOST);
	cleanup_close int fd = -1;
	uint64_t ino;
	char path[300];
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "../fdinfo/%s", name);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 || !text ? -1 : read(fd, text, FDINFO_MOST - 1);
	if (n <= 0 || fstatat(dir, name, &st, 0))
		return false;
	text[n] = 0;
	ino = st.st_ino;
	if (!at_rest(text))
		return false;
	ckpt_buf_put(rings, &ino, sizeof(ino));
	return !rings->failed;
}

static bool has_ring(const uint8_t *rings, size_t len, uint64_t ino)
{
	for (size_t i = 0; i < len; i += sizeof(ino)) {
		if (!memcmp(rings + i, &ino, sizeof(ino)))
			return true;
	}
	return false;
}

/* One that is mapped has a descriptor here that tells of it, from @own on in @rings. */
static bool mapped_rings_known(const char *maps, const struct ckpt_buf *rings, size_t own)
{
	for (const char *line = maps; line && *line; line = strchrnul(line, '\n')) {
		unsigned long long ino;
		const char *end;

		line += *line == '\n';
		end = strchrnul(line, '\n');
		if (!memmem(line, end - line, RING_LINK, strlen(RING_LINK)))
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %llu", &ino) != 1 ||
		    !has_ring(rings->data + own, rings->len - own, ino))
			return false;
	}
	return true;
}

bool ckpt_notes_ring_gone(const struct ckpt_buf *before, const struct ckpt_buf *now)
{
	for (size_t i = 0; i < before->len; i += sizeof(uint64_t)) {
		uint64_t ino;

		memcpy(&ino, before->data + i, sizeof(ino));
		if (!has_ring(now->data, now->len, ino))
			return true;
	}
	return false;
}

static bool plain_fd(int dir, const char *name, struct ckpt_buf *rings)
{
	char link[64];
	struct stat st;
	ssize_t n = readlinkat(dir, name, link, sizeof(link) - 1);

	if (n < 0)
		return errno == ENOENT;
	link[n] = 0;
	if (!strcmp(link, RING_LINK))
		return plain_ring(dir, name, rings);
	if (link[0] != '/')
		return plain_object(link);
	return !fstatat(dir, name, &st, 0) &&
	       (!S_ISCHR(st.st_mode) || ckpt_notes_plain_device(st.st_rdev));
}

bool ckpt_notes_behind(int32_t pid, const char *maps, struct ckpt_buf *rings)
{
	cleanup_closedir DIR *dir = NULL;
	const size_t own = rings->len;
	struct dirent *d;
	char path[64];

	if (!maps || strstr(maps, " /[aio]"))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return true;
	while ((d = readdir(dir))) {
		if (d->d_name[0] != '.' && !plain_fd(dirfd(dir), d->d_name, rings))
			return true;
	}
	return !mapped_rings_known(maps, rings, own);
}
