// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The stored pages of an address space, in batches, on all processors
 *
 * They are cut into pieces of some MiB, in the order in which the store has them, so that two
 * threads seldom need the same block.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/threads.h"
#include "proc/memory-each.h"

#define PIECE_PAGES 1024u

/* Pages [page, end) of an area; gaps in it count for nothing. */
struct piece {
	const struct ckpt_area *area;
	uint64_t page, end;
};

/**
 * struct each - one walk, shared by its threads
 * @next: piece whose turn it is
 * @pages: done so far
 * @lock: guards @err, the first failure
 */
struct each {
	const struct ckpt_restore *restore;
	const struct ckpt_build_task *task;
	uint32_t space;
	ckpt_batch_fn fn;
	struct piece *pieces;
	size_t n_pieces;
	bool alone;
	atomic_size_t next;
	atomic_uint_fast64_t pages;
	atomic_bool failed;
	pthread_mutex_t lock;
	struct ckpt_err err;
};

/* What one thread works with. */
struct hand {
	struct each *each;
	struct ckpt_source source;
	struct ckpt_batch batch;
};

static void hand_done(struct hand *h)
{
	free(h->batch.expected);
	free(h->batch.found);
	ckpt_memory_close(&h->batch.target);
	ckpt_stamper_free(h->batch.stamper);
	if (h->source.close)
		h->source.close(h->source.self);
}

static int hand_init(struct hand *h, struct ckpt_err *err)
{
	const struct each *e = h->each;
	const struct ckpt_source *source = e->restore->source;

	h->batch.pid = e->task->task->pid;
	h->batch.placed = e->task->placed;
	h->batch.stamper = ckpt_placed_stamper(h->batch.placed);
	h->batch.expected = malloc(CKPT_BATCH_PAGES * CKPT_PAGE_LEN);
	h->batch.found = malloc(CKPT_BATCH_PAGES * CKPT_PAGE_LEN);
	if (!h->batch.expected || !h->batch.found)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to fill process %d",
				 h->batch.pid);
	h->batch.source = &h->source;
	if (e->task->forked)
		h->batch.parent_space =
			e->restore->image->mms[e->task->forked->task->mm].space;
	if (e->alone)
		h->source = *source;
	else if (source->fork(source->self, &h->source, err))
		return -1;
	return ckpt_memory_open(e->task->host, &h->batch.target, err);
}

/* Whether the pages of an area come from its space; the rest is zeros or the file's. */
static bool has_pages(const struct ckpt_area *a)
{
	if (a->kind != CKPT_AREA_KIND_ANON && a->kind != CKPT_AREA_KIND_FILE_PRIVATE)
		return false;
	return !(a->flags & (CKPT_AREA_F_WIPEONFORK | CKPT_AREA_F_DROPPABLE));
}

/*
 * The next run of pages of @a from *@page on that must be looked at: zeros are there already,
 * unless a file's page would show.
 * Return: 1 with *@page and its end in @ret_end, 0 none below @end, -1.
 */
static int next_run(const struct ckpt_source *source, uint32_t space, const struct ckpt_area *a,
		    uint64_t *page, uint64_t end, uint64_t *ret_end, struct ckpt_err *err)
{
	enum ckpt_page_kind kind;
	uint64_t count;
	int more;

	for (; *page < end; *page += count) {
		more = source->next(source->self, space, page, &count, &kind, err);
		if (more <= 0)
			return more;
		if (*page >= end)
			return 0;
		if (kind != CKPT_PAGE_IS_DATA && a->kind != CKPT_AREA_KIND_FILE_PRIVATE)
			continue;
		*ret_end = count < end - *page ? *page + count : end;
		return 1;
	}
	return 0;
}

/* A run of pages, all inside one area. */
static int do_run(struct hand *h, uint64_t page, uint64_t end, struct ckpt_err *err)
{
	struct ckpt_batch *b = &h->batch;

	for (; page < end; page += b->n) {
		b->page = page;
		b->n = end - page < CKPT_BATCH_PAGES ? end - page : CKPT_BATCH_PAGES;
		if (ckpt_source_copy(&h->source, h->each->space, page, b->n, b->expected, err) ||
		    h->each->fn(b, err))
			return -1;
	}
	return 0;
}

