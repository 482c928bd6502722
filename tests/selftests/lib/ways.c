// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ways to change the content of a file, for tests
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/ways.h"
#include "lib/world.h"

#define HOT_PAGE 3
#define LONGEST (4 * PAGE)

static char *data;	/* LONGEST bytes, aligned */

/* Other bytes each time. */
static void fresh(uint64_t *state)
{
	size_t i;

	if (!data)
		data = map_anon(LONGEST, 0);
	for (i = 0; i < LONGEST; i += sizeof(uint64_t))
		*(uint64_t *)(void *)(data + i) = rnd(state);
}

static uint64_t size_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		die("fstat");
	return st.st_size;
}

static int done(ssize_t n)
{
	return n < 0 ? -errno : 0;
}

static int by_aio(int fd, uint64_t at, size_t len)
{
	struct iocb cb = {
		.aio_fildes = fd, .aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_buf = (uintptr_t)data, .aio_nbytes = len, .aio_offset = at,
	};
	struct iocb *list = &cb;
	struct io_event event = { 0 };
	aio_context_t ctx = 0;

	if (syscall(SYS_io_setup, 1, &ctx))
		return -errno;
	if (syscall(SYS_io_submit, ctx, 1, &list) != 1 ||
	    syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL) != 1 || event.res < 0)
		die("asynchronous write: %lld", (long long)event.res);
	syscall(SYS_io_destroy, ctx);
	return 0;
}

static int by_map(int fd, uint64_t page)
{
	char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page * PAGE);

	if (map == MAP_FAILED)
		return -errno;
	memcpy(map + 100, data, 200);
	return done(munmap(map, PAGE));
}

static int by_splice(int fd, uint64_t at)
{
	loff_t off = at;
	int p[2], ret;

	if (pipe(p) || write(p[1], data, PAGE) != PAGE)
		return -errno;
	ret = done(splice(p[0], NULL, fd, &off, PAGE, 0));
	close(p[0]);
	close(p[1]);
	return ret;
}

/* One write through a ring made for it. */
static int by_uring(int fd, uint64_t at, size_t len)
{
	struct io_uring_params p = { 0 };
	int ring = syscall(SYS_io_uring_setup, 1, &p), ret = 0;
	struct io_uring_sqe *sqe;
	size_t size;
	char *sq;

	if (ring < 0)
		return -errno;
	size = p.sq_off.array + p.sq_entries * sizeof(unsigned int);
	sq = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, p.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		   IORING_OFF_SQES);
	if (sq == MAP_FAILED || (void *)sqe == MAP_FAILED)
		die("map a ring");
	sqe[0].opcode = IORING_OP_WRITE;
	sqe[0].fd = fd;
	sqe[0].addr = (uintptr_t)data;
	sqe[0].len = len;
	sqe[0].off = at;
	*(unsigned int *)(void *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(void *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		ret = -errno;
	munmap(sqe, p.sq_entries * sizeof(*sqe));
	munmap(sq, size);
	close(ring);
	return ret;
}

static int by_copy(enum way way, int fd, int from, uint64_t at)
{
	loff_t in = 2 * PAGE, out = at;

	switch (way) {
	case WAY_COPY:
		return done(copy_file_range(from, &in, fd, &out, 3 * PAGE, 0));
	case WAY_SENDFILE:
		lseek(fd, at, SEEK_SET);
		return done(sendfile(fd, from, &in, 2 * PAGE));
	default:
		return done(ioctl(fd, FICLONE, from));
	}
}

int loop_attach(const char *path)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int fd = open(path, O_RDWR | O_CLOEXEC), loop;
	char name[32];

	snprintf(name, sizeof(name), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	loop = open(name, O_RDWR | O_CLOEXEC);
	if (loop < 0 || ioctl(loop, LOOP_SET_FD, fd))
		die("attach %s to %s", path, name);
	close(fd);
	close(control);
	return loop;
}

void loop_detach(int loop)
{
	if (ioctl(loop, LOOP_CLR_FD))
		die("detach a loop device");
	close(loop);
}

static int by_loop(enum way way, const char *path, uint64_t page)
{
	uint64_t range[2] = { page * PAGE, 2 * PAGE };
	int loop = loop_attach(path), ret;

	ret = done(ioctl(loop, way == WAY_DISCARD ? BLKDISCARD : BLKZEROOUT, range));
	loop_detach(loop);
	return ret;
}

/* @page: one of the file's; collapse and insert want whole pages and leave the end alone. */
static int by_length(enum way way, int fd, uint64_t page, uint64_t size, uint64_t *state)
{
	uint64_t at = page * PAGE;

	switch (way) {
	case WAY_PUNCH:
		return done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				      at + rnd(state) % 100, PAGE + rnd(state) % PAGE));
	case WAY_ZERO:
		return done(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				      at + rnd(state) % 100, 2 * PAGE));
	case WAY_COLLAPSE:
		return done(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, at / 2 & -PAGE, PAGE));
	case WAY_INSERT:
		return done(fallocate(fd, FALLOC_FL_INSERT_RANGE, at / 2 & -PAGE, PAGE));
	case WAY_SHRINK:
		return done(ftruncate(fd, size - 1 - rnd(state) % (2 * PAGE)));
	default:
		return done(ftruncate(fd, size + 1 + rnd(state) % (2 * PAGE)));
	}
}

