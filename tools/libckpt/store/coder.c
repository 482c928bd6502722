// SPDX-License-Identifier: GPL-2.0-or-later
/* Coder: hashing and compressing objects on all processors. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/threads.h"
#include "store/coder.h"
#include "store/twin.h"

/* Objects shorter than this are left raw: the frame would eat the gain. */
#define COMPRESS_MIN 256u

struct room {
	uint8_t *plain;
	uint8_t *packed;
	size_t len;
};

/* What one thread works with. */
struct tools {
	ZSTD_CCtx *zstd;
	struct ckpt_twins twins;
};

struct ckpt_coder {
	int level;
	unsigned int threads;
	struct tools tools[CKPT_THREADS_MAX];
	struct room room[CKPT_CODER_BATCH];
};

/* One run, shared by its threads. Jobs are taken by number, results lie in the jobs. */
struct run {
	struct ckpt_coder *coder;
	struct ckpt_code_job *jobs;
	size_t n;
	const struct ckpt_pack_out *pack;
	atomic_size_t next;
	atomic_uint thread;
	atomic_bool failed;
};

void ckpt_coder_free(struct ckpt_coder *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CKPT_THREADS_MAX; i++) {
		ZSTD_freeCCtx(c->tools[i].zstd);
		ckpt_twins_done(&c->tools[i].twins);
	}
	for (size_t i = 0; i < CKPT_CODER_BATCH; i++) {
		free(c->room[i].plain);
		free(c->room[i].packed);
	}
	free(c);
}

struct ckpt_coder *ckpt_coder_new(int level, struct ckpt_err *err)
{
	struct ckpt_coder *c = calloc(1, sizeof(*c));

	if (!c) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory to compress");
		return NULL;
	}
	for (size_t i = 0; i < CKPT_THREADS_MAX; i++)
		c->tools[i].twins = (struct ckpt_twins)CKPT_TWINS_INIT;
	c->level = level;
	c->threads = ckpt_threads_wanted();
	return c;
}

static int make_room(struct room *r, size_t len)
{
	if (r->len >= len)
		return 0;
	free(take_ptr(r->plain));
	free(take_ptr(r->packed));
	r->plain = malloc(len);
	r->packed = malloc(len);
	r->len = r->plain && r->packed ? len : 0;
	return r->len ? 0 : -1;
}

/* Return: 0, or -1 without memory. */
static int compress(const struct run *run, struct ckpt_code_job *j, struct room *r,
		    struct tools *t)
{
	struct ckpt_object *o = &j->coded.object;
	size_t packed;

	if (!t->zstd && !(t->zstd = ZSTD_createCCtx()))
		return -1;
	/* No room to grow: what does not shrink is an error, and stored raw. */
	packed = ZSTD_compressCCtx(t->zstd, r->packed, o->raw_len - 1, r->plain, o->raw_len,
				   run->coder->level);
	if (!ZSTD_isError(packed)) {
		o->codec = CKPT_CODEC_ZSTD;
		o->stored_len = packed;
		j->coded.stored = r->packed;
	}
	return 0;
}

static int code(const struct run *run, struct ckpt_code_job *j, struct room *r, struct tools *t)
{
	struct ckpt_object *o = &j->coded.object;
	size_t len = j->parts * j->part_len;

	if (make_room(r, len))
		return -1;
	for (size_t i = 0; i < j->parts; i++)
		memcpy(r->plain + i * j->part_len, j->part[i], j->part_len);
	*o = (struct ckpt_object){ .type = j->type, .raw_len = len, .stored_len = len };
	j->coded.stored = r->plain;
	if (ckpt_hash_of(r->plain, len, &o->hash))
		return -1;
	if (ckpt_pack_has(run->pack, &o->hash))
		return 0;
	j->coded.in_store = ckpt_twin(&t->twins, &run->pack->group->store->objects, o, r->plain);
	if (j->coded.in_store)
		return 0;
	if (len >= COMPRESS_MIN && compress(run, j, r, t))
		return -1;
	o->crc = ckpt_crc32c(0, j->coded.stored, o->stored_len);
	return 0;
}

static void *work(void *arg)
{
	struct run *run = arg;
	struct tools *tools = &run->coder->tools[atomic_fetch_add(&run->thread, 1)];
	size_t i;

	while ((i = atomic_fetch_add(&run->next, 1)) < run->n)
		if (code(run, &run->jobs[i], &run->coder->room[i], tools))
			atomic_store(&run->failed, true);
	return NULL;
}

int ckpt_coder_run(struct ckpt_coder *c, struct ckpt_code_job *jobs, size_t n,
		   struct ckpt_pack_out *pack, struct ckpt_err *err)
{
	struct run run = { .coder = c, .jobs = jobs, .n = n, .pack = pack };

	ckpt_threads_run(n < c->threads ? n : c->threads, work, &run);
	if (atomic_load(&run.failed))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to compress");
	for (size_t i = 0; i < n; i++)
		if (ckpt_pack_add(pack, &jobs[i].coded, err))
			return -1;
	return 0;
}
