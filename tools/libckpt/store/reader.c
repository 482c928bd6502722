// SPDX-License-Identifier: GPL-2.0-or-later
/* Reader: the pages of one checkpoint. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/group.h"
#include "store/map.h"
#include "store/reader.h"

/* What a fork keeps of objects that it has read; the blocks of a few MiB lie together. */
#define FORK_CACHE_LEN (8u << 20)

/* @view: of a fork, which has no store and of the manifest only what messages name */
struct ckpt_reader {
	struct ckpt_store *store;
	struct ckpt_manifest manifest;
	struct ckpt_map map;
	struct ckpt_objects view;
};

void ckpt_reader_close(struct ckpt_reader *r)
{
	if (!r)
		return;
	ckpt_manifest_done(&r->manifest);
	free(r);
}

static void close_reader(struct ckpt_reader **r)
{
	ckpt_reader_close(*r);
}

static int resolve(const struct ckpt_group *g, int64_t which, uint64_t *ret, struct ckpt_err *err)
{
	cleanup_free uint64_t *ids = NULL;
	uint64_t back = -(uint64_t)which;
	size_t n;

	if (which > 0) {
		*ret = which;
		return 0;
	}
	if (ckpt_group_ids(g, &ids, &n, err))
		return -1;
	if (!n)
		return ckpt_fail(err, CKPT_FAILED, 0, "group '%s' has no checkpoint", g->name);
	if (back >= n)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "group '%s' has %zu checkpoints and none %" PRIu64
				 " before the newest", g->name, n, back);
	*ret = ids[n - 1 - back];
	return 0;
}

int ckpt_reader_resolve(struct ckpt_store *store, const char *name, int64_t which,
			uint64_t *ret_id, struct ckpt_err *err)
{
	cleanup_group struct ckpt_group g = CKPT_GROUP_INIT;

	if (ckpt_group_open(store, name, false, &g, err))
		return -1;
	return resolve(&g, which, ret_id, err);
}

struct ckpt_reader *ckpt_reader_open(struct ckpt_store *store, const char *name, int64_t which,
				     struct ckpt_err *err)
{
	struct ckpt_reader *made = calloc(1, sizeof(*made));
	__attribute__((cleanup(close_reader))) struct ckpt_reader *r = made;
	cleanup_group struct ckpt_group g = CKPT_GROUP_INIT;
	uint64_t id;

	if (!r) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory to open a checkpoint of '%s'", name);
		return NULL;
	}
	if (ckpt_group_open(store, name, false, &g, err) || resolve(&g, which, &id, err) ||
	    ckpt_group_manifest(&g, id, &r->manifest, NULL, err) ||
	    ckpt_objects_refresh(&store->objects, err))
		return NULL;
	r->store = store;
	r->map.objects = &store->objects;
	r->map.root = r->manifest.has_root ? &r->manifest.root : NULL;
	return take_ptr(r);
}

const struct ckpt_manifest *ckpt_reader_manifest(const struct ckpt_reader *r)
{
	return &r->manifest;
}

static int at_page(const struct ckpt_reader *r, uint32_t space, uint64_t page,
		   struct ckpt_err *err)
{
	return ckpt_fail_at(err, "page %" PRIu64 " of space %" PRIu32 " of '%s@%" PRIu64 "'", page,
			    space, r->manifest.name, r->manifest.id);
}

static int bad_key(uint32_t space, uint64_t page, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_USAGE, 0, "there is no page %" PRIu64 " of space %" PRIu32, page,
			 space);
}

/* How many of @max pages lie in one block, one behind the other, from entry @i on? */
static size_t together(const struct ckpt_leaf *leaf, unsigned int i, size_t max)
{
	const struct ckpt_entry *e = &leaf->entry[i];
	size_t n = 1;

	while (n < max && i + n < CKPT_LEAF_PAGES && e[n].kind == CKPT_PAGE_IS_DATA &&
	       e[n].block == e->block && e[n].slot == e->slot + n)
		n++;
	return n;
}

static int peek(void *self, uint32_t space, uint64_t page, size_t *count, const uint8_t **ret,
		enum ckpt_page_kind *ret_kind, struct ckpt_err *err)
{
	static const uint8_t zeros[CKPT_PAGE_LEN];
	unsigned int i = page % CKPT_LEAF_PAGES;
	struct ckpt_reader *r = self;
	const struct ckpt_leaf *leaf;
	const struct ckpt_entry *e;
	const uint8_t *block;
	size_t len;

	if (space > CKPT_SPACE_MAX || page > CKPT_PAGE_MAX)
		return bad_key(space, page, err);
	if (ckpt_map_leaf(&r->map, ckpt_key(space, page) >> CKPT_LEAF_BITS, &leaf, err))
		return at_page(r, space, page, err);
	e = leaf ? &leaf->entry[i] : NULL;
	*ret_kind = e ? e->kind : CKPT_PAGE_IS_ABSENT;
	if (*ret_kind != CKPT_PAGE_IS_DATA) {
		*count = 1;
		*ret = zeros;
		return 0;
	}
	*count = together(leaf, i, *count);
	if (ckpt_objects_get(r->map.objects, &leaf->block[e->block], CKPT_OBJECT_BLOCK, &block,
			     &len, err))
		return at_page(r, space, page, err);
	if (len < (e->slot + *count) * (size_t)CKPT_PAGE_LEN) {
		ckpt_fail(err, CKPT_DAMAGED, 0, "its block has only %zu bytes", len);
		return at_page(r, space, page, err);
	}
	*ret = block + e->slot * (size_t)CKPT_PAGE_LEN;
	return 0;
}

