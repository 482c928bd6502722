// SPDX-License-Identifier: GPL-2.0-or-later
/* Changes: comparing and staging pages. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/changes.h"

#define FEW_BLOCKS 64u
#define PAGES_A_BLOCK 4u

void ckpt_changes_done(struct ckpt_changes *c)
{
	ckpt_table_done(&c->table);
	ckpt_contents_done(&c->contents);
	ckpt_coder_free(c->coder);
	ckpt_fingerprinter_free(c->fingerprinter);
	free(c->block);
	*c = (struct ckpt_changes){ 0 };
}

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the pages of a checkpoint");
}

static bool is_zeros(const void *data, size_t len)
{
	const uint8_t *p = data;

	return !p[0] && !memcmp(p, p + 1, len - 1);
}

int ckpt_changes_recall(struct ckpt_changes *c, const struct ckpt_fingerprint_set *known,
			struct ckpt_err *err)
{
	for (size_t i = 0; i < known->n; i++) {
		const struct ckpt_fingerprint *fp = &known->entry[i].fp;
		struct ckpt_page_record *p;
		bool added;

		p = ckpt_table_page(&c->table, known->entry[i].key, &added);
		if (!p)
			return no_memory(err);
		p->was = is_zeros(fp, sizeof(*fp)) ? CKPT_PAGE_IS_ZERO : CKPT_PAGE_IS_DATA;
		p->is = p->was;
		p->was_known = true;
		p->fp_was = p->fp = *fp;
	}
	c->complete = known->complete;
	return 0;
}

/* What the parent has there, for a page that no fingerprint is known of. */
static int look_up(struct ckpt_changes *c, uint64_t key, struct ckpt_page_record *p,
		   struct ckpt_err *err)
{
	const struct ckpt_leaf *leaf;

	if (c->complete || !c->parent.root || key >> CKPT_PAGE_BITS >= c->parent_spaces)
		return 0;
	if (ckpt_map_leaf(&c->parent, key >> CKPT_LEAF_BITS, &leaf, err))
		return -1;
	if (leaf)
		p->was = p->is = leaf->entry[key % CKPT_LEAF_PAGES].kind;
	return 0;
}

/* Where a data page of the parent is; @ret_block is valid until the parent is read again. */
static int place_of_parent(struct ckpt_changes *c, uint64_t key, const struct ckpt_hash **ret_block,
			   uint32_t *ret_slot, struct ckpt_err *err)
{
	const struct ckpt_leaf *leaf;
	struct ckpt_entry e;

	if (ckpt_map_leaf(&c->parent, key >> CKPT_LEAF_BITS, &leaf, err))
		return -1;
	e = leaf ? leaf->entry[key % CKPT_LEAF_PAGES] : (struct ckpt_entry){ 0 };
	if (e.kind != CKPT_PAGE_IS_DATA)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "map of the parent changed while it was read");
	*ret_block = &leaf->block[e.block];
	*ret_slot = e.slot;
	return 0;
}

/* The page there, its block checked against its name. */
static int page_of_parent(struct ckpt_changes *c, const struct ckpt_hash *name, uint32_t slot,
			  const uint8_t **ret, struct ckpt_err *err)
{
	const uint8_t *block;
	size_t len;

	if (ckpt_objects_get(c->parent.objects, name, CKPT_OBJECT_BLOCK, &block, &len, err))
		return -1;
	if (len < (slot + 1) * (size_t)CKPT_PAGE_LEN)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "a block of the parent is too short");
	*ret = block + slot * (size_t)CKPT_PAGE_LEN;
	return 0;
}

/* Learn the fingerprint of a data page of the parent from its content. */
static int learn(struct ckpt_changes *c, uint64_t key, struct ckpt_page_record *p,
		 struct ckpt_err *err)
{
	const struct ckpt_hash *block;
	const uint8_t *page;
	uint32_t slot;

	if (place_of_parent(c, key, &block, &slot, err) ||
	    page_of_parent(c, block, slot, &page, err))
		return -1;
	if (ckpt_fingerprint_page(c->fingerprinter, page, &p->fp_was))
		return ckpt_fail(err, CKPT_FAILED, 0, "libcrypto cannot compute a fingerprint");
	p->was_known = true;
	return 0;
}

/* Return: 1 the page equals that of the parent, 0 it differs, -1 error. */
static int equals_parent(struct ckpt_changes *c, uint64_t key, struct ckpt_page_record *p,
			 enum ckpt_page_kind kind, const struct ckpt_fingerprint *fp,
			 struct ckpt_err *err)
{
	struct ckpt_err damage = CKPT_ERR_INIT;

