// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations on the content of files, by the group and by others
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "audit.h"

/* Below the root; names are few, so that they meet one another. */
const char *name(struct hand *h, char *buf)
{
	uint64_t dir = pick(h, FILE_DIRS + 1);

	if (dir == FILE_DIRS)
		snprintf(buf, 64, ROOT "/f%d", (int)pick(h, NAMES));
	else
		snprintf(buf, 64, ROOT "/d%d/f%d", (int)dir, (int)pick(h, NAMES));
	return buf;
}

static void random_buf(struct hand *h, char *buf, size_t len)
{
	size_t i;

	for (i = 0; i + 8 <= len; i += 8)
		*(uint64_t *)(void *)(buf + i) = rnd(&h->seed);
}

static int open_name(struct hand *h, int flags)
{
	bool create = false;
	char path[64];
	int fd;

	name(h, path);
	if (flags & O_CREAT)
		create = access(path, F_OK);
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0644);
	say(h, NULL, (uint64_t)fd);
	if (fd >= 0 && create)
		did(h, CHANGE_CREATE);
	return fd;
}

/* It was done to a descriptor, and worked if it was a file's. */
static void done(struct hand *h, int fd, bool good, enum change change)
{
	struct stat st;

	if (!good)
		h->entry->b = (uint64_t)errno;
	else if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		did(h, change);
}

static off_t anywhere(struct hand *h)
{
	return (off_t)pick(h, FILE_SIZE);
}

static void op_write(struct hand *h)
{
	char buf[4096];
	size_t len = 8 + pick(h, pick(h, 3) ? 64 : sizeof(buf) - 8);
	int fd = open_name(h, O_RDWR | (pick(h, 2) ? O_CREAT : 0) | (pick(h, 8) ? 0 : O_TRUNC));

	if (fd < 0)
		return;
	random_buf(h, buf, len);
	done(h, fd, pwrite(fd, buf, len, anywhere(h)) > 0, CHANGE_WRITE);
	close(fd);
}

static void op_append(struct hand *h)
{
	struct stat st;
	char buf[32];
	int fd = open_name(h, O_WRONLY | O_CREAT | O_APPEND);

	if (fd < 0)
		return;
	random_buf(h, buf, sizeof(buf));
	if (!fstat(fd, &st) && st.st_size < FILE_SIZE)
		done(h, fd, write(fd, buf, 1 + pick(h, 31)) > 0, CHANGE_APPEND);
	close(fd);
}

/* Held open over takes, then written once more. */
static void op_hold(struct hand *h)
{
	static __thread int held = -1;
	char c = (char)pick(h, 256);

	if (held < 0) {
		held = open_name(h, O_RDWR | O_CREAT);
		return;
	}
	done(h, held, pwrite(held, &c, 1, anywhere(h)) == 1, CHANGE_HELD);
	if (!pick(h, 4)) {
		close(held);
		held = -1;
	}
}

static void op_truncate(struct hand *h)
{
	char path[64];

	if (truncate(name(h, path), anywhere(h)))
		h->entry->b = (uint64_t)errno;
	else
		did(h, CHANGE_TRUNCATE);
}

static void op_allocate(struct hand *h)
{
	static const struct {
		int mode;
		enum change change;
	} way[] = {
		{ 0, CHANGE_ALLOCATE },
		{ FALLOC_FL_KEEP_SIZE, CHANGE_ALLOCATE },
		{ FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, CHANGE_PUNCH },
		{ FALLOC_FL_ZERO_RANGE, CHANGE_ZERO },
		{ FALLOC_FL_COLLAPSE_RANGE, CHANGE_COLLAPSE },
		{ FALLOC_FL_INSERT_RANGE, CHANGE_INSERT },
	};
	size_t i = pick(h, sizeof(way) / sizeof(way[0]));
	int fd = open_name(h, O_RDWR);

	if (fd < 0)
		return;
	done(h, fd, !fallocate(fd, way[i].mode, (off_t)(pick(h, 6) * PAGE), (off_t)PAGE),
	     way[i].change);
	close(fd);
}

/* By a name outside the root. */
static void op_beside(struct hand *h)
{
	char path[64], c = (char)pick(h, 256);
	int fd;

	snprintf(path, sizeof(path), BESIDE "/l%d", (int)pick(h, NAMES));
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return;
	say(h, NULL, (uint64_t)fd);
	done(h, fd, pwrite(fd, &c, 1, anywhere(h)) == 1, CHANGE_BESIDE);
	close(fd);
}

static void op_map(struct hand *h)
{
	int fd = open_name(h, O_RDWR);
	struct stat st;
	char *p;

	if (fd < 0)
		return;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size) {
		close(fd);
		return;
	}
	p = mmap(NULL, SOME_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	h->map = p;
	p[pick(h, (uint64_t)st.st_size)] = (char)rnd(&h->seed);
	did(h, CHANGE_MAPPED);
	if (pick(h, 2))
		usleep((useconds_t)pick(h, 20000));
	p[0] = (char)rnd(&h->seed);
}

static void store_and_leave(struct hand *h)
{
	int fd = open_name(h, O_RDWR);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size)
		return;
	p = mmap(NULL, SOME_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return;
	close(fd);
	p[pick(h, (uint64_t)st.st_size)] = (char)rnd(&h->seed);
	did(h, CHANGE_MAPPED_EXIT);
}

