/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spaces of pages: the one form in which a checkpoint holds content
 *
 * The memory of an address space, the content of a file, the listing of a
 * directory and the process records are each a space: 4 KiB pages with 36-bit
 * numbers, each absent, zero or data.  Capture writes into a page sink, restore
 * reads from a page source; the store implements both, tests implement them
 * in memory.
 */
#ifndef CKPT_BASE_PAGES_H
#define CKPT_BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CKPT_PAGE_SHIFT 12
#define CKPT_PAGE_LEN 4096u
#define CKPT_SPACE_BITS 28
#define CKPT_SPACE_MAX ((1u << CKPT_SPACE_BITS) - 1)
#define CKPT_PAGE_MAX ((1ull << 36) - 1)

enum ckpt_page_kind {
	CKPT_PAGE_IS_ABSENT,	/* never captured: zeros, or what the mapped file holds */
	CKPT_PAGE_IS_ZERO,	/* captured, all zeros */
	CKPT_PAGE_IS_DATA,
};

/**
 * struct ckpt_sink - where captured pages go
 * @self: passed to the calls
 * @put: @count consecutive pages from @page on; the sink copies them, drops
 *	what equals the parent and turns zero pages into zero entries
 * @drop: pages [page, page + count) are absent now (count may cover the whole space)
 *
 * A page not put and not dropped keeps what the parent has.  A space that
 * the parent does not have starts absent everywhere.
 */
struct ckpt_sink {
	void *self;
	int (*put)(void *self, uint32_t space, uint64_t page, const void *data, size_t count,
		   struct ckpt_err *err);
	int (*drop)(void *self, uint32_t space, uint64_t page, uint64_t count,
		    struct ckpt_err *err);
	/* A space number never used before in this group; never 0, which means none. */
	int (*space_new)(void *self, uint32_t *ret_space, struct ckpt_err *err);
};

/**
 * struct ckpt_source - where the pages of one checkpoint come from
 * @get: one page into @data (4096 bytes; zeros when absent or zero); every
 *	byte was checked against its block's hash
 * @next: first page >= *page of @space that is not absent, with the number of
 *	consecutive pages of the same kind; returns 1 found, 0 none, -1 error
 * @peek: several pages at once: of the *@count from @page on as many, one at least, as are of one
 *	kind and lie one behind the other; @ret: until the next call; NULL: only @get is there
 * @fork: the same pages for another thread; @ret is closed by its @close, before this one
 *	ends, and this one is not used meanwhile; NULL: one thread at a time
 * @close: of what @fork made
 */
struct ckpt_source {
	void *self;
	int (*get)(void *self, uint32_t space, uint64_t page, void *data,
		   enum ckpt_page_kind *ret_kind, struct ckpt_err *err);
	int (*next)(void *self, uint32_t space, uint64_t *page, uint64_t *ret_count,
		    enum ckpt_page_kind *ret_kind, struct ckpt_err *err);
	int (*peek)(void *self, uint32_t space, uint64_t page, size_t *count, const uint8_t **ret,
		    enum ckpt_page_kind *ret_kind, struct ckpt_err *err);
	int (*fork)(void *self, struct ckpt_source *ret, struct ckpt_err *err);
	void (*close)(void *self);
};

/* Copy @n consecutive pages to @data, whatever kind they are. */
int ckpt_source_copy(const struct ckpt_source *source, uint32_t space, uint64_t page, size_t n,
		     uint8_t *data, struct ckpt_err *err);

/* A byte string as a space: padded with zeros, the length kept by the caller. */
int ckpt_blob_put(const struct ckpt_sink *sink, uint32_t space, const void *data, size_t len,
		  struct ckpt_err *err);
/* Append the @len bytes of a space to @ret. */
int ckpt_blob_get(const struct ckpt_source *source, uint32_t space, size_t len,
		  struct ckpt_buf *ret, struct ckpt_err *err);

#endif
