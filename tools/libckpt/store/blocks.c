// SPDX-License-Identifier: GPL-2.0-or-later
/* Changes: packing staged pages into blocks, and blocks into a map. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/changes.h"

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the blocks of a checkpoint");
}

/*
 * How many of the pages make the next block.  An aligned group may have any number of them: what a
 * page held before, another one may hold still.  Blocks begin at aligned groups
 * of pages where they can, so that the same content gives the same blocks
 * again; a few scattered pages are put together with the group that follows.
 */
static size_t cut(const struct ckpt_content *all, const uint32_t *s, size_t n)
{
	size_t i;

	for (i = 1; i < n && i < CKPT_BLOCK_PAGES_MAX; i++)
		if (i >= CKPT_BLOCK_PAGES_MIN &&
		    all[s[i]].key / CKPT_BLOCK_PAGES != all[s[i - 1]].key / CKPT_BLOCK_PAGES)
			break;
	return i;
}

int ckpt_changes_block(struct ckpt_changes *c, const struct ckpt_hash *name, struct ckpt_err *err)
{
	if (c->blocks == UINT32_MAX / CKPT_BLOCK_PAGES_MAX)
		return ckpt_fail(err, CKPT_FAILED, 0, "a checkpoint has too many blocks");
	if (!(c->blocks & (c->blocks - 1))) {
		size_t room = c->blocks ? 2 * (size_t)c->blocks : 1;
		struct ckpt_hash *p = realloc(c->block, room * sizeof(*p));

		if (!p)
			return no_memory(err);
		c->block = p;
	}
	c->block[c->blocks++] = *name;
	return 0;
}

/* Up to CKPT_CODER_BATCH blocks. Return: how many pages they took, -1 error. */
static ssize_t pack_batch(struct ckpt_changes *c, const uint32_t *s, size_t n, bool all,
			  struct ckpt_err *err)
{
	const uint8_t *part[CKPT_CODER_BATCH * CKPT_BLOCK_PAGES_MAX];
	const struct ckpt_content *content = c->contents.content;
	struct ckpt_code_job job[CKPT_CODER_BATCH];
	size_t jobs = 0, used = 0;

	while (used < n && jobs < CKPT_CODER_BATCH) {
		size_t pages = cut(content, s + used, n - used);

		if (used + pages == n && !all)
			break;
		job[jobs++] = (struct ckpt_code_job){ .type = CKPT_OBJECT_BLOCK,
						      .part = part + used, .parts = pages,
						      .part_len = CKPT_PAGE_LEN };
		for (; pages; pages--, used++)
			part[used] = ckpt_staging_page(&c->contents.staging, content[s[used]].at);
	}
	if (jobs && ckpt_coder_run(c->coder, job, jobs, c->pack, err))
		return -1;
	for (size_t j = 0; j < jobs; j++) {
		if (ckpt_changes_block(c, &job[j].coded.object.hash, err))
			return -1;
		for (size_t slot = 0; slot < job[j].parts; slot++)
			ckpt_contents_stored(&c->contents, *s++,
					   (c->blocks - 1) * CKPT_BLOCK_PAGES_MAX + slot);
	}
	return used;
}

static int need_coder(struct ckpt_changes *c, struct ckpt_err *err)
{
	if (!c->coder)
		c->coder = ckpt_coder_new(c->level, err);
	return c->coder ? 0 : -1;
}

int ckpt_changes_pack(struct ckpt_changes *c, bool all, struct ckpt_err *err)
{
	cleanup_free uint32_t *s = malloc((c->contents.staging.used + 1) * sizeof(*s));
	ssize_t used;
	size_t n;

	if (!s)
		return no_memory(err);
	if (need_coder(c, err))
		return -1;
	n = ckpt_contents_staged(&c->contents, s);
	for (size_t at = 0; at < n; at += used) {
		used = pack_batch(c, s + at, n - at, all, err);
		if (used < 0)
			return -1;
		if (!used)
			break;
	}
	return 0;
}

static int apply(void *self, void *change, struct ckpt_leaf *leaf, struct ckpt_err *err)
{
	const struct ckpt_table_leaf *changed = change;
	const struct ckpt_changes *c = self;

	(void)err;
	for (size_t i = 0; i < changed->n; i++) {
		const struct ckpt_page_record *p = &changed->page[i];
		struct ckpt_entry e = { .kind = p->is };
		uint32_t at;

		if (p->where == CKPT_AS_PARENT)
			continue;
		if (p->is == CKPT_PAGE_IS_DATA) {
			at = c->contents.content[p->at].at;
			e.slot = at % CKPT_BLOCK_PAGES_MAX;
			e.block = ckpt_leaf_block(leaf, &c->block[at / CKPT_BLOCK_PAGES_MAX]);
		}
		leaf->entry[p->page] = e;
	}
	return 0;
}

static int write_node(void *self, const struct ckpt_buf *node, struct ckpt_hash *ret,
		      struct ckpt_err *err)
{
	struct ckpt_changes *c = self;
	const uint8_t *part = node->data;
	struct ckpt_code_job job = { .type = CKPT_OBJECT_NODE, .part = &part, .parts = 1,
				     .part_len = node->len };

	if (ckpt_coder_run(c->coder, &job, 1, c->pack, err))
		return -1;
	*ret = job.coded.object.hash;
	return 0;
}

static bool changed(const struct ckpt_table_leaf *leaf)
{
	for (size_t i = 0; i < leaf->n; i++)
		if (leaf->page[i].where != CKPT_AS_PARENT)
			return true;
	return false;
}

int ckpt_changes_map(struct ckpt_changes *c, struct ckpt_hash *ret_root, struct ckpt_err *err)
{
	const struct ckpt_map_edit edit = { c->parent.objects, c, apply, write_node };
	cleanup_free struct ckpt_leaf_change *changes = calloc(c->table.n + 1, sizeof(*changes));
	size_t n = 0;

	if (!changes)
		return no_memory(err);
	if (need_coder(c, err))
		return -1;
	for (size_t i = 0; i < c->table.n; i++)
		if (changed(&c->table.leaf[i]))
			changes[n++] = (struct ckpt_leaf_change){ c->table.leaf[i].number,
								  &c->table.leaf[i] };
	return ckpt_map_change(&edit, c->parent.root, changes, n, ret_root, err);
}
