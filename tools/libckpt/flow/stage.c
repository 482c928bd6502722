// SPDX-License-Identifier: GPL-2.0-or-later
/* Page sink in memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "flow/stage.h"

/* Pages of a chunk never move, so that a growing stage copies nothing. */
#define CHUNK_PAGES 4096u

struct chunk {
	uint8_t *mem;
	size_t pages, used;
};

struct op {
	const uint8_t *data;	/* NULL: drop */
	uint32_t space;
	uint64_t page, count;
};

struct ckpt_stage {
	struct chunk *chunks;
	size_t n_chunks, at;	/* at: the chunk being filled */
	struct op *ops;
	size_t n_ops;
	const struct ckpt_sink *below;
};

static int add_chunk(struct ckpt_stage *s, size_t pages, struct ckpt_err *err)
{
	struct chunk *chunks = realloc(s->chunks, (s->n_chunks + 1) * sizeof(*chunks));
	void *mem;

	if (!chunks)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the stage");
	s->chunks = chunks;
	mem = mmap(NULL, pages * CKPT_PAGE_LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (mem == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "no memory for %zu staged pages", pages);
	s->chunks[s->n_chunks++] = (struct chunk){ .mem = mem, .pages = pages };
	return 0;
}

struct ckpt_stage *ckpt_stage_new(size_t pages, struct ckpt_err *err)
{
	struct ckpt_stage *s = calloc(1, sizeof(*s));

	if (!s) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for the stage");
		return NULL;
	}
	if (add_chunk(s, pages ? pages : CHUNK_PAGES, err)) {
		ckpt_stage_free(s);
		return NULL;
	}
	return s;
}

void ckpt_stage_free(struct ckpt_stage *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_chunks; i++)
		munmap(s->chunks[i].mem, s->chunks[i].pages * CKPT_PAGE_LEN);
	free(s->chunks);
	free(s->ops);
	free(s);
}

void *ckpt_stage_room(struct ckpt_stage *s, size_t count, struct ckpt_err *err)
{
	while (s->at < s->n_chunks && s->chunks[s->at].pages - s->chunks[s->at].used < count)
		s->at++;
	if (s->at == s->n_chunks &&
	    add_chunk(s, count > CHUNK_PAGES ? count : CHUNK_PAGES, err))
		return NULL;
	return s->chunks[s->at].mem + s->chunks[s->at].used * CKPT_PAGE_LEN;
}

static int add_op(struct ckpt_stage *s, const struct op *op, struct ckpt_err *err)
{
	if (!(s->n_ops & (s->n_ops - 1))) {
		struct op *ops = realloc(s->ops, (s->n_ops ? 2 * s->n_ops : 1) * sizeof(*ops));

		if (!ops)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the stage");
		s->ops = ops;
	}
	s->ops[s->n_ops++] = *op;
	return 0;
}

int ckpt_stage_put_room(struct ckpt_stage *s, uint32_t space, uint64_t page, size_t count,
			struct ckpt_err *err)
{
	struct chunk *c = &s->chunks[s->at];
	struct op op = { .data = c->mem + c->used * CKPT_PAGE_LEN, .space = space, .page = page,
			 .count = count };

	if (add_op(s, &op, err))
		return -1;
	c->used += count;
	return 0;
}

static int stage_put(void *self, uint32_t space, uint64_t page, const void *data, size_t count,
		     struct ckpt_err *err)
{
	void *room = ckpt_stage_room(self, count, err);

	if (!room)
		return -1;
	memcpy(room, data, count * CKPT_PAGE_LEN);
	return ckpt_stage_put_room(self, space, page, count, err);
}

static int stage_drop(void *self, uint32_t space, uint64_t page, uint64_t count,
		      struct ckpt_err *err)
{
	struct op op = { .space = space, .page = page, .count = count };

	return add_op(self, &op, err);
}

static int stage_space_new(void *self, uint32_t *ret_space, struct ckpt_err *err)
{
	struct ckpt_stage *s = self;

	return s->below->space_new(s->below->self, ret_space, err);
}

struct ckpt_sink ckpt_stage_sink(struct ckpt_stage *s, const struct ckpt_sink *below)
{
	s->below = below;
	return (struct ckpt_sink){ .self = s, .put = stage_put, .drop = stage_drop,
				   .space_new = stage_space_new };
}

int ckpt_stage_replay(struct ckpt_stage *s, const struct ckpt_sink *sink, struct ckpt_err *err)
{
	for (size_t i = 0; i < s->n_ops; i++) {
		const struct op *op = &s->ops[i];

		if (op->data ? sink->put(sink->self, op->space, op->page, op->data, op->count, err)
			     : sink->drop(sink->self, op->space, op->page, op->count, err))
			return -1;
	}
	return 0;
}
