// SPDX-License-Identifier: GPL-2.0-or-later
/* Verification: reads all of a checkpoint. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "store/check.h"
#include "store/map.h"
#include "store/reader.h"
#include "store/state.h"
#include "store/verify.h"

struct ckpt_verified {
	struct ckpt_store *store;
	struct ckpt_reader *reader;
};

/* A verification under way. */
struct check {
	struct ckpt_store *store;
	const struct ckpt_manifest *manifest;
	struct ckpt_report *report;
	bool keep;	/* a restore follows */
	struct ckpt_block_check *block;	/* those that leaves name, each once */
	size_t blocks;
	struct ckpt_object_table seen;	/* by name; the offset is the index into @block */
};

static void end_check(struct check *c)
{
	for (size_t i = 0; i < c->blocks; i++)
		free(c->block[i].why);
	free(c->block);
	ckpt_object_table_done(&c->seen);
}

void ckpt_report_done(struct ckpt_report *r)
{
	for (size_t i = 0; i < r->ndamage; i++)
		free(r->damage[i]);
	free(r->damage);
	*r = (struct ckpt_report){ 0 };
}

void ckpt_verified_close(struct ckpt_verified *v)
{
	if (!v)
		return;
	ckpt_reader_close(v->reader);
	ckpt_kept_done(&v->store->objects.kept);
	free(v);
}

const struct ckpt_manifest *ckpt_verified_manifest(const struct ckpt_verified *v)
{
	return ckpt_reader_manifest(v->reader);
}

struct ckpt_source ckpt_verified_source(struct ckpt_verified *v)
{
	return ckpt_reader_source(v->reader);
}

int ckpt_verified_blob(struct ckpt_verified *v, const char *name, struct ckpt_buf *ret,
		       struct ckpt_err *err)
{
	return ckpt_reader_blob(v->reader, name, ret, err);
}

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory to verify");
}

static int add_damage(struct ckpt_report *r, const char *sentence, struct ckpt_err *err)
{
	char **more;

	r->faults++;
	if (r->ndamage == CKPT_DAMAGE_MAX)
		return 0;
	more = realloc(r->damage, (r->ndamage + 1) * sizeof(*more));
	if (!more)
		return no_memory(err);
	r->damage = more;
	more[r->ndamage] = strdup(sentence);
	if (!more[r->ndamage])
		return no_memory(err);
	r->ndamage++;
	return 0;
}