	if (p->was != kind)
		return 0;
	if (kind != CKPT_PAGE_IS_DATA)
		return 1;
	if (!p->was_known && learn(c, key, p, &damage)) {
		/* What the parent lost need not be lost again: store the page anew. */
		if (damage.status == CKPT_DAMAGED)
			return 0;
		if (err)
			*err = damage;
		return -1;
	}
	return !memcmp(&p->fp_was, fp, sizeof(*fp));
}

static void let_go(struct ckpt_changes *c, struct ckpt_page_record *p)
{
	if (p->where == CKPT_HELD)
		ckpt_contents_put(&c->contents, p->at);
	p->where = CKPT_NO_DATA;
}

/* What the parent had, wherever: a process that was forked since has most of it. */
static int recall_contents(struct ckpt_changes *c, struct ckpt_err *err)
{
	if (c->recalled)
		return 0;
	c->recalled = true;
	for (size_t i = 0; i < c->table.n; i++) {
		const struct ckpt_table_leaf *leaf = &c->table.leaf[i];

		for (size_t j = 0; j < leaf->n; j++) {
			const struct ckpt_page_record *p = &leaf->page[j];

			if (p->was == CKPT_PAGE_IS_DATA && p->was_known &&
			    ckpt_contents_recall(&c->contents, &p->fp_was,
						 leaf->number << CKPT_LEAF_BITS | p->page))
				return no_memory(err);
		}
	}
	return 0;
}

/* Where each page would have a block unpacked, to store it anew takes less time. */
static bool worth_adopting(struct ckpt_changes *c, const struct ckpt_hash *block)
{
	size_t len;

	if (ckpt_cache_find(&c->parent.objects->cache, block, &len))
		return true;
	if (c->unpacked > FEW_BLOCKS && c->adopted / c->unpacked < PAGES_A_BLOCK)
		return false;
	c->unpacked++;
	return true;
}

/*
 * Refer to a page of the parent, whose block may be damaged by now and may not be referred to by
 * anybody else: it is read and compared, and what is not the same is not referred to.
 */
static int adopt(struct ckpt_changes *c, struct ckpt_content *content, const uint8_t *data,
		 struct ckpt_err *err)
{
	const struct ckpt_hash *block;
	const uint8_t *page;
	uint32_t slot;

	if (place_of_parent(c, content->key, &block, &slot, NULL) || !worth_adopting(c, block) ||
	    page_of_parent(c, block, slot, &page, NULL) || memcmp(page, data, CKPT_PAGE_LEN))
		return 0;
	if ((!c->blocks || !ckpt_hash_equal(&c->block[c->blocks - 1], block)) &&
	    ckpt_changes_block(c, block, err))
		return -1;
	c->adopted++;
	content->is = CKPT_CONTENT_STORED;
	content->at = (c->blocks - 1) * CKPT_BLOCK_PAGES_MAX + slot;
	return 0;
}

static int hold(struct ckpt_changes *c, uint64_t key, struct ckpt_page_record *p,
		const struct ckpt_fingerprint *fp, const uint8_t *data, struct ckpt_err *err)
{
	uint32_t number;

	if (key >> CKPT_PAGE_BITS >= c->parent_spaces && recall_contents(c, err))
		return -1;
	number = ckpt_contents_find(&c->contents, fp);
	if (number == CKPT_NO_CONTENT)
		return no_memory(err);
	if (c->contents.content[number].is == CKPT_CONTENT_OF_PARENT &&
	    adopt(c, &c->contents.content[number], data, err))
		return -1;
	if (c->contents.content[number].is != CKPT_CONTENT_STAGED &&
	    c->contents.content[number].is != CKPT_CONTENT_STORED &&
	    ckpt_contents_stage(&c->contents, number, key, data))
		return no_memory(err);
	ckpt_contents_get(&c->contents, number, key);
	let_go(c, p);
	p->where = CKPT_HELD;
	p->at = number;
	return 0;
}

int ckpt_changes_put(struct ckpt_changes *c, uint64_t key, const uint8_t *data,
		     struct ckpt_err *err)
{
	bool zero = is_zeros(data, CKPT_PAGE_LEN), added;
	enum ckpt_page_kind kind = zero ? CKPT_PAGE_IS_ZERO : CKPT_PAGE_IS_DATA;
	struct ckpt_fingerprint fp = { 0 };
	struct ckpt_page_record *p = ckpt_table_page(&c->table, key, &added);
	int same;

