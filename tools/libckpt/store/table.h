/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Table: what a writer knows of each page, in order of keys
 *
 * Leaves in an array sorted by number, each with an array of pages sorted too;
 * pages mostly come in order, so that most insertions append.
 */
#ifndef CKPT_STORE_TABLE_H
#define CKPT_STORE_TABLE_H

#include "store/fingerprint.h"
#include "store/node.h"

enum ckpt_where {
	CKPT_AS_PARENT,		/* nothing to do */
	CKPT_NO_DATA,		/* changed to zero or absent */
	CKPT_HELD,		/* changed, @at is the number of a content */
};

/**
 * struct ckpt_page_record - one page
 * @page: in the leaf
 * @was: kind in the parent
 * @is: kind now
 * @where: where the new content is
 * @was_known: whether @fp_was is, for a data page of the parent
 * @at: see enum ckpt_where
 * @fp_was: fingerprint in the parent
 * @fp: fingerprint now, of a data page
 */
struct ckpt_page_record {
	uint16_t page;
	uint8_t was;
	uint8_t is;
	uint8_t where;
	bool was_known;
	uint32_t at;
	struct ckpt_fingerprint fp_was;
	struct ckpt_fingerprint fp;
};

struct ckpt_table_leaf {
	uint64_t number;
	uint32_t n;
	uint32_t room;
	struct ckpt_page_record *page;
};

struct ckpt_table {
	struct ckpt_table_leaf *leaf;
	size_t n;
	size_t room;
	size_t last;	/* the leaf found last */
};

void ckpt_table_done(struct ckpt_table *t);
/* Index of the first leaf with at least this number. */
size_t ckpt_table_leaf_from(const struct ckpt_table *t, uint64_t number);
/* Index of the first page of @leaf that is at least @page. */
size_t ckpt_table_page_from(const struct ckpt_table_leaf *leaf, unsigned int page);
/**
 * ckpt_table_page - the record of a page, added if need be
 * @ret_new: whether it was added; then all but @page is zero
 *
 * Return: valid until the next page is added; NULL without memory.
 */
struct ckpt_page_record *ckpt_table_page(struct ckpt_table *t, uint64_t key, bool *ret_new);

#endif
