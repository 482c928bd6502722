// SPDX-License-Identifier: GPL-2.0-or-later
/* Table: what a writer knows of each page. */
#include <stdlib.h>
#include <string.h>

#include "store/table.h"

void ckpt_table_done(struct ckpt_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->leaf[i].page);
	free(t->leaf);
	*t = (struct ckpt_table){ 0 };
}

size_t ckpt_table_leaf_from(const struct ckpt_table *t, uint64_t number)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->leaf[mid].number >= number)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

size_t ckpt_table_page_from(const struct ckpt_table_leaf *leaf, unsigned int page)
{
	size_t lo = 0, hi = leaf->n;

	if (hi && leaf->page[hi - 1].page < page)
		return hi;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (leaf->page[mid].page >= page)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static struct ckpt_table_leaf *get_leaf(struct ckpt_table *t, uint64_t number)
{
	size_t at;

	if (t->last < t->n && t->leaf[t->last].number == number)
		return &t->leaf[t->last];
	at = t->n && t->leaf[t->n - 1].number < number ? t->n : ckpt_table_leaf_from(t, number);
	if (at == t->n || t->leaf[at].number != number) {
		if (t->n == t->room) {
			size_t room = t->room ? 2 * t->room : 64;
			struct ckpt_table_leaf *p = realloc(t->leaf, room * sizeof(*p));

			if (!p)
				return NULL;
			t->leaf = p;
			t->room = room;
		}
		memmove(&t->leaf[at + 1], &t->leaf[at], (t->n - at) * sizeof(*t->leaf));
		t->leaf[at] = (struct ckpt_table_leaf){ .number = number };
		t->n++;
	}
	t->last = at;
	return &t->leaf[at];
}

struct ckpt_page_record *ckpt_table_page(struct ckpt_table *t, uint64_t key, bool *ret_new)
{
	struct ckpt_table_leaf *leaf = get_leaf(t, key >> CKPT_LEAF_BITS);
	unsigned int page = key & (CKPT_LEAF_PAGES - 1);
	size_t at;

	if (!leaf)
		return NULL;
	at = ckpt_table_page_from(leaf, page);
	*ret_new = at == leaf->n || leaf->page[at].page != page;
	if (!*ret_new)
		return &leaf->page[at];
	if (leaf->n == leaf->room) {
		uint32_t room = leaf->room ? 2 * leaf->room : 1;
		struct ckpt_page_record *p = realloc(leaf->page, room * sizeof(*p));

		if (!p)
			return NULL;
		leaf->page = p;
		leaf->room = room;
	}
	memmove(&leaf->page[at + 1], &leaf->page[at], (leaf->n - at) * sizeof(*leaf->page));
	leaf->page[at] = (struct ckpt_page_record){ .page = page };
	leaf->n++;
	return &leaf->page[at];
}
