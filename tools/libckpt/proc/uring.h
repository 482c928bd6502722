/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io_uring: the memory that a ring shares with its program, and how it is reached
 *
 * There are two layouts: older kernels (6.1) keep heads and tails in cache lines of their own.  A
 * program has the offsets in its own memory, so a restore looks whether this kernel has them, too.
 */
#ifndef CKPT_PROC_URING_H
#define CKPT_PROC_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/image.h"

/* Words at the start of the ring. */
enum ckpt_uring_word {
	CKPT_URING_SQ_HEAD,
	CKPT_URING_SQ_TAIL,
	CKPT_URING_CQ_HEAD,
	CKPT_URING_CQ_TAIL,
	CKPT_URING_SQ_MASK,
	CKPT_URING_CQ_MASK,
	CKPT_URING_SQ_ENTRIES,
	CKPT_URING_CQ_ENTRIES,
	CKPT_URING_SQ_DROPPED,
	CKPT_URING_SQ_FLAGS,
	CKPT_URING_CQ_FLAGS,
	CKPT_URING_CQ_OVERFLOW,
};

#define CKPT_URING_LINE 64u		/* of the cache */
#define CKPT_URING_CQE_LEN 16u
#define CKPT_URING_SQE_LEN 64u

#define CKPT_URING_RING 0x0ull		/* where the parts are mapped from */
#define CKPT_URING_CQ_RING 0x8000000ull	/* the same as above, by its old name */
#define CKPT_URING_SQES 0x10000000ull

/* A smaller ring does not show the size of its requests and completions. */
#define CKPT_URING_SQ_LEAST 64u
#define CKPT_URING_CQ_LEAST 128u
#define CKPT_URING_SQ_MOST 32768u
#define CKPT_URING_CQ_MOST 65536u
/* Requests made so far: a restore makes as many, one at a time. */
#define CKPT_URING_MADE_MOST (1u << 24)

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1u << 16)
#endif

/* Bytes of the parts, whole pages. */
size_t ckpt_uring_ring_len(const struct ckpt_uring *u);
size_t ckpt_uring_sqes_len(const struct ckpt_uring *u);
/* Offsets of a word, of the completions, and of the array of requests. */
static inline size_t ckpt_uring_at(const struct ckpt_uring *u, enum ckpt_uring_word w)
{
	if (!u->spread)
		return w * sizeof(uint32_t);
	return w < CKPT_URING_SQ_MASK ? w * CKPT_URING_LINE :
	       4 * CKPT_URING_LINE + (w - CKPT_URING_SQ_MASK) * sizeof(uint32_t);
}

static inline size_t ckpt_uring_cqes(const struct ckpt_uring *u)
{
	return u->spread ? 5 * CKPT_URING_LINE : CKPT_URING_LINE;
}

static inline size_t ckpt_uring_array(const struct ckpt_uring *u)
{
	return ckpt_uring_cqes(u) + (size_t)u->cq_entries * CKPT_URING_CQE_LEN;
}

static inline uint32_t ckpt_uring_word(const struct ckpt_uring *u, enum ckpt_uring_word w)
{
	return *(const uint32_t *)(u->ring + ckpt_uring_at(u, w));
}

/**
 * struct ckpt_uring_view - a ring in our own memory
 * @ring: its words and completions
 * @sqes: its requests
 */
struct ckpt_uring_view {
	volatile uint32_t *ring;
	uint8_t *sqes;
	size_t ring_len, sqes_len;
};

/* A word of it, which is @u. */
static inline volatile uint32_t *ckpt_uring_in(const struct ckpt_uring_view *view,
					       const struct ckpt_uring *u,
					       enum ckpt_uring_word w)
{
	return view->ring + ckpt_uring_at(u, w) / sizeof(uint32_t);
}

/* Has this kernel the older layout? Return: 1, 0, or -1 with errno: it makes no rings. */
int ckpt_uring_spread(void);
/* @fd is one of ours. Return: 0, or -1 with errno. */
int ckpt_uring_map(int fd, const struct ckpt_uring *u, struct ckpt_uring_view *ret);
void ckpt_uring_unmap(struct ckpt_uring_view *view);
/* Is there a page @page of a part? Return: 1, 0, or -1: it cannot be told. */
int ckpt_uring_has_page(int fd, uint64_t part, size_t page);

/* Make one like @u, empty. Return: descriptor, or -1 with errno; ENOTSUP: of another layout. */
int ckpt_uring_make(const struct ckpt_uring *u);
/* uring-check.c: has @t a descriptor of @file? */
bool ckpt_uring_held(const struct ckpt_image *image, const struct ckpt_task *t, uint32_t file);

#endif