/* What its task keeps of the area of a piece. */
static void begin_piece(struct hand *h, const struct piece *p)
{
	const struct ckpt_build_task *t = h->each->task;
	const struct ckpt_image *image = h->each->restore->image;

	h->batch.area = p->area;
	h->batch.kept = t->kept ? t->kept[p->area - image->mms[t->task->mm].areas] : 0;
}

static int do_piece(struct hand *h, const struct piece *p, struct ckpt_err *err)
{
	uint64_t page = p->page, end;
	int more;

	begin_piece(h, p);

	while ((more = next_run(&h->source, h->each->space, p->area, &page, p->end, &end, err)) >
	       0) {
		if (do_run(h, page, end, err))
			return -1;
		atomic_fetch_add(&h->each->pages, end - page);
		page = end;
	}
	return more;
}

static void give_up(struct each *e, const struct ckpt_err *why)
{
	pthread_mutex_lock(&e->lock);
	if (e->err.status == CKPT_OK)
		e->err = *why;
	pthread_mutex_unlock(&e->lock);
	atomic_store(&e->failed, true);
}

static void *work(void *arg)
{
	cleanup_with(hand_done) struct hand h = { .each = arg, .batch.target = CKPT_MEMORY_NONE };
	struct ckpt_err err = CKPT_ERR_INIT;
	size_t i;

	if (hand_init(&h, &err)) {
		give_up(h.each, &err);
		return NULL;
	}
	while (!atomic_load(&h.each->failed) &&
	       (i = atomic_fetch_add(&h.each->next, 1)) < h.each->n_pieces) {
		if (do_piece(&h, &h.each->pieces[i], &err))
			give_up(h.each, &err);
	}
	return NULL;
}

static int add_piece(struct each *e, const struct ckpt_area *a, uint64_t page, uint64_t end,
		     struct ckpt_err *err)
{
	struct piece *p = reallocarray(e->pieces, e->n_pieces + 1, sizeof(*p));

	if (!p)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to fill process %d",
				 e->task->task->pid);
	e->pieces = p;
	p[e->n_pieces++] = (struct piece){ a, page, end };
	return 0;
}

/* Cut an area where there are enough pages for a piece. */
static int cut_area(struct each *e, const struct ckpt_area *a, struct ckpt_err *err)
{
	uint64_t page = a->start >> CKPT_PAGE_SHIFT, last = a->end >> CKPT_PAGE_SHIFT;
	uint64_t start = page, n = 0, end, take;
	int more;

	while ((more = next_run(e->restore->source, e->space, a, &page, last, &end, err)) > 0) {
		take = end - page < PIECE_PAGES - n ? end - page : PIECE_PAGES - n;
		page += take;
		n += take;
		if (n < PIECE_PAGES)
			continue;
		if (add_piece(e, a, start, page, err))
			return -1;
		start = page;
		n = 0;
	}
	return more < 0 || (n && add_piece(e, a, start, last, err)) ? -1 : 0;
}

static int cut(struct each *e, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &e->restore->image->mms[e->task->task->mm];

	e->space = mm->space;
	for (size_t i = 0; i < mm->n_areas; i++) {
		if (has_pages(&mm->areas[i]) && cut_area(e, &mm->areas[i], err))
			return -1;
	}
	return 0;
}

static void again(struct each *e)
{
	e->alone = true;
	ckpt_err_clear(&e->err);
	atomic_store(&e->next, 0);
	atomic_store(&e->pages, 0);
	atomic_store(&e->failed, false);
}

int ckpt_memory_each(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		     ckpt_batch_fn fn, uint64_t *ret_pages, struct ckpt_err *err)
{
	struct each e = { .restore = r, .task = t, .fn = fn, .err = CKPT_ERR_INIT };
	unsigned int n = ckpt_threads_wanted();

	if (cut(&e, err)) {
		free(e.pieces);
		return -1;
	}
	n = e.n_pieces < n ? e.n_pieces : n;
	e.alone = n < 2 || !r->source->fork;
	pthread_mutex_init(&e.lock, NULL);
	if (n)
		ckpt_threads_run(e.alone ? 1 : n, work, &e);
	/* a kernel may let nobody but the tracer, this thread, at protected pages (6.12) */
	if (e.err.status != CKPT_OK && !e.alone) {
		again(&e);
		work(&e);
	}
	pthread_mutex_destroy(&e.lock);
	free(e.pieces);
	if (e.err.status != CKPT_OK) {
		if (err)
			*err = e.err;
		return -1;
	}
	if (ret_pages)
		*ret_pages = atomic_load(&e.pages);
	return 0;
}