__attribute__((format(printf, 4, 5)))
static int damaged(const struct check *c, uint64_t leaf, struct ckpt_err *err, const char *fmt, ...)
{
	uint64_t key = leaf << CKPT_LEAF_BITS;
	char text[CKPT_ERR_LEN], full[CKPT_ERR_LEN + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(full, sizeof(full), "space %" PRIu64 ", from page %" PRIu64 " on: %s",
		 key >> CKPT_PAGE_BITS, (uint64_t)(key & CKPT_PAGE_MAX), text);
	return add_damage(c->report, full, err);
}

/* Return: what is known of the block; NULL without memory. */
static struct ckpt_block_check *get_block(struct check *c, const struct ckpt_hash *name,
					  uint64_t leaf)
{
	const struct ckpt_located *seen = ckpt_object_table_find(&c->seen, name);
	struct ckpt_object o = { .hash = *name, .raw_len = 1, .offset = c->blocks };

	if (seen)
		return &c->block[seen->object.offset];
	if (!(c->blocks & (c->blocks - 1))) {
		size_t room = c->blocks ? 2 * c->blocks : 1;
		struct ckpt_block_check *p = realloc(c->block, room * sizeof(*p));

		if (!p)
			return NULL;
		c->block = p;
	}
	if (ckpt_object_table_add(&c->seen, &o, 0))
		return NULL;
	c->block[c->blocks] = (struct ckpt_block_check){ .name = *name, .leaf = leaf };
	return &c->block[c->blocks++];
}

static int check_leaf(struct check *c, const struct ckpt_leaf *leaf, struct ckpt_err *err)
{
	uint64_t space = leaf->number >> (CKPT_PAGE_BITS - CKPT_LEAF_BITS);
	uint32_t need[CKPT_LEAF_PAGES] = { 0 };

	if ((!space || space >= c->manifest->next_space) &&
	    damaged(c, leaf->number, err, "the manifest knows no such space"))
		return -1;
	for (unsigned int i = 0; i < CKPT_LEAF_PAGES; i++) {
		const struct ckpt_entry *e = &leaf->entry[i];
		uint32_t end = (e->slot + 1u) * CKPT_PAGE_LEN;

		c->report->pages += e->kind != CKPT_PAGE_IS_ABSENT;
		if (e->kind == CKPT_PAGE_IS_DATA && need[e->block] < end)
			need[e->block] = end;
	}
	for (unsigned int i = 0; i < leaf->blocks; i++) {
		struct ckpt_block_check *b = get_block(c, &leaf->block[i], leaf->number);

		if (!b)
			return no_memory(err);
		b->need = need[i] > b->need ? need[i] : b->need;
	}
	return 0;
}

static int check_blocks(struct check *c, struct ckpt_err *err)
{
	if (ckpt_check_blocks(&c->store->objects, c->block, c->blocks, c->keep, err))
		return -1;
	for (size_t i = 0; i < c->blocks; i++) {
		const struct ckpt_block_check *b = &c->block[i];

		if (b->why && damaged(c, b->leaf, err, "%s", b->why))
			return -1;
		if (!b->len)
			continue;
		c->report->blocks++;
		c->report->bytes += b->len;
		if (b->len < b->need &&
		    damaged(c, b->leaf, err, "a page lies behind the end of its block"))
			return -1;
	}
	return 0;
}

static int visit(void *self, const struct ckpt_hash *name, const struct ckpt_node *node,
		 struct ckpt_err *err)
{
	struct check *c = self;

	(void)name;
	c->report->nodes++;
	return node->is_leaf ? check_leaf(c, &node->leaf, err) : 0;
}

static int fail_as(const struct ckpt_err *why, struct ckpt_err *err)
{
	if (err)
		*err = *why;
	return -1;
}

static int broken(void *self, const struct ckpt_hash *name, uint64_t first_leaf,
		  const struct ckpt_err *why, struct ckpt_err *err)
{
	(void)name;
	if (why->status == CKPT_DAMAGED)
		return damaged(self, first_leaf, err, "%s", why->text);
	return fail_as(why, err);
}

/* A blob must be there from its first to its last page. */
static int check_blobs(struct check *c, struct ckpt_reader *r, struct ckpt_err *err)
{
	const struct ckpt_source source = ckpt_reader_source(r);

	for (size_t i = 0; i < c->manifest->nblobs; i++) {
		const struct ckpt_blob *b = &c->manifest->blobs[i];
		uint64_t pages = b->len / CKPT_PAGE_LEN + !!(b->len % CKPT_PAGE_LEN);
		uint64_t page = 0, at = 0, count = 0;
		struct ckpt_err why = CKPT_ERR_INIT;
		enum ckpt_page_kind kind;
		char text[CKPT_LABEL_LEN + 64];
		int rc = 1;

		while (at < pages && page == at && rc == 1) {
			rc = source.next(source.self, b->space, &page, &count, &kind, &why);
			if (rc == 1 && page == at)
				at = page += count;
		}
		if (at >= pages)
			continue;
		/* a want of memory or descriptors is no damage */
		if (rc < 0 && why.status != CKPT_DAMAGED)
			return fail_as(&why, err);
		snprintf(text, sizeof(text), "part '%s' lacks page %" PRIu64, b->name, at);
		if (add_damage(c->report, text, err))
			return -1;
	}
	return 0;
}

static int check_all(struct check *c, struct ckpt_reader *r, struct ckpt_err *err)
{
	const struct ckpt_map_visitor v = { c, visit, broken };

	if (c->manifest->has_root &&
	    ckpt_map_walk(&c->store->objects, &c->manifest->root, &v, err))
		return -1;
	if (check_blocks(c, err))
		return -1;
	return check_blobs(c, r, err);
}

static void remember(struct ckpt_store *store, const char *name, uint64_t id, bool good)
{
	cleanup_group struct ckpt_group g = CKPT_GROUP_INIT;
	cleanup_manifest struct ckpt_manifest again = { 0 };
	struct ckpt_state state = { .verdict = good ? CKPT_VERDICT_GOOD : CKPT_VERDICT_DAMAGED };
	struct ckpt_hash hash;
	struct timespec t;

	if (!store->writable || ckpt_group_open(store, name, false, &g, NULL) ||
	    ckpt_group_manifest(&g, id, &again, &hash, NULL))
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	state.time_ns = t.tv_sec * 1000000000ull + t.tv_nsec;
	ckpt_state_save(&g, id, &hash, &state, NULL);
}

void ckpt_verify_mark(struct ckpt_store *store, const char *name, uint64_t id)
{
	remember(store, name, id, false);
}

/* The manifest is damaged: that is a result, not a failure to verify. */
static int no_manifest(uint64_t id, const struct ckpt_err *why, struct ckpt_report *ret,
		       struct ckpt_err *err)
{
	cleanup_report struct ckpt_report report = { .id = id };

	if (why->status != CKPT_DAMAGED)
		return fail_as(why, err);
	if (add_damage(&report, why->text, err))
		return -1;
	*ret = report;
	report = (struct ckpt_report){ 0 };
	return 0;
}

int ckpt_verify(struct ckpt_store *store, const char *name, int64_t which,
		struct ckpt_report *ret, struct ckpt_verified **ret_verified,
		struct ckpt_err *err)
{
	cleanup_report struct ckpt_report report = { 0 };
	struct check check = { .store = store, .report = &report, .keep = ret_verified };
	struct ckpt_err why = CKPT_ERR_INIT;
	struct ckpt_verified *v;
	struct ckpt_reader *r;
	int rc;

	if (ckpt_reader_resolve(store, name, which, &report.id, err))
		return -1;
	r = ckpt_reader_open(store, name, report.id, &why);
	if (!r)
		return no_manifest(report.id, &why, ret, err);
	check.manifest = ckpt_reader_manifest(r);
	/* What was read before may be different on disk now. */
	ckpt_cache_done(&store->objects.cache);
	ckpt_whole_done(&store->objects.whole);
	ckpt_kept_done(&store->objects.kept);
	v = calloc(1, sizeof(*v));
	rc = v ? check_all(&check, r, err) : no_memory(err);
	end_check(&check);
	if (rc) {
		free(v);
		ckpt_reader_close(r);
		ckpt_kept_done(&store->objects.kept);
		return -1;
	}
	remember(store, check.manifest->name, report.id, !report.faults);
	*v = (struct ckpt_verified){ .store = store, .reader = r };
	rc = !report.faults;
	if (rc && ret_verified)
		*ret_verified = v;
	else
		ckpt_verified_close(v);
	*ret = report;
	report = (struct ckpt_report){ 0 };
	return rc;
}