	if (!p)
		return no_memory(err);
	if (added && look_up(c, key, p, err))
		return -1;
	if (!zero && ckpt_fingerprint_page(c->fingerprinter, data, &fp))
		return ckpt_fail(err, CKPT_FAILED, 0, "libcrypto cannot compute a fingerprint");
	same = equals_parent(c, key, p, kind, &fp, err);
	if (same < 0)
		return -1;
	if (same) {
		let_go(c, p);
		p->where = CKPT_AS_PARENT;
	} else if (zero) {
		let_go(c, p);
	} else if (p->is != CKPT_PAGE_IS_DATA || p->where == CKPT_AS_PARENT ||
		   memcmp(&p->fp, &fp, sizeof(fp))) {
		if (hold(c, key, p, &fp, data, err))
			return -1;
	}
	p->is = kind;
	p->fp = fp;
	return c->contents.staging.used < CKPT_STAGED_MAX ? 0 : ckpt_changes_pack(c, false, err);
}

static void make_absent(struct ckpt_changes *c, struct ckpt_page_record *p)
{
	let_go(c, p);
	p->is = CKPT_PAGE_IS_ABSENT;
	if (p->was == CKPT_PAGE_IS_ABSENT)
		p->where = CKPT_AS_PARENT;
}

/* Pages of the parent that the table does not have. */
static int drop_unknown(struct ckpt_changes *c, uint64_t key, uint64_t end, struct ckpt_err *err)
{
	const struct ckpt_leaf *leaf;

	while (key < end) {
		uint64_t first;

		if (ckpt_map_leaf_from(&c->parent, key >> CKPT_LEAF_BITS, &leaf, err))
			return -1;
		if (!leaf)
			return 0;
		first = leaf->number << CKPT_LEAF_BITS;
		key = key > first ? key : first;
		for (; key < end && key - first < CKPT_LEAF_PAGES; key++) {
			struct ckpt_page_record *p;
			bool added;

			if (leaf->entry[key - first].kind == CKPT_PAGE_IS_ABSENT)
				continue;
			p = ckpt_table_page(&c->table, key, &added);
			if (!p)
				return no_memory(err);
			if (added)
				p->was = leaf->entry[key - first].kind;
			make_absent(c, p);
		}
	}
	return 0;
}

int ckpt_changes_drop(struct ckpt_changes *c, uint64_t key, uint64_t end, struct ckpt_err *err)
{
	for (size_t i = ckpt_table_leaf_from(&c->table, key >> CKPT_LEAF_BITS);
	     i < c->table.n && c->table.leaf[i].number <= (end - 1) >> CKPT_LEAF_BITS; i++) {
		struct ckpt_table_leaf *leaf = &c->table.leaf[i];
		uint64_t first = leaf->number << CKPT_LEAF_BITS;
		size_t at = ckpt_table_page_from(leaf, key > first ? key - first : 0);

		for (; at < leaf->n && first + leaf->page[at].page < end; at++)
			make_absent(c, &leaf->page[at]);
	}
	if (c->complete || !c->parent.root || key >> CKPT_PAGE_BITS >= c->parent_spaces)
		return 0;
	return drop_unknown(c, key, end, err);
}

uint64_t ckpt_changes_pages(const struct ckpt_changes *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < c->table.n; i++)
		for (size_t j = 0; j < c->table.leaf[i].n; j++)
			n += c->table.leaf[i].page[j].where != CKPT_AS_PARENT &&
			     c->table.leaf[i].page[j].is != CKPT_PAGE_IS_ABSENT;
	return n;
}

int ckpt_changes_known(const struct ckpt_changes *c, struct ckpt_fingerprint_set *ret,
		       struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	for (size_t i = 0; i < c->table.n; i++) {
		const struct ckpt_table_leaf *leaf = &c->table.leaf[i];

		for (size_t j = 0; j < leaf->n; j++) {
			const struct ckpt_page_record *p = &leaf->page[j];
			struct ckpt_fingerprint_entry e = {
				.key = leaf->number << CKPT_LEAF_BITS | p->page,
				.fp = p->fp,
			};

			if (p->is == CKPT_PAGE_IS_ABSENT)
				continue;
			ckpt_buf_put(&b, &e, sizeof(e));
		}
	}
	if (b.failed)
		return no_memory(err);
	ret->n = b.len / sizeof(struct ckpt_fingerprint_entry);
	ret->entry = (void *)take_ptr(b.data);
	ret->complete = c->complete || !c->parent.root;
	return 0;
}
