// SPDX-License-Identifier: GPL-2.0-or-later
/* io_uring: memory of a ring, and new rings. */
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/uio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "proc/uring.h"

static size_t whole_pages(size_t len)
{
	return (len + CKPT_PAGE_LEN - 1) & ~(size_t)(CKPT_PAGE_LEN - 1);
}

size_t ckpt_uring_ring_len(const struct ckpt_uring *u)
{
	return whole_pages(ckpt_uring_array(u) +
			   (u->no_array ? 0 : u->sq_entries * sizeof(uint32_t)));
}

size_t ckpt_uring_sqes_len(const struct ckpt_uring *u)
{
	return whole_pages((size_t)u->sq_entries * CKPT_URING_SQE_LEN);
}

int ckpt_uring_map(int fd, const struct ckpt_uring *u, struct ckpt_uring_view *ret)
{
	struct ckpt_uring_view v = {
		.ring_len = ckpt_uring_ring_len(u), .sqes_len = ckpt_uring_sqes_len(u),
	};
	const int prot = PROT_READ | PROT_WRITE;

	v.ring = mmap(NULL, v.ring_len, prot, MAP_SHARED, fd, CKPT_URING_RING);
	if (v.ring == MAP_FAILED)
		return -1;
	v.sqes = mmap(NULL, v.sqes_len, prot, MAP_SHARED, fd, CKPT_URING_SQES);
	if (v.sqes == MAP_FAILED) {
		munmap((void *)v.ring, v.ring_len);
		return -1;
	}
	*ret = v;
	return 0;
}

void ckpt_uring_unmap(struct ckpt_uring_view *view)
{
	if (!view->ring)
		return;
	munmap((void *)view->ring, view->ring_len);
	munmap(view->sqes, view->sqes_len);
	view->ring = NULL;
}

static bool readable(const uint8_t *at)
{
	uint8_t byte;
	struct iovec to = { &byte, 1 }, from = { (void *)at, 1 };

	return syscall(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0) == 1;
}

/* Some kernels refuse to map more than there is, others leave the rest empty. */
int ckpt_uring_has_page(int fd, uint64_t part, size_t page)
{
	size_t len = (page + 1) * CKPT_PAGE_LEN;
	uint8_t *at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, part);
	int ret;

	if (at == MAP_FAILED)
		return errno == EINVAL ? 0 : -1;
	ret = readable(at) ? readable(at + page * CKPT_PAGE_LEN) : -1;
	munmap(at, len);
	return ret;
}

static bool same_layout(const struct io_uring_params *p, const struct ckpt_uring *u)
{
	const struct io_sqring_offsets sq = {
		.head = ckpt_uring_at(u, CKPT_URING_SQ_HEAD),
		.tail = ckpt_uring_at(u, CKPT_URING_SQ_TAIL),
		.ring_mask = ckpt_uring_at(u, CKPT_URING_SQ_MASK),
		.ring_entries = ckpt_uring_at(u, CKPT_URING_SQ_ENTRIES),
		.flags = ckpt_uring_at(u, CKPT_URING_SQ_FLAGS),
		.dropped = ckpt_uring_at(u, CKPT_URING_SQ_DROPPED),
		.array = u->no_array ? 0 : ckpt_uring_array(u),
	};
	const struct io_cqring_offsets cq = {
		.head = ckpt_uring_at(u, CKPT_URING_CQ_HEAD),
		.tail = ckpt_uring_at(u, CKPT_URING_CQ_TAIL),
		.ring_mask = ckpt_uring_at(u, CKPT_URING_CQ_MASK),
		.ring_entries = ckpt_uring_at(u, CKPT_URING_CQ_ENTRIES),
		.overflow = ckpt_uring_at(u, CKPT_URING_CQ_OVERFLOW),
		.cqes = ckpt_uring_cqes(u),
		.flags = ckpt_uring_at(u, CKPT_URING_CQ_FLAGS),
	};

	return p->sq_entries == u->sq_entries && p->cq_entries == u->cq_entries &&
	       !memcmp(&p->sq_off, &sq, sizeof(sq)) && !memcmp(&p->cq_off, &cq, sizeof(cq));
}

int ckpt_uring_spread(void)
{
	struct io_uring_params p = { 0 };
	cleanup_close int fd = syscall(SYS_io_uring_setup, 1, &p);

	return fd < 0 ? -1 : p.sq_off.tail == CKPT_URING_LINE;
}

int ckpt_uring_make(const struct ckpt_uring *u)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_CQSIZE | (u->no_array ? IORING_SETUP_NO_SQARRAY : 0),
		.cq_entries = u->cq_entries,
	};
	cleanup_close int fd = syscall(SYS_io_uring_setup, u->sq_entries, &p);

	if (fd < 0)
		return -1;
	if (!same_layout(&p, u)) {
		errno = ENOTSUP;
		return -1;
	}
	return take_fd(fd);
}
