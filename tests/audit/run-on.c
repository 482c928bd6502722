// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process outside the group that is not frozen in some epochs, and writes on below the root
 *
 * What it has open when the last round is taken must be told as suspect, since it changes after
 * that round.  Each thread has descriptors of its own: the group inherits none.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "audit.h"

static int open_file(int number, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), RUN_ON_FILES "%d", number);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
}

static void is_open(int number)
{
	__atomic_fetch_or(&audit->on_open, 1U << number, __ATOMIC_RELEASE);
}

static off_t anywhere(struct hand *h)
{
	return (off_t)(pick(h, FILE_SIZE / PAGE) * PAGE);
}

/* In flight nearly always. */
static void op_direct(struct hand *h)
{
	static __thread char buf[PAGE] __attribute__((aligned(4096)));
	static __thread int fd = -1;
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_nbytes = PAGE };
	struct iocb *list = &cb;
	struct io_event event;

	if (fd < 0) {
		fd = open_file(0, O_DIRECT);
		is_open(0);
	}
	if (!h->file_aio && syscall(SYS_io_setup, 2, &h->file_aio))
		return missed(h);
	if (h->file_aio_busy && syscall(SYS_io_getevents, h->file_aio, 1, 1, &event, NULL) == 1 &&
	    event.res != (int64_t)PAGE)
		missed(h);
	scribble(h, buf, PAGE);
	cb.aio_fildes = (uint32_t)fd;
	cb.aio_buf = (uintptr_t)buf;
	cb.aio_offset = (int64_t)anywhere(h);
	h->file_aio_busy = syscall(SYS_io_submit, h->file_aio, 1, &list) == 1;
}

static void op_write(struct hand *h)
{
	static __thread int fd = -1;
	char c = (char)rnd(&h->seed);

	if (fd < 0) {
		fd = open_file(1, 0);
		is_open(1);
	}
	if (pwrite(fd, &c, 1, anywhere(h)) != 1)
		missed(h);
}

static void op_store(struct hand *h)
{
	static __thread char *p;
	int fd;

	if (!p) {
		fd = open_file(2, 0);
		p = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (ftruncate(fd, FILE_SIZE) || close(fd) || p == MAP_FAILED)
			_exit(7);
		is_open(2);
	}
	scribble(h, p + anywhere(h), PAGE);
}

static void op_brief(struct hand *h)
{
	int fd = open_file(RUN_ON_HELD, 0);
	char c = (char)rnd(&h->seed);

	if (pwrite(fd, &c, 1, anywhere(h)) != 1)
		missed(h);
	close(fd);
}

/* It has two processors to share with all others. */
static void op_wait(struct hand *h)
{
	usleep((useconds_t)pick(h, 50000));
}

const struct op run_on_ops[] = {
	{ "on-direct", op_direct, 1, -1 },
	{ "on-write", op_write, 1, -1 },
	{ "on-store", op_store, 1, -1 },
	{ "on-brief", op_brief, 1, -1 },
	{ "on-wait", op_wait, 4, -1 },
	{ },
};
