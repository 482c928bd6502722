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

/* @plain: where it is kept, or NULL; @stamp: of its stored bytes, if @stamped */
struct work {
	struct ckpt_located at;
	struct ckpt_block_check *block;
	uint8_t *plain;
	struct ckpt_stamp stamp;
	bool stamped;
};

/* Shared by the threads: work is taken by number, @lock guards @err. */
struct run {
	struct ckpt_objects *objects;
	struct work *work;
	size_t n;
	atomic_size_t next;
	pthread_mutex_t lock;
	struct ckpt_err err;	/* of the first failure that is no damage */
};

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
static int read_one(struct run *run, struct work *w, int fd, struct ckpt_object_reader *reader,
		    struct ckpt_err *why)
{
	if (fd < 0 ? ckpt_objects_fail_open(-fd, why)
		   : ckpt_object_check(reader, fd, &w->at.object, w->plain, &w->stamped, &w->stamp,
					 why))
		return ckpt_objects_fail_at(run->objects, &w->at, why);
	w->block->len = w->at.object.raw_len;
	return 0;
}

/* The copy that was found first is damaged: any other will do. */
static int read_other(const struct run *run, struct work *w, struct ckpt_object_reader *reader)
{
	const struct ckpt_objects *o = run->objects;
	const struct ckpt_located *l = ckpt_object_table_find(&o->table, &w->block->name);

	for (; l; l = ckpt_object_table_next(&o->table, l)) {
		cleanup_close int fd = openat(o->dir, o->packs[l->pack].name,
					      O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		/* what bears the same name is as long */
		if (fd < 0 || l->object.type != CKPT_OBJECT_BLOCK ||
		    (w->plain && l->object.raw_len != w->at.object.raw_len) ||
		    ckpt_object_check(reader, fd, &l->object, w->plain, &w->stamped, &w->stamp,
				      NULL))
			continue;
		w->block->len = l->object.raw_len;
		return 0;
	}
	return -1;
}

static void *check(void *arg)
{
	struct run *run = arg;
	const struct ckpt_objects *o = run->objects;
	struct ckpt_object_reader reader = { 0 };
	uint32_t pack = UINT32_MAX;
	int fd = -1;
	size_t i;

	reader.stamper = ckpt_stamper_new(&o->whole.key);
	while ((i = atomic_fetch_add(&run->next, 1)) < run->n) {
		struct work *w = &run->work[i];
		struct ckpt_err why = CKPT_ERR_INIT;

		if (w->at.pack != pack) {
			ckpt_cleanup_close(&fd);
			pack = w->at.pack;
			fd = openat(o->dir, o->packs[pack].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
			fd = fd < 0 ? -errno : fd;
		}
		if (read_one(run, w, fd, &reader, &why) &&
		    (why.status != CKPT_DAMAGED || read_other(run, w, &reader)))
			note_damage(run, w, &why);
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

/* Rooms for all of them, one behind the other as they lie on disk, or for none. */
static void give_rooms(struct run *run)
{
	struct ckpt_kept *kept = &run->objects->kept;
	size_t len = 0;

	for (size_t i = 0; i < run->n; i++)
		len += run->work[i].at.object.raw_len;
	ckpt_kept_open(kept, run->n, len);
	for (size_t i = 0; i < run->n; i++)
		run->work[i].plain = ckpt_kept_room(kept, run->work[i].at.object.raw_len);
}

static void check_all(struct run *run, bool keep)
{
	struct ckpt_objects *o = run->objects;
	unsigned int n = ckpt_threads_wanted();

	if (keep)
		give_rooms(run);
	ckpt_whole_open(&o->whole, run->n);
	ckpt_threads_run(run->n < n ? run->n : n, check, run);
	for (size_t i = 0; i < run->n; i++) {
		const struct work *w = &run->work[i];

		if (w->plain && w->block->len)
			ckpt_kept_add(&o->kept, &w->block->name, w->plain, w->block->len);
		else if (w->stamped)
			ckpt_whole_add(&o->whole, &w->block->name, &w->stamp);
	}
	ckpt_kept_close(&o->kept);
}

int ckpt_check_blocks(struct ckpt_objects *o, struct ckpt_block_check *blocks, size_t n,
		      bool keep, struct ckpt_err *err)
{
	cleanup_free struct work *work = calloc(n + 1, sizeof(*work));
	struct run run = { .objects = o, .work = work };

	if (!work)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to verify");
	pthread_mutex_init(&run.lock, NULL);
	if (ckpt_objects_refresh(o, err) || locate(&run, blocks, n, err))
		return -1;
	qsort(work, run.n, sizeof(*work), by_place);
	check_all(&run, keep);
	pthread_mutex_destroy(&run.lock);
	if (run.err.status != CKPT_OK) {
		if (err)
			*err = run.err;
		return -1;
	}
	return 0;
}
