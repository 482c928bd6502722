/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page sink and source in memory, for tests of whoever writes or reads spaces. */
#ifndef CKPT_TESTS_MEMSTORE_H
#define CKPT_TESTS_MEMSTORE_H

#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

struct mem_page {
	uint64_t page;
	bool zero;
	uint8_t data[CKPT_PAGE_LEN];
};

/* The pages of a space, sorted by number. */
struct mem_space {
	struct mem_page **pages;
	size_t n, cap;
};

/**
 * struct memstore - one mutable set of spaces
 * @n_spaces: numbers handed out so far are 1..n_spaces
 * @puts: pages put since the test reset it
 * @flip: the space whose first data page reads with one byte changed, 0 none
 */
struct memstore {
	struct mem_space *spaces;
	uint32_t n_spaces;
	uint64_t puts;
	uint32_t flip;
};

static inline struct mem_space *mem_space(struct memstore *s, uint32_t space)
{
	if (space > s->n_spaces) {
		s->spaces = realloc(s->spaces, (space + 1) * sizeof(*s->spaces));
		memset(s->spaces + s->n_spaces + 1, 0, (space - s->n_spaces) * sizeof(*s->spaces));
		if (!s->n_spaces)
			memset(s->spaces, 0, sizeof(*s->spaces));
		s->n_spaces = space;
	}
	return &s->spaces[space];
}

/* Index of the first page >= @page. */
static inline size_t mem_find(const struct mem_space *sp, uint64_t page)
{
	size_t low = 0, high = sp->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (sp->pages[mid]->page < page)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static inline int mem_put(void *self, uint32_t space, uint64_t page, const void *data,
			  size_t count, struct ckpt_err *err)
{
	static const uint8_t zeros[CKPT_PAGE_LEN];
	struct memstore *s = self;
	struct mem_space *sp = mem_space(s, space);

	(void)err;
	s->puts += count;
	for (size_t i = 0; i < count; i++, page++) {
		size_t at = mem_find(sp, page);

		if (at == sp->n || sp->pages[at]->page != page) {
			if (sp->n == sp->cap) {
				sp->cap = sp->cap ? sp->cap * 2 : 4;
				sp->pages = realloc(sp->pages, sp->cap * sizeof(*sp->pages));
			}
			memmove(sp->pages + at + 1, sp->pages + at,
				(sp->n - at) * sizeof(*sp->pages));
			sp->pages[at] = malloc(sizeof(struct mem_page));
			sp->pages[at]->page = page;
			sp->n++;
		}
		memcpy(sp->pages[at]->data, (const uint8_t *)data + i * CKPT_PAGE_LEN,
		       CKPT_PAGE_LEN);
		sp->pages[at]->zero = !memcmp(sp->pages[at]->data, zeros, CKPT_PAGE_LEN);
	}
	return 0;
}

static inline int mem_drop(void *self, uint32_t space, uint64_t page, uint64_t count,
			   struct ckpt_err *err)
{
	struct mem_space *sp = mem_space(self, space);
	size_t from = mem_find(sp, page), to = mem_find(sp, page + count);

	(void)err;
	for (size_t i = from; i < to; i++)
		free(sp->pages[i]);
	if (to > from)
		memmove(sp->pages + from, sp->pages + to, (sp->n - to) * sizeof(*sp->pages));
	sp->n -= to - from;
	return 0;
}

static inline int mem_space_new(void *self, uint32_t *ret_space, struct ckpt_err *err)
{
	struct memstore *s = self;

	(void)err;
	*ret_space = s->n_spaces + 1;
	mem_space(s, *ret_space);
	return 0;
}

static inline int mem_get(void *self, uint32_t space, uint64_t page, void *data,
			  enum ckpt_page_kind *ret_kind, struct ckpt_err *err)
{
	struct memstore *s = self;
	struct mem_space *sp = mem_space(s, space);
	size_t at = mem_find(sp, page);

	(void)err;
	if (at == sp->n || sp->pages[at]->page != page) {
		memset(data, 0, CKPT_PAGE_LEN);
		*ret_kind = CKPT_PAGE_IS_ABSENT;
		return 0;
	}
	memcpy(data, sp->pages[at]->data, CKPT_PAGE_LEN);
	if (s->flip == space && !at)
		((uint8_t *)data)[0] ^= 1;
	*ret_kind = sp->pages[at]->zero ? CKPT_PAGE_IS_ZERO : CKPT_PAGE_IS_DATA;
	return 0;
}

static inline int mem_next(void *self, uint32_t space, uint64_t *page, uint64_t *ret_count,
			   enum ckpt_page_kind *ret_kind, struct ckpt_err *err)
{
	struct mem_space *sp = mem_space(self, space);
	size_t at = mem_find(sp, *page), end = at + 1;

	(void)err;
	if (at == sp->n)
		return 0;
	while (end < sp->n && sp->pages[end]->page == sp->pages[end - 1]->page + 1 &&
	       sp->pages[end]->zero == sp->pages[at]->zero)
		end++;
	*page = sp->pages[at]->page;
	*ret_count = end - at;
	*ret_kind = sp->pages[at]->zero ? CKPT_PAGE_IS_ZERO : CKPT_PAGE_IS_DATA;
	return 1;
}

static inline struct ckpt_sink mem_sink(struct memstore *s)
{
	return (struct ckpt_sink){ .self = s, .put = mem_put, .drop = mem_drop,
				   .space_new = mem_space_new };
}

/* Reading changes nothing: another thread may as well. */
static inline int mem_fork(void *self, struct ckpt_source *ret, struct ckpt_err *err)
{
	(void)err;
	*ret = (struct ckpt_source){ .self = self, .get = mem_get, .next = mem_next };
	return 0;
}

static inline struct ckpt_source mem_source(struct memstore *s)
{
	return (struct ckpt_source){ .self = s, .get = mem_get, .next = mem_next,
				     .fork = mem_fork };
}

static inline void mem_done(struct memstore *s)
{
	for (uint32_t i = 0; s->spaces && i <= s->n_spaces; i++) {
		for (size_t k = 0; k < s->spaces[i].n; k++)
			free(s->spaces[i].pages[k]);
		free(s->spaces[i].pages);
	}
	free(s->spaces);
	*s = (struct memstore){ 0 };
}

/* A second, independent store with the same pages: the checkpoint kept while capture goes on. */
static inline void mem_copy(struct memstore *to, const struct memstore *from)
{
	for (uint32_t i = 1; i <= from->n_spaces; i++) {
		mem_space(to, i);
		for (size_t k = 0; k < from->spaces[i].n; k++)
			mem_put(to, i, from->spaces[i].pages[k]->page,
				from->spaces[i].pages[k]->data, 1, NULL);
	}
}

#endif
