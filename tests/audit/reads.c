// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads that write memory behind the mapping's back
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "audit.h"

static char *target(struct hand *h, size_t *ret_len, off_t *ret_from)
{
	size_t n = 1 + pick(h, 8);

	*ret_len = n * PAGE;
	*ret_from = (off_t)(pick(h, 4 * SOME_PAGES - n) * PAGE);
	return REGION(KIND_DIRECT) + pick(h, SOME_PAGES - n + 1) * PAGE;
}

static void op_direct(struct hand *h)
{
	size_t len;
	off_t from;
	char *p = target(h, &len, &from);

	say(h, p, len);
	if (pread(files.direct, p, len, from) < 0)
		missed(h);
}

/* Reaped by a later operation of the same thread. */
static void op_aio(struct hand *h)
{
	struct iocb cb = { .aio_fildes = (uint32_t)files.direct,
			   .aio_lio_opcode = IOCB_CMD_PREAD };
	struct iocb *list = &cb;
	struct io_event event;
	size_t len;
	off_t from;

	missed(h);
	if (!h->aio && syscall(SYS_io_setup, 4, &h->aio))
		return;
	if (h->aio_busy) {
		if (syscall(SYS_io_getevents, h->aio, 0, 1, &event, NULL) == 1)
			h->aio_busy = false;
		return;
	}
	cb.aio_buf = (uintptr_t)target(h, &len, &from);
	cb.aio_nbytes = len;
	cb.aio_offset = from;
	say(h, (void *)(uintptr_t)cb.aio_buf, len);
	/* So that the take that comes meanwhile clears something. */
	if (pick(h, 2))
		scribble(h, (char *)(uintptr_t)cb.aio_buf, len);
	h->aio_busy = syscall(SYS_io_submit, h->aio, 1, &list) == 1;
	h->missed = !h->aio_busy;
}

static void op_direct_other(struct hand *h)
{
	char *p = REGION(KIND_DIRECT) + pick(h, SOME_PAGES) * PAGE;

	say(h, p, PAGE);
	if (pick(h, 4))
		scribble(h, p, PAGE);
	else
		madvise(p, PAGE, pick(h, 2) ? MADV_DONTNEED : MADV_PAGEOUT);
}

/* The same by io_uring. */
static void op_ring_read(struct hand *h)
{
	size_t len;
	off_t from;
	char *p;
	int res;

	missed(h);
	if (h->thread || !ring_make(&h->read_ring, REGION(KIND_PINNED), SOME_PAGES * PAGE))
		return;
	if (h->read_ring.busy) {
		ring_done(&h->read_ring, false, &res);
		return;
	}
	p = target(h, &len, &from);
	if (pick(h, 2))
		scribble(h, p, len);
	say(h, p, len);
	h->missed = !ring_read(&h->read_ring, files.direct, p, len, from);
}

/* Into a buffer that the kernel has pinned for good; the file is in memory. */
static void op_ring_fixed(struct hand *h)
{
	char *p = REGION(KIND_PINNED) + pick(h, SOME_PAGES) * PAGE;
	int res;

	say(h, p, PAGE);
	if (h->thread || !pick(h, 4)) {
		scribble(h, p, PAGE);
		return;
	}
	missed(h);
	if (!ring_make(&h->read_ring, REGION(KIND_PINNED), SOME_PAGES * PAGE))
		return;
	if (h->read_ring.busy)
		ring_done(&h->read_ring, false, &res);
	/* Of what is there no two pieces are the same. */
	h->missed = !ring_read_fixed(&h->read_ring, files.tmpfs, p + pick(h, PAGE - 64), 64,
				     (off_t)pick(h, SOME_PAGES * PAGE - 64));
}

const struct op read_ops[] = {
	{ "direct", op_direct, 3, -1 },
	{ "aio", op_aio, 40, -1 },
	{ "direct-other", op_direct_other, 16, -1 },
	{ "ring-read", op_ring_read, 24, -1 },
	{ "ring-fixed", op_ring_fixed, 40, -1 },
	{ },
};