static int by_pages(enum way way, int fd, uint64_t at, size_t len)
{
	struct iovec v[2] = { { data, len / 2 }, { data + len / 2, len - len / 2 } };

	switch (way) {
	case WAY_HOT:
		return done(pwrite(fd, data, 300, HOT_PAGE * PAGE + at % 1000));
	case WAY_APPEND:
		return done(write(fd, data, len));
	case WAY_WRITEV:
		lseek(fd, at, SEEK_SET);
		return done(syscall(SYS_writev, fd, v, 2));
	case WAY_PWRITEV2:
		return done(syscall(SYS_pwritev2, fd, v, 2, at, 0, 0));
	case WAY_AIO:
		return by_aio(fd, at, len);
	default:
		return done(pwrite(fd, data, len, at));
	}
}

const char *way_name(enum way way)
{
	static const char *const names[WAYS] = {
		[WAY_PWRITE] = "pwrite", [WAY_HOT] = "pwrite to a hot page",
		[WAY_APPEND] = "append", [WAY_WRITEV] = "writev", [WAY_PWRITEV2] = "pwritev2",
		[WAY_AIO] = "asynchronous write", [WAY_SPLICE] = "splice",
		[WAY_URING] = "io_uring", [WAY_DIRECT] = "direct write",
		[WAY_AIO_DIRECT] = "asynchronous direct write", [WAY_MAP] = "store to a mapping",
		[WAY_PUNCH] = "punch a hole", [WAY_ZERO] = "zero a range",
		[WAY_COLLAPSE] = "collapse a range", [WAY_INSERT] = "insert a range",
		[WAY_SHRINK] = "truncate", [WAY_GROW] = "truncate to more",
		[WAY_COPY] = "copy_file_range", [WAY_SENDFILE] = "sendfile",
		[WAY_CLONE] = "clone", [WAY_DISCARD] = "discard on a loop device",
		[WAY_ZEROOUT] = "zero on a loop device",
	};

	return names[way];
}

int way_go(enum way way, const char *path, const char *other, uint64_t *state)
{
	int flags = way == WAY_DIRECT || way == WAY_AIO_DIRECT ? O_DIRECT : 0;
	int fd = open(path, O_RDWR | O_CLOEXEC | flags | (way == WAY_APPEND ? O_APPEND : 0));
	int from = open(other, O_RDONLY | O_CLOEXEC), ret;
	size_t len = 1 + rnd(state) % LONGEST;
	uint64_t size, page;

	if (fd < 0 || from < 0)
		die("open %s and %s", path, other);
	fresh(state);
	size = size_of(fd);
	page = rnd(state) % (size / PAGE - 4);
	if (way < WAYS_BY_PAGES)
		ret = by_pages(way, fd, page * PAGE + rnd(state) % PAGE, len);
	else if (way == WAY_SPLICE)
		ret = by_splice(fd, page * PAGE + 7);
	else if (way == WAY_URING)
		ret = by_uring(fd, page * PAGE + 9, len);
	else if (way == WAY_DIRECT)
		ret = done(pwrite(fd, data, PAGE, page * PAGE));
	else if (way == WAY_AIO_DIRECT)
		ret = by_aio(fd, page * PAGE, 2 * PAGE);
	else if (way == WAY_MAP)
		ret = by_map(fd, page);
	else if (way < WAY_COPY)
		ret = by_length(way, fd, page, size, state);
	else if (way < WAY_DISCARD)
		ret = by_copy(way, fd, from, page * PAGE);
	else
		ret = by_loop(way, path, page);
	close(fd);
	close(from);
	return ret;
}
