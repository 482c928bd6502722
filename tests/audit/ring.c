// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The least of io_uring: one request at a time, no library
 */
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>	/* struct iovec; <sys/uio.h> and <linux/fs.h> define the same */
#include <sys/syscall.h>
#include <unistd.h>

#include "audit.h"
#include "ring.h"

static void *part(const struct ring *r, size_t len, off_t at)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, at);

	/* A child would share the queues with its parent. */
	if (p != MAP_FAILED)
		madvise(p, len, MADV_DONTFORK);
	return p;
}

bool ring_make(struct ring *r, void *buf, size_t len)
{
	struct iovec buffer = { .iov_base = buf, .iov_len = len };
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	if (r->fd)
		return r->fd > 0;
	r->fd = (int)syscall(SYS_io_uring_setup, 2, &p);
	if (r->fd < 0)
		return false;
	sq = part(r, p.sq_off.array + p.sq_entries * sizeof(unsigned int), IORING_OFF_SQ_RING);
	cq = part(r, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
		  IORING_OFF_CQ_RING);
	r->sqes = part(r, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || r->sqes == MAP_FAILED ||
	    (len && syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_BUFFERS, &buffer, 1))) {
		close(r->fd);
		r->fd = -1;
		return false;
	}
	r->sq_tail = (void *)(sq + p.sq_off.tail);
	r->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	r->sq_array = (void *)(sq + p.sq_off.array);
	r->cq_head = (void *)(cq + p.cq_off.head);
	r->cq_tail = (void *)(cq + p.cq_off.tail);
	r->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	r->cqes = (void *)(cq + p.cq_off.cqes);
	return true;
}

static bool submit(struct ring *r, uint8_t opcode, int fd, uint64_t buf, size_t len, off_t at)
{
	unsigned int tail = *r->sq_tail, i = tail & *r->sq_mask;

	if (r->fd <= 0 || r->busy)
		return false;
	memset(&r->sqes[i], 0, sizeof(r->sqes[i]));
	r->sqes[i].opcode = opcode;
	r->sqes[i].fd = fd;
	r->sqes[i].addr = buf;
	r->sqes[i].len = (uint32_t)len;
	r->sqes[i].off = (uint64_t)at;
	r->sq_array[i] = i;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	r->busy = syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0) == 1;
	return r->busy;
}

bool ring_write(struct ring *r, int fd, const void *buf, size_t len, off_t at)
{
	return submit(r, IORING_OP_WRITE, fd, (uintptr_t)buf, len, at);
}

bool ring_read(struct ring *r, int fd, void *buf, size_t len, off_t at)
{
	return submit(r, IORING_OP_READ, fd, (uintptr_t)buf, len, at);
}

bool ring_read_fixed(struct ring *r, int fd, void *buf, size_t len, off_t at)
{
	return submit(r, IORING_OP_READ_FIXED, fd, (uintptr_t)buf, len, at);
}

bool ring_done(struct ring *r, bool wait, int *ret)
{
	unsigned int head = *r->cq_head;

	if (!r->busy)
		return false;
	if (head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE)) {
		if (!wait)
			return false;
		syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
		if (head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE))
			return false;
	}
	*ret = r->cqes[head & *r->cq_mask].res;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	r->busy = false;
	return true;
}