static int get(void *self, uint32_t space, uint64_t page, void *data,
	       enum ckpt_page_kind *ret_kind, struct ckpt_err *err)
{
	const uint8_t *found;
	size_t one = 1;

	if (peek(self, space, page, &one, &found, ret_kind, err))
		return -1;
	memcpy(data, found, CKPT_PAGE_LEN);
	return 0;
}

/* First run at or after @key. Return: 1 found, 0 none, -1 error. */
static int next_run(struct ckpt_reader *r, uint64_t key, uint64_t *ret_key, uint64_t *ret_count,
		    enum ckpt_page_kind *ret_kind, struct ckpt_err *err)
{
	const struct ckpt_leaf *leaf;
	unsigned int i, end;

	for (;;) {
		if (ckpt_map_leaf_from(&r->map, key >> CKPT_LEAF_BITS, &leaf, err))
			return -1;
		if (!leaf)
			return 0;
		if (leaf->number > key >> CKPT_LEAF_BITS)
			key = leaf->number << CKPT_LEAF_BITS;
		for (i = key % CKPT_LEAF_PAGES; i < CKPT_LEAF_PAGES; i++)
			if (leaf->entry[i].kind != CKPT_PAGE_IS_ABSENT)
				break;
		if (i < CKPT_LEAF_PAGES)
			break;
		key = (leaf->number + 1) << CKPT_LEAF_BITS;
		if (!key)
			return 0;
	}
	for (end = i + 1; end < CKPT_LEAF_PAGES; end++)
		if (leaf->entry[end].kind != leaf->entry[i].kind)
			break;
	*ret_key = leaf->number << CKPT_LEAF_BITS | i;
	*ret_count = end - i;
	*ret_kind = leaf->entry[i].kind;
	return 1;
}

static int next(void *self, uint32_t space, uint64_t *page, uint64_t *ret_count,
		enum ckpt_page_kind *ret_kind, struct ckpt_err *err)
{
	struct ckpt_reader *r = self;
	enum ckpt_page_kind kind, more_kind;
	uint64_t key, count, more, more_count;
	int rc;

	if (*page > CKPT_PAGE_MAX)
		return 0;
	if (space > CKPT_SPACE_MAX)
		return bad_key(space, *page, err);
	rc = next_run(r, ckpt_key(space, *page), &key, &count, &kind, err);
	if (rc < 0)
		return at_page(r, space, *page, err);
	if (!rc || key >> CKPT_PAGE_BITS != space)
		return 0;
	/* A run goes on in the next leaf, but not in the next space. */
	while (!((key + count) % CKPT_LEAF_PAGES) && (key + count) >> CKPT_PAGE_BITS == space) {
		rc = next_run(r, key + count, &more, &more_count, &more_kind, err);
		if (rc < 0)
			return at_page(r, space, *page, err);
		if (!rc || more != key + count || more_kind != kind)
			break;
		count += more_count;
	}
	*page = key & CKPT_PAGE_MAX;
	*ret_count = count;
	*ret_kind = kind;
	return 1;
}

static void close_fork(void *self)
{
	struct ckpt_reader *r = self;

	ckpt_objects_done(&r->view);
	free(r);
}

static int fork_source(void *self, struct ckpt_source *ret, struct ckpt_err *err)
{
	const struct ckpt_reader *of = self;
	struct ckpt_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for another reader");
	if (ckpt_objects_view(of->map.objects, FORK_CACHE_LEN, &r->view, err)) {
		free(r);
		return -1;
	}
	memcpy(r->manifest.name, of->manifest.name, sizeof(r->manifest.name));
	r->manifest.id = of->manifest.id;
	r->map = (struct ckpt_map){ .objects = &r->view, .root = of->map.root };
	*ret = (struct ckpt_source){ .self = r, .get = get, .next = next, .peek = peek,
				      .close = close_fork };
	return 0;
}

struct ckpt_source ckpt_reader_source(struct ckpt_reader *r)
{
	return (struct ckpt_source){ .self = r, .get = get, .next = next, .peek = peek,
				      .fork = fork_source };
}

int ckpt_reader_blob(struct ckpt_reader *r, const char *name, struct ckpt_buf *ret,
		     struct ckpt_err *err)
{
	const struct ckpt_blob *b = ckpt_manifest_blob(&r->manifest, name);
	const struct ckpt_source source = ckpt_reader_source(r);

	if (!b)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "checkpoint '%s@%" PRIu64 "' has no part '%s'",
				 r->manifest.name, r->manifest.id, name);
	return ckpt_blob_get(&source, b->space, b->len, ret, err);
}
