// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Gather: many reads of other processes' memory
 *
 * Pages that were written are scattered: a call for each costs more than the copy.  One call
 * takes many; where it comes out short, its reads are made one by one, which tells whose it was.
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/threads.h"
#include "proc/gather.h"

#define CALL_READS 256u			/* places in one call */
#define CALL_LEN (1u << 20)		/* bytes after which the next call begins */
#define LONG_LEN (64u << 10)		/* from then on it is worth a look at what is shared */
#define ALONE_LEN (2u << 20)		/* less is read before another thread has started */

struct run {
	struct ckpt_gather *gather;
	atomic_size_t next;
};

void ckpt_gather_done(struct ckpt_gather *g)
{
	free(g->reads);
	*g = (struct ckpt_gather){ 0 };
}

int ckpt_gather_add(struct ckpt_gather *g, const struct ckpt_memory *from, uint64_t addr, void *to,
		    size_t len, struct ckpt_err *err)
{
	struct ckpt_gather_read *reads;

	if (g->n == g->room) {
		g->room = g->room ? 2 * g->room : 256;
		reads = reallocarray(g->reads, g->room, sizeof(*reads));
		if (!reads)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of reads");
		g->reads = reads;
	}
	g->reads[g->n++] = (struct ckpt_gather_read){ .from = *from, .addr = addr, .to = to,
						      .len = len };
	g->len += len;
	return 0;
}

/* A read that leaves shared what is: for others it would cost more than it saves. */
static bool careful(const struct ckpt_gather_read *r)
{
	return r->from.forked || r->len >= LONG_LEN;
}

/* Reads from @r on, before @end, that one call can make. */
static size_t one_call(const struct ckpt_gather_read *r, const struct ckpt_gather_read *end,
		       size_t *ret_len)
{
	size_t n = 0, len = 0;

	for (; r + n < end && n < CALL_READS && r[n].from.pid == r->from.pid; n++) {
		if (n && (len + r[n].len > CALL_LEN || careful(r) || careful(&r[n])))
			break;
		len += r[n].len;
	}
	*ret_len = len;
	return n;
}

static void make(struct ckpt_gather_read *r, size_t n, size_t len)
{
	struct iovec to[CALL_READS], from[CALL_READS];
	size_t i;

	for (i = 0; i < n; i++) {
		to[i] = (struct iovec){ r[i].to, r[i].len };
		from[i] = (struct iovec){ (void *)(uintptr_t)r[i].addr, r[i].len };
		r[i].got = r[i].len;
	}
	if (!careful(r) && process_vm_readv(r->from.pid, to, n, from, n, 0) == (ssize_t)len)
		return;
	for (i = 0; i < n; i++)
		r[i].got = ckpt_memory_read(&r[i].from, r[i].addr, r[i].to, r[i].len);
}

static void *work(void *arg)
{
	struct run *run = arg;
	struct ckpt_gather *g = run->gather;
	size_t i = atomic_load(&run->next), n, len;

	while (i < g->n) {
		n = one_call(&g->reads[i], g->reads + g->n, &len);
		if (!atomic_compare_exchange_weak(&run->next, &i, i + n))
			continue;
		make(&g->reads[i], n, len);
		i = atomic_load(&run->next);
	}
	return NULL;
}

const struct ckpt_gather_read *ckpt_gather_run(struct ckpt_gather *g)
{
	struct run run = { .gather = g };
	unsigned int n = ckpt_threads_wanted();

	ckpt_threads_run(g->len < ALONE_LEN ? 1 : n, work, &run);
	for (size_t i = 0; i < g->n; i++) {
		if (g->reads[i].got < g->reads[i].len)
			return &g->reads[i];
	}
	return NULL;
}
