// SPDX-License-Identifier: GPL-2.0-or-later
/* Placed: what was written into an address space, to be known again. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "base/threads.h"
#include "proc/memory.h"
#include "proc/placed.h"

struct run {
	uint64_t page;
	size_t n;
	struct ckpt_stamp stamp;
};

/**
 * struct ckpt_placed - the batches of one address space
 * @lock: guards what follows while there are several threads
 * @runs: in no order
 * @pages: of all of them
 * @longest: pages of the longest one
 * @doubt: one is missing
 */
struct ckpt_placed {
	struct ckpt_stamp_key key;
	pthread_mutex_t lock;
	struct run *runs;
	size_t n, room;
	uint64_t pages;
	size_t longest;
	bool doubt;
};

struct ckpt_placed *ckpt_placed_new(void)
{
	struct ckpt_placed *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->key = ckpt_stamp_key_new();
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void ckpt_placed_free(struct ckpt_placed *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p->runs);
	explicit_bzero(&p->key, sizeof(p->key));
	free(p);
}

struct ckpt_stamper *ckpt_placed_stamper(const struct ckpt_placed *p)
{
	return p ? ckpt_stamper_new(&p->key) : NULL;
}

static void note(struct ckpt_placed *p, const struct run *run)
{
	struct run *more;
	size_t room;

	if (p->n == p->room) {
		room = p->room ? 2 * p->room : 64;
		more = reallocarray(p->runs, room, sizeof(*more));
		if (!more) {
			p->doubt = true;
			return;
		}
		p->runs = more;
		p->room = room;
	}
	p->runs[p->n++] = *run;
	p->pages += run->n;
	p->longest = run->n > p->longest ? run->n : p->longest;
}

void ckpt_placed_add(struct ckpt_placed *p, struct ckpt_stamper *s, uint64_t page, size_t n,
		     const void *data)
{
	struct run run = { .page = page, .n = n };
	bool failed;

	if (!p)
		return;
	failed = ckpt_stamp(s, data, n * CKPT_PAGE_LEN, &run.stamp);
	pthread_mutex_lock(&p->lock);
	if (failed)
		p->doubt = true;
	else
		note(p, &run);
	pthread_mutex_unlock(&p->lock);
}

/* A comparison, shared by its threads. */
struct look {
	const struct ckpt_placed *placed;
	pid_t host;
	atomic_size_t next;
	atomic_bool differs;
};

static bool run_same(const struct run *run, const struct ckpt_memory *m, struct ckpt_stamper *s,
		     uint8_t *found)
{
	size_t len = run->n * CKPT_PAGE_LEN;
	struct ckpt_stamp stamp;

	return ckpt_memory_read(m, run->page << CKPT_PAGE_SHIFT, found, len) == len &&
	       !ckpt_stamp(s, found, len, &stamp) && ckpt_stamp_equal(&run->stamp, &stamp);
}

static void *work(void *arg)
{
	struct look *look = arg;
	const struct ckpt_placed *p = look->placed;
	struct ckpt_stamper *s = ckpt_placed_stamper(p);
	cleanup_free uint8_t *found = malloc(p->longest * CKPT_PAGE_LEN);
	struct ckpt_memory m = CKPT_MEMORY_NONE;
	size_t i;

	if (!s || !found || ckpt_memory_open(look->host, &m, NULL))
		atomic_store(&look->differs, true);
	while (!atomic_load(&look->differs) && (i = atomic_fetch_add(&look->next, 1)) < p->n) {
		if (!run_same(&p->runs[i], &m, s, found))
			atomic_store(&look->differs, true);
	}
	ckpt_memory_close(&m);
	ckpt_stamper_free(s);
	return NULL;
}

bool ckpt_placed_same(struct ckpt_placed *p, pid_t host, uint64_t pages)
{
	struct look look = { .placed = p, .host = host };
	unsigned int n = ckpt_threads_wanted();

	/* more than there are were placed in two attempts */
	if (!p || p->doubt || p->pages != pages)
		return false;
	if (p->n)
		ckpt_threads_run(p->n < n ? p->n : n, work, &look);
	return !atomic_load(&look.differs);
}
