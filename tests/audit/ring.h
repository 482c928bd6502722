/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least of io_uring: one request at a time, no library
 */
#ifndef TESTS_AUDIT_RING_H
#define TESTS_AUDIT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct io_uring_sqe;
struct io_uring_cqe;

/**
 * struct ring - one ring with room for one request
 * @fd: 0: not made yet, -1: not to be had
 * @busy: a request is under way
 */
struct ring {
	int fd;
	bool busy;
	unsigned int *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

/* Make it, with a buffer registered for ring_read_fixed(); @len of 0: without. */
bool ring_make(struct ring *r, void *buf, size_t len);
/* Start one; false if one is under way or it is refused. */
bool ring_write(struct ring *r, int fd, const void *buf, size_t len, off_t at);
bool ring_read(struct ring *r, int fd, void *buf, size_t len, off_t at);
/* Into the registered buffer, which stays pinned: no fault, and no entry is looked at. */
bool ring_read_fixed(struct ring *r, int fd, void *buf, size_t len, off_t at);
/* Is the one under way done?  Waits for it if asked to; @ret: what came of it. */
bool ring_done(struct ring *r, bool wait, int *ret);

#endif
