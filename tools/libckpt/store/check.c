// SPDX-License-Identifier: GPL-2.0-or-later
/* Check: reading many blocks on all processors. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/threads.h"
#include "store/check.h"

struct work {
	struct ckpt_located at;
	struct ckpt_block_check *block;
};

/* Shared by the threads: work is taken by number, @lock guards the cache. */
struct run {
	struct ckpt_objects *objects;
	struct work *work;
	size_t n;
	atomic_size_t next;
	pthread_mutex_t lock;
	struct ckpt_err err;	/* of the first failure that is no damage */
};

static void keep(struct run *run, const struct ckpt_hash *name, uint8_t *plain, size_t len)
{
	struct ckpt_cache *cache = &run->objects->cache;
	size_t have;

	pthread_mutex_lock(&run->lock);
	if (cache->len + len <= CKPT_CACHE_LEN_MAX && !ckpt_cache_find(cache, name, &have))
		ckpt_cache_add(cache, name, plain, len);
	else
		free(plain);
	pthread_mutex_unlock(&run->lock);
}

static void note_damage(struct run *run, struct work *w, struct ckpt_err *why)
{
	if (why->status == CKPT_DAMAGED) {
		w->block->why = strdup(why->text);
		if (w->block->why)
			return;
		ckpt_fail(why, CKPT_FAILED, 0, "no memory to verify");
	}
	pthread_mutex_lock(&run->lock);
	if (run->err.status == CKPT_OK)
		run->err = *why;
	pthread_mutex_unlock(&run->lock);
}

/* @fd: the pack, or -errno. */
static uint8_t *read_one(struct run *run, const struct ckpt_located *at, int fd,
			 struct ckpt_object_reader *reader, struct ckpt_err *why)
{
	uint8_t *plain = NULL;

	if (fd < 0)
		ckpt_objects_fail_open(-fd, why);
	else
		plain = ckpt_object_read(reader, fd, &at->object, why);
	if (!plain)
		ckpt_objects_fail_at(run->objects, at, why);
	return plain;
}

/* The copy that was found first is damaged: any other will do. */
static uint8_t *read_other(const struct run *run, const struct ckpt_hash *name,
			   struct ckpt_object_reader *reader, uint32_t *ret_len)
{
	const struct ckpt_objects *o = run->objects;
	const struct ckpt_located *l = ckpt_object_table_find(&o->table, name);
	uint8_t *plain = NULL;

	for (; l && !plain; l = ckpt_object_table_next(&o->table, l)) {
		cleanup_close int fd = openat(o->dir, o->packs[l->pack].name,
					      O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0 || l->object.type != CKPT_OBJECT_BLOCK)
			continue;
		plain = ckpt_object_read(reader, fd, &l->object, NULL);
		*ret_len = l->object.raw_len;
	}
	return plain;
}

static void *check(void *arg)
{
	struct run *run = arg;
	const struct ckpt_objects *o = run->objects;
	struct ckpt_object_reader reader = { 0 };
	uint32_t pack = UINT32_MAX;
	int fd = -1;
	size_t i;

	while ((i = atomic_fetch_add(&run->next, 1)) < run->n) {
		struct work *w = &run->work[i];
		struct ckpt_err why = CKPT_ERR_INIT;
		uint32_t len = w->at.object.raw_len;
		uint8_t *plain;

		if (w->at.pack != pack) {
			ckpt_cleanup_close(&fd);
			pack = w->at.pack;
			fd = openat(o->dir, o->packs[pack].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
			fd = fd < 0 ? -errno : fd;
		}
		plain = read_one(run, &w->at, fd, &reader, &why);
		if (!plain && why.status == CKPT_DAMAGED)
			plain = read_other(run, &w->block->name, &reader, &len);
		if (plain) {
			w->block->len = len;
			keep(run, &w->block->name, plain, w->block->len);
		} else {
			note_damage(run, w, &why);
		}
	}
	ckpt_cleanup_close(&fd);
	ckpt_object_reader_done(&reader);
	return NULL;
}

static int by_place(const void *a, const void *b)
{
	const struct ckpt_located *x = &((const struct work *)a)->at;
	const struct ckpt_located *y = &((const struct work *)b)->at;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return x->object.offset < y->object.offset ? -1 : x->object.offset > y->object.offset;
}

static int locate(struct run *run, struct ckpt_block_check *blocks, size_t n,
		  struct ckpt_err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct ckpt_err why = CKPT_ERR_INIT;
		struct work *w = &run->work[run->n];
		const struct ckpt_located *at;

		w->block = &blocks[i];
		if (ckpt_objects_find(run->objects, &blocks[i].name, CKPT_OBJECT_BLOCK, &at,
				      &why)) {
			note_damage(run, w, &why);
			continue;
		}
		w->at = *at;
		run->n++;
	}
	if (run->err.status == CKPT_OK)
		return 0;
	if (err)
		*err = run->err;
	return -1;
}

static void check_all(struct run *run)
{
	unsigned int n = ckpt_threads_wanted();

	ckpt_threads_run(run->n < n ? run->n : n, check, run);
}

int ckpt_check_blocks(struct ckpt_objects *o, struct ckpt_block_check *blocks, size_t n,
		      struct ckpt_err *err)
{
	cleanup_free struct work *work = calloc(n + 1, sizeof(*work));
	struct run run = { .objects = o, .work = work };

	if (!work)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to verify");
	pthread_mutex_init(&run.lock, NULL);
	if (ckpt_objects_refresh(o, err) || locate(&run, blocks, n, err))
		return -1;
	qsort(work, run.n, sizeof(*work), by_place);
	check_all(&run);
	pthread_mutex_destroy(&run.lock);
	if (run.err.status != CKPT_OK) {
		if (err)
			*err = run.err;
		return -1;
	}
	return 0;
}
