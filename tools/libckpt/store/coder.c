// SPDX-License-Identifier: GPL-2.0-or-later
/* Coder: hashing and compressing objects on all processors. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/cleanup.h"
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
	struct tools tools[CKPT_CODER_THREADS];
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
	for (size_t i = 0; i < CKPT_CODER_THREADS; i++) {
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
	cpu_set_t cpus;

	if (!c) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory to compress");
		return NULL;
	}
	for (size_t i = 0; i < CKPT_CODER_THREADS; i++)
		c->tools[i].twins = (struct ckpt_twins)CKPT_TWINS_INIT;
	c->level = level;
	c->threads = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
	if (c->threads > CKPT_CODER_THREADS)
		c->threads = CKPT_CODER_THREADS;
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

/* Helpers take no signals: those are for the threads of the caller. */
static unsigned int start(struct run *run, unsigned int wanted, pthread_t *thread)
{
	sigset_t all, before;
	unsigned int n = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	while (n < wanted && !pthread_create(&thread[n], NULL, work, run))
		n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n;
}

int ckpt_coder_run(struct ckpt_coder *c, struct ckpt_code_job *jobs, size_t n,
		   struct ckpt_pack_out *pack, struct ckpt_err *err)
{
	struct run run = { .coder = c, .jobs = jobs, .n = n, .pack = pack };
	unsigned int wanted = (n < c->threads ? n : c->threads), started;
	pthread_t thread[CKPT_CODER_THREADS];

	started = wanted > 1 ? start(&run, wanted - 1, thread) : 0;
	work(&run);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	if (atomic_load(&run.failed))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to compress");
	for (size_t i = 0; i < n; i++)
		if (ckpt_pack_add(pack, &jobs[i].coded, err))
			return -1;
	return 0;
}