/* The mapping ends with its process, not by unmapping. */
static void op_map_exit(struct hand *h)
{
	pid_t pid = fork();

	if (!pid) {
		guarded(h, store_and_leave);
		_exit(0);
	}
	/* It is the child who says that it did. */
	h->missed = pid < 0;
	say(h, NULL, (uint64_t)pid);
}

static void op_aio_file(struct hand *h)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_nbytes = 64 };
	struct iocb *list = &cb;
	struct io_event event;
	aio_context_t aio = 0;
	char buf[64];
	int fd = open_name(h, O_RDWR);

	if (fd < 0)
		return;
	random_buf(h, buf, sizeof(buf));
	cb.aio_fildes = (uint32_t)fd;
	cb.aio_buf = (uintptr_t)buf;
	cb.aio_offset = anywhere(h);
	if (!syscall(SYS_io_setup, 1, &aio)) {
		if (syscall(SYS_io_submit, aio, 1, &list) == 1)
			done(h, fd, syscall(SYS_io_getevents, aio, 1, 1, &event, NULL) == 1 &&
			     event.res == 64, CHANGE_AIO);
		syscall(SYS_io_destroy, aio);
	}
	close(fd);
}

/* The descriptor is closed while it is under way, mostly. */
static void op_ring_file(struct hand *h)
{
	static __thread uint64_t buf[8];
	int fd, res;

	if (!ring_make(&h->file_ring, NULL, 0))
		return;
	if (h->file_ring.busy) {
		if (ring_done(&h->file_ring, false, &res) && res > 0)
			did(h, CHANGE_RING);
		return;
	}
	fd = open_name(h, O_RDWR);
	if (fd < 0)
		return;
	random_buf(h, (char *)buf, sizeof(buf));
	ring_write(&h->file_ring, fd, buf, sizeof(buf), anywhere(h));
	if (!pick(h, 4) && ring_done(&h->file_ring, true, &res) && res > 0)
		did(h, CHANGE_RING);
	close(fd);
}

/* Not waited for: a later operation of the same thread asks what came of it. */
static void op_direct_file(struct hand *h)
{
	static __thread char buf[PAGE] __attribute__((aligned(4096)));
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_nbytes = PAGE };
	struct iocb *list = &cb;
	struct io_event event;
	int fd;

	if (!h->file_aio && syscall(SYS_io_setup, 2, &h->file_aio))
		return;
	if (h->file_aio_busy) {
		if (syscall(SYS_io_getevents, h->file_aio, 0, 1, &event, NULL) == 1) {
			h->file_aio_busy = false;
			if (event.res == (int64_t)PAGE)
				did(h, CHANGE_DIRECT);
		}
		return;
	}
	fd = open_name(h, O_RDWR | O_DIRECT);
	if (fd < 0)
		return;
	random_buf(h, buf, sizeof(buf));
	cb.aio_fildes = (uint32_t)fd;
	cb.aio_buf = (uintptr_t)buf;
	cb.aio_offset = (int64_t)(pick(h, FILE_SIZE / PAGE) * PAGE);
	h->file_aio_busy = syscall(SYS_io_submit, h->file_aio, 1, &list) == 1;
	close(fd);
}

static void op_copy(struct hand *h)
{
	int from = open_name(h, O_RDONLY), to = open_name(h, O_RDWR | O_CREAT), pipefd[2];
	off_t at = anywhere(h);
	ssize_t got;

	if (from >= 0 && to >= 0 && pick(h, 2)) {
		done(h, to, copy_file_range(from, NULL, to, &at, 5000, 0) > 0, CHANGE_COPY);
	} else if (from >= 0 && to >= 0 && !pipe2(pipefd, O_CLOEXEC | O_NONBLOCK)) {
		got = splice(from, NULL, pipefd[1], NULL, 5000, SPLICE_F_NONBLOCK);
		if (got > 0)
			done(h, to, splice(pipefd[0], NULL, to, &at, (size_t)got,
					   SPLICE_F_NONBLOCK) > 0, CHANGE_SPLICE);
		close(pipefd[0]);
		close(pipefd[1]);
	}
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
}

const struct op file_ops[] = {
	{ "f-write", op_write, 40, -1 },
	{ "f-append", op_append, 30, -1 },
	{ "f-hold", op_hold, 12, -1 },
	{ "f-truncate", op_truncate, 8, -1 },
	{ "f-allocate", op_allocate, 24, -1 },
	{ "f-beside", op_beside, 12, -1 },
	{ "f-map", op_map, 12, -1 },
	{ "f-map-exit", op_map_exit, 4, -1 },
	{ "f-aio", op_aio_file, 8, -1 },
	{ "f-ring", op_ring_file, 12, -1 },
	{ "f-direct", op_direct_file, 8, -1 },
	{ "f-copy", op_copy, 8, -1 },
	{ },
};

/* A process that does nothing else, its writes slowed down. */
static void op_direct_slowly(struct hand *h)
{
	op_direct_file(h);
	usleep(15000);
}

const struct op direct_ops[] = {
	{ "direct-slowly", op_direct_slowly, 1, -1 },
	{ },
};
