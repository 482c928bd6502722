// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Content of memory without a name: written into it, and compared
 *
 * Behind the end of its last page there is memory as well, which only a mapping shows.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"

#define BATCH 256u	/* pages moved at a time: 1 MiB */

/**
 * struct content - an open piece of memory and what it is to hold
 * @expected, @found: BATCH pages each
 */
struct content {
	struct ckpt_restore *r;
	const struct ckpt_shm *shm;
	int fd;
	uint8_t *expected, *found;
};

typedef int (*batch_fn)(const struct content *c, uint64_t page, size_t n, struct ckpt_err *err);

static int damaged(const struct ckpt_shm *s, uint64_t at, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_DAMAGED, 0,
			 "shared memory%s%s is not what the checkpoint holds at 0x%lx",
			 s->name ? " of memfd " : "", s->name ? s->name : "", at);
}

/* Bytes of @n pages from @page on that lie before the end. */
static size_t inside(const struct ckpt_shm *s, uint64_t page, size_t n)
{
	uint64_t at = page * CKPT_PAGE_LEN, left = s->size > at ? s->size - at : 0;

	return left < n * CKPT_PAGE_LEN ? left : n * CKPT_PAGE_LEN;
}

static uint8_t *map_page(const struct content *c, uint64_t page, int prot, struct ckpt_err *err)
{
	void *at = mmap(NULL, CKPT_PAGE_LEN, prot, MAP_SHARED, c->fd, page * CKPT_PAGE_LEN);

	if (at != MAP_FAILED)
		return at;
	ckpt_fail(err, CKPT_FAILED, errno, "cannot map shared memory");
	return NULL;
}

static int place(const struct content *c, uint64_t page, size_t n, struct ckpt_err *err)
{
	size_t len = inside(c->shm, page, n), done = 0, rest = n * CKPT_PAGE_LEN - len;
	uint8_t *last;

	if (rest >= CKPT_PAGE_LEN)
		return damaged(c->shm, c->shm->size, err);
	while (done < len) {
		ssize_t w = pwrite(c->fd, c->expected + done, len - done,
				   page * CKPT_PAGE_LEN + done);

		if (w <= 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot fill shared memory");
		done += w;
	}
	if (!rest)
		return 0;
	last = map_page(c, page + n - 1, PROT_READ | PROT_WRITE, err);
	if (!last)
		return -1;
	memcpy(last + CKPT_PAGE_LEN - rest, c->expected + len, rest);
	munmap(last, CKPT_PAGE_LEN);
	return 0;
}

static int compare(const struct content *c, uint64_t page, size_t n, struct ckpt_err *err)
{
	size_t len = inside(c->shm, page, n), rest = n * CKPT_PAGE_LEN - len;
	uint8_t *last;
	int differs;

	if (pread(c->fd, c->found, len, page * CKPT_PAGE_LEN) != (ssize_t)len ||
	    memcmp(c->expected, c->found, len))
		return damaged(c->shm, page * CKPT_PAGE_LEN, err);
	if (!rest)
		return 0;
	last = map_page(c, page + n - 1, PROT_READ, err);
	if (!last)
		return -1;
	differs = memcmp(last + CKPT_PAGE_LEN - rest, c->expected + len, rest);
	munmap(last, CKPT_PAGE_LEN);
	return differs ? damaged(c->shm, c->shm->size, err) : 0;
}

static int each_batch(const struct content *c, uint64_t page, uint64_t count, batch_fn fn,
		      struct ckpt_err *err)
{
	const struct ckpt_source *source = c->r->source;
	enum ckpt_page_kind kind;
	size_t n, i;

	for (; count; page += n, count -= n) {
		n = count < BATCH ? count : BATCH;
		for (i = 0; i < n; i++) {
			if (source->get(source->self, c->shm->space, page + i,
					c->expected + i * CKPT_PAGE_LEN, &kind, err))
				return -1;
		}
		if (fn(c, page, n, err))
			return -1;
	}
	return 0;
}

/* Nothing but zeros from one page to another one; holes are not filled by looking. */
static int compare_zeros(const struct content *c, uint64_t page, uint64_t end,
			 struct ckpt_err *err)
{
	size_t n;
	off_t at;

	memset(c->expected, 0, BATCH * CKPT_PAGE_LEN);
	for (; page < end; page += n) {
		at = lseek(c->fd, page * CKPT_PAGE_LEN, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 :
			       ckpt_fail(err, CKPT_FAILED, errno, "cannot seek in shared memory");
		page = (uint64_t)at / CKPT_PAGE_LEN;
		if (page >= end)
			return 0;
		n = end - page < BATCH ? end - page : BATCH;
		if (compare(c, page, n, err))
			return -1;
	}
	return 0;
}

static void content_done(struct content *c)
{
	free(c->expected);
	free(c->found);
}

static int content_init(struct content *c, struct ckpt_err *err)
{
	c->expected = malloc(BATCH * CKPT_PAGE_LEN);
	c->found = malloc(BATCH * CKPT_PAGE_LEN);
	return c->expected && c->found ? 0 :
	       ckpt_fail(err, CKPT_FAILED, 0, "no memory to fill shared memory");
}

/* All runs of data through @fn; with @zeros what lies between is looked at as well. */
static int each_run(const struct content *c, batch_fn fn, bool zeros, struct ckpt_err *err)
{
	const struct ckpt_source *source = c->r->source;
	uint64_t end = (c->shm->size + CKPT_PAGE_LEN - 1) / CKPT_PAGE_LEN;
	uint64_t page = 0, before = 0, count;
	enum ckpt_page_kind kind;
	int more = 0;

	while (c->shm->space && (more = source->next(source->self, c->shm->space, &page, &count,
						     &kind, err)) > 0) {
		if (kind == CKPT_PAGE_IS_DATA) {
			if ((zeros && compare_zeros(c, before, page, err)) ||
			    each_batch(c, page, count, fn, err))
				return -1;
			before = page + count;
		}
		page += count;
	}
	if (more < 0)
		return -1;
	return zeros && before < end ? compare_zeros(c, before, end, err) : 0;
}

int ckpt_shm_fill(struct ckpt_restore *r, const struct ckpt_shm *s, int fd, struct ckpt_err *err)
{
	cleanup_with(content_done) struct content c = { .r = r, .shm = s, .fd = fd };

	return content_init(&c, err) || each_run(&c, place, false, err) ? -1 : 0;
}

int ckpt_shm_compare(struct ckpt_restore *r, const struct ckpt_shm *s, int fd,
		     struct ckpt_err *err)
{
	cleanup_with(content_done) struct content c = { .r = r, .shm = s, .fd = fd };

	return content_init(&c, err) || each_run(&c, compare, true, err) ? -1 : 0;
}
