// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory of a checkpoint: which pages are copied, kept and dropped. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wire.h"
#include "flow/memory.h"

#define N 64	/* pages under test */

/* One space, as a sink and a source. */
struct model {
	uint8_t data[N][CKPT_PAGE_LEN];
	enum ckpt_page_kind kind[N];
	uint64_t first;	/* page number of index 0 */
	uint32_t space, next_space;
	size_t puts;
};

static int model_put(void *self, uint32_t space, uint64_t page, const void *data, size_t count,
		     struct ckpt_err *err)
{
	struct model *m = self;

	(void)err;
	assert_int_equal(space, m->space);
	for (size_t i = 0; i < count; i++) {
		size_t at = page + i - m->first;

		assert_true(at < N);
		memcpy(m->data[at], (const uint8_t *)data + i * CKPT_PAGE_LEN, CKPT_PAGE_LEN);
		m->kind[at] = CKPT_PAGE_IS_DATA;
		m->puts++;
	}
	return 0;
}

static int model_drop(void *self, uint32_t space, uint64_t page, uint64_t count,
		      struct ckpt_err *err)
{
	struct model *m = self;

	(void)err;
	assert_int_equal(space, m->space);
	for (size_t at = 0; at < N; at++)
		if (m->first + at >= page && m->first + at - page < count)
			m->kind[at] = CKPT_PAGE_IS_ABSENT;
	return 0;
}

static int model_space_new(void *self, uint32_t *ret, struct ckpt_err *err)
{
	struct model *m = self;

	(void)err;
	*ret = m->space = ++m->next_space;
	return 0;
}

static int model_next(void *self, uint32_t space, uint64_t *page, uint64_t *ret_count,
		      enum ckpt_page_kind *ret_kind, struct ckpt_err *err)
{
	struct model *m = self;

	(void)err;
	assert_int_equal(space, m->space);
	for (size_t at = 0; at < N; at++) {
		if (m->first + at < *page || m->kind[at] == CKPT_PAGE_IS_ABSENT)
			continue;
		*page = m->first + at;
		*ret_count = 1;
		*ret_kind = m->kind[at];
		return 1;
	}
	return 0;
}

struct env {
	struct model model;
	struct ckpt_sink sink;
	struct ckpt_source source;
	struct ckpt_mem mem;
	struct ckpt_area area;
	struct ckpt_mm mm;
	struct ckpt_image image;
	uint8_t *memory;
};

static struct env *env_new(void)
{
	struct env *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	e->memory = mmap(NULL, N * CKPT_PAGE_LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(e->memory != MAP_FAILED);
	e->model.first = (uintptr_t)e->memory >> CKPT_PAGE_SHIFT;
	e->sink = (struct ckpt_sink){ &e->model, model_put, model_drop, model_space_new };
	e->source = (struct ckpt_source){ .self = &e->model, .next = model_next };
	e->area = (struct ckpt_area){ .start = (uintptr_t)e->memory,
				      .end = (uintptr_t)e->memory + N * CKPT_PAGE_LEN,
				      .kind = CKPT_AREA_KIND_ANON };
	e->mm = (struct ckpt_mm){ .pid = getpid(), .areas = &e->area, .n_areas = 1 };
	e->image = (struct ckpt_image){ .mms = &e->mm, .n_mms = 1 };
	for (size_t i = 0; i < N; i++)
		memset(e->memory + i * CKPT_PAGE_LEN, i + 1, CKPT_PAGE_LEN);
	return e;
}

static void env_free(struct env *e)
{
	ckpt_mem_done(&e->mem);
	munmap(e->memory, N * CKPT_PAGE_LEN);
	free(e);
}

/* A take with one run per entry of @runs: {first page, pages, state, flags}. */
static struct ckpt_take take_of(const struct env *e, const int (*runs)[4], size_t n, uint32_t flags)
{
	struct ckpt_take take = { 0 };
	struct ckpt_take_mm *mm = ckpt_take_add_mm(&take, 77, getpid(), flags);
	struct ckpt_take_area *area;

	assert_non_null(mm);
	area = ckpt_take_add_area(mm, e->area.start, e->area.end, 0);
	assert_non_null(area);
	for (size_t i = 0; i < n; i++) {
		struct ckpt_run run = { e->area.start + runs[i][0] * CKPT_PAGE_LEN, runs[i][1],
					runs[i][2], runs[i][3] };

		assert_int_equal(ckpt_take_add_run(area, &run), 0);
	}
	return take;
}

static void final(struct env *e, const int (*runs)[4], size_t n, uint32_t flags)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stage *stage = ckpt_stage_new(2, &err);
	struct ckpt_take take = take_of(e, runs, n, flags);
	struct ckpt_sink sink;

	assert_non_null(stage);
	sink = ckpt_stage_sink(stage, &e->sink);
	if (ckpt_mem_final(&e->mem, &take, &e->image, stage, &sink, &err))
		fail_msg("%s", err.text);
	assert_int_equal(ckpt_stage_replay(stage, &e->sink, &err), 0);
	ckpt_stage_free(stage);
	ckpt_take_done(&take);
}

static void expect_same(const struct env *e, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		assert_int_equal(e->model.kind[i], CKPT_PAGE_IS_DATA);
		assert_memory_equal(e->model.data[i], e->memory + i * CKPT_PAGE_LEN, CKPT_PAGE_LEN);
	}
}

static void expect_absent(const struct env *e, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		assert_int_equal(e->model.kind[i], CKPT_PAGE_IS_ABSENT);
}

#define RUNS(...) (const int[][4]){ __VA_ARGS__ }, sizeof((const int[][4]){ __VA_ARGS__ }) / 16

static void dirty_pages_are_copied_and_gaps_absent(void **state)
{
	struct env *e = env_new();

	(void)state;
	final(e, RUNS({ 4, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY },
		      { 20, 2, CKPT_PAGE_SWAP, CKPT_RUN_DIRTY }), CKPT_MM_NEW);
	expect_absent(e, 0, 4);
	expect_same(e, 4, 12);
	expect_absent(e, 12, 20);
	expect_same(e, 20, 22);
	expect_absent(e, 22, N);
	assert_int_equal(e->mem.final_pages, 10);
	env_free(e);
}

static void clean_pages_the_parent_lacks_are_copied(void **state)
{
	struct env *e = env_new();

	(void)state;
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);
	/* Clean 8..16 were never captured: the tracker's word is not enough. */
	final(e, RUNS({ 0, 16, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 16);
	assert_int_equal(e->model.puts, 16);
	env_free(e);
}

static void vanished_pages_are_dropped(void **state)
{
	struct env *e = env_new();

	(void)state;
	final(e, RUNS({ 0, 32, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, 0 }, { 8, 4, CKPT_PAGE_ZERO, 0 },
		      { 24, 8, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 8);
	expect_absent(e, 8, 24);
	expect_same(e, 24, 32);
	assert_int_equal(e->model.puts, 32);
	env_free(e);
}

static void file_pages_are_absent_and_zero_pages_kept_in_file_maps(void **state)
{
	struct env *e = env_new();
	static const uint8_t zero[CKPT_PAGE_LEN];

	(void)state;
	e->area.kind = CKPT_AREA_KIND_FILE_PRIVATE;
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);
	final(e, RUNS({ 0, 4, CKPT_PAGE_FILE, 0 }, { 4, 2, CKPT_PAGE_ZERO, 0 },
		      { 6, 2, CKPT_PAGE_ANON, 0 }), 0);
	expect_absent(e, 0, 4);
	assert_int_equal(e->model.kind[4], CKPT_PAGE_IS_DATA);
	assert_memory_equal(e->model.data[4], zero, CKPT_PAGE_LEN);
	expect_same(e, 6, 8);
	env_free(e);
}

static void live_round_then_clean_costs_nothing_more(void **state)
{
	struct env *e = env_new();
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take take = take_of(e, RUNS({ 0, 32, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);

	(void)state;
	assert_int_equal(ckpt_mem_live(&e->mem, &take, &e->sink, &err), 0);
	ckpt_take_done(&take);
	memset(e->memory + 5 * CKPT_PAGE_LEN, 0xee, CKPT_PAGE_LEN);
	final(e, RUNS({ 0, 5, CKPT_PAGE_ANON, 0 }, { 5, 1, CKPT_PAGE_ANON, CKPT_RUN_DIRTY },
		      { 6, 26, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 32);
	assert_int_equal(e->mem.final_pages, 1);
	assert_int_equal(e->mem.pages_read, 33);
	env_free(e);
}

static void what_a_live_round_could_not_read_is_not_known(void **state)
{
	struct env *e = env_new();
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take take;

	(void)state;
	final(e, RUNS({ 0, 32, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);
	memset(e->memory + 3 * CKPT_PAGE_LEN, 0xcc, 2 * CKPT_PAGE_LEN);
	/* The process that the tracker named is gone when the round is copied. */
	take = take_of(e, RUNS({ 0, 3, CKPT_PAGE_ANON, 0 },
			       { 3, 3, CKPT_PAGE_ANON, CKPT_RUN_DIRTY },
			       { 6, 26, CKPT_PAGE_ANON, 0 }), 0);
	take.mms[0].pid = INT32_MAX;
	assert_int_equal(ckpt_mem_live(&e->mem, &take, &e->sink, &err), 0);
	ckpt_take_done(&take);
	/* The last round says clean, and that page 5 is gone. */
	final(e, RUNS({ 0, 5, CKPT_PAGE_ANON, 0 }, { 6, 26, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 5);
	expect_absent(e, 5, 6);
	expect_same(e, 6, 32);
	assert_int_equal(e->mem.final_pages, 34);
	env_free(e);
}

/* A last round that must not succeed, and what it says. */
static void final_refused(struct env *e, const int (*runs)[4], size_t n, const char *says)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stage *stage = ckpt_stage_new(2, &err);
	struct ckpt_take take = take_of(e, runs, n, CKPT_MM_NEW);
	struct ckpt_sink sink;

	assert_non_null(stage);
	sink = ckpt_stage_sink(stage, &e->sink);
	assert_int_equal(ckpt_mem_final(&e->mem, &take, &e->image, stage, &sink, &err), -1);
	if (err.status != CKPT_REFUSED || !strstr(err.text, says))
		fail_msg("\"%s\" (status %d) does not say \"%s\"", err.text, err.status, says);
	ckpt_stage_free(stage);
	ckpt_take_done(&take);
}

static void pages_that_cannot_come_back_are_refused(void **state)
{
	struct env *e = env_new();

	(void)state;
	final_refused(e, RUNS({ 0, 4, CKPT_PAGE_ANON, 0 }, { 4, 2, CKPT_PAGE_SPECIAL, 0 }),
		      "cannot be read as memory (state 7)");
	env_free(e);
}

#define BYTES(e, page) ((e)->area.start + (page) * (uint64_t)CKPT_PAGE_LEN)

static void expect_guards(const struct env *e, const int (*list)[2], size_t n)
{
	assert_int_equal(e->mm.n_guards, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(e->mm.guards[i].start, BYTES(e, list[i][0]));
		assert_int_equal(e->mm.guards[i].end, BYTES(e, list[i][1]));
	}
}

#define GUARDS(...) (const int[][2]){ __VA_ARGS__ }, sizeof((const int[][2]){ __VA_ARGS__ }) / 8

/* A page that becomes one has no content any more, and has it anew when it is one no more. */
static void guard_pages_are_noted_and_dropped(void **state)
{
	struct env *e = env_new();

	(void)state;
	final(e, RUNS({ 0, 16, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);
	assert_int_equal(e->mm.n_guards, 0);
	/* what cannot be read is not looked at */
	assert_int_equal(munmap(e->memory + 4 * CKPT_PAGE_LEN, 2 * CKPT_PAGE_LEN), 0);
	final(e, RUNS({ 0, 4, CKPT_PAGE_ANON, 0 }, { 4, 2, CKPT_PAGE_GUARD, CKPT_RUN_DIRTY },
		      { 6, 10, CKPT_PAGE_ANON, 0 }, { 40, 1, CKPT_PAGE_GUARD, 0 }), 0);
	expect_same(e, 0, 4);
	expect_absent(e, 4, 6);
	expect_same(e, 6, 16);
	expect_absent(e, 16, N);
	expect_guards(e, GUARDS({ 4, 6 }, { 40, 41 }));
	assert_int_equal(e->model.puts, 16);
	assert_true(mmap(e->memory + 4 * CKPT_PAGE_LEN, CKPT_PAGE_LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	memset(e->memory + 4 * CKPT_PAGE_LEN, 0x5a, CKPT_PAGE_LEN);
	/* even if its tracker said that it was not written: nobody has it */
	final(e, RUNS({ 0, 5, CKPT_PAGE_ANON, 0 }, { 5, 1, CKPT_PAGE_GUARD, 0 },
		      { 6, 10, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 5);
	expect_absent(e, 5, 6);
	expect_guards(e, GUARDS({ 5, 6 }));
	free(e->mm.guards);
	env_free(e);
}

/* A round while the group runs does not touch them either. */
static void guard_pages_are_not_copied_live(void **state)
{
	struct env *e = env_new();
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take take = take_of(e, RUNS({ 0, 4, CKPT_PAGE_ANON, CKPT_RUN_DIRTY },
						{ 4, 4, CKPT_PAGE_GUARD, CKPT_RUN_DIRTY }), 0);

	(void)state;
	assert_int_equal(ckpt_mem_live(&e->mem, &take, &e->sink, &err), 0);
	ckpt_take_done(&take);
	assert_int_equal(e->mem.pages_read, 4);
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 8);
	assert_int_equal(e->mm.n_guards, 0);
	env_free(e);
}

/* Areas whose content is not kept, or is elsewhere, have them as well. */
static void guard_pages_of_areas_without_content(void **state)
{
	static const struct {
		uint32_t kind, flags;
	} areas[] = {
		{ CKPT_AREA_KIND_FILE_SHARED, 0 },
		{ CKPT_AREA_KIND_ANON, CKPT_AREA_F_WIPEONFORK },
		{ CKPT_AREA_KIND_ANON, CKPT_AREA_F_DROPPABLE },
	};
	struct env *e = env_new();

	(void)state;
	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
		e->area.kind = areas[i].kind;
		e->area.flags = areas[i].flags;
		/* a page that is swapped, and not one of older kernels that looks like it */
		final(e, RUNS({ 3, 1, CKPT_PAGE_GUARD, 0 }, { 5, 1, CKPT_PAGE_SWAP, 0 }), 0);
		expect_guards(e, GUARDS({ 3, 4 }));
		expect_absent(e, 0, N);
	}
	assert_int_equal(munmap(e->memory + 5 * CKPT_PAGE_LEN, CKPT_PAGE_LEN), 0);
	final_refused(e, RUNS({ 5, 1, CKPT_PAGE_SWAP, 0 }), "may be a guard region");
	free(e->mm.guards);
	env_free(e);
}

/* The tracker has seen content where nothing can be read. */
static void pages_that_cannot_be_read_are_refused(void **state)
{
	struct env *e = env_new();

	(void)state;
	assert_int_equal(munmap(e->memory + 6 * CKPT_PAGE_LEN, CKPT_PAGE_LEN), 0);
	final_refused(e, RUNS({ 0, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), "cannot read page");
	final_refused(e, RUNS({ 0, 8, CKPT_PAGE_ANON, 0 }), "which has content");
	assert_int_equal(e->model.puts, 0);
	env_free(e);
}

/* A process with other content at the same addresses, until it is killed. */
static pid_t other_process(struct env *e)
{
	pid_t pid;
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		memset(e->memory, 0x99, N * CKPT_PAGE_LEN);
		_exit(write(ready[1], "", 1) != 1 || pause());
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* One live round, through @pid. */
static void live(struct env *e, const int (*runs)[4], size_t n, pid_t pid)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take take = take_of(e, runs, n, 0);

	take.mms[0].pid = pid;
	if (ckpt_mem_live(&e->mem, &take, &e->sink, &err))
		fail_msg("%s", err.text);
	ckpt_take_done(&take);
}

/* It was named twice, and executed something else after the second time. */
static void a_process_must_be_named_after_every_round(void **state)
{
	struct env *e = env_new();
	pid_t pid = other_process(e);

	(void)state;
	live(e, RUNS({ 0, 4, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), pid);
	live(e, RUNS({ 0, 4, CKPT_PAGE_ANON, 0 }, { 4, 4, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), pid);
	/* The first four pages were the right ones: here they must be equal. */
	memset(e->memory, 0x99, 4 * CKPT_PAGE_LEN);
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 8);
	assert_int_equal(e->mem.final_pages, 4);
	end_process(pid);
	env_free(e);
}

/* A vfork child was named, and had executed something else when its memory was read. */
static void pages_of_a_process_that_is_not_named_again_are_not_known(void **state)
{
	struct env *e = env_new();
	pid_t pid = other_process(e);

	(void)state;
	final(e, RUNS({ 0, 4, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);
	live(e, RUNS({ 0, 4, CKPT_PAGE_ANON, 0 }, { 4, 28, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), pid);
	assert_int_equal(e->model.data[4][0], 0x99);
	final(e, RUNS({ 0, 32, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 32);
	expect_absent(e, 32, N);
	end_process(pid);
	env_free(e);
}

/* Named twice in a row it is the right one: what was read in between stays. */
static void pages_of_a_process_that_is_named_again_are_kept(void **state)
{
	struct env *e = env_new();

	(void)state;
	live(e, RUNS({ 0, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), getpid());
	live(e, RUNS({ 0, 8, CKPT_PAGE_ANON, 0 }, { 8, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }),
	     getpid());
	final(e, RUNS({ 0, 16, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 16);
	assert_int_equal(e->mem.final_pages, 0);
	env_free(e);
}

/* The tracker knows space 1 by its cookie, and a stranger has the pid it had before. */
static void two_address_spaces_never_share_a_space(void **state)
{
	struct env *e = env_new();
	struct ckpt_err err = CKPT_ERR_INIT;
	pid_t pid = other_process(e);
	struct ckpt_mm mms[2] = { e->mm, e->mm };
	struct ckpt_take_mm *stranger;
	struct ckpt_stage *stage;
	struct ckpt_sink sink;
	struct ckpt_take take;

	(void)state;
	final(e, RUNS({ 0, 4, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);
	e->mem.mms[0].pid = pid;
	mms[0].pid = pid;
	e->image = (struct ckpt_image){ .mms = mms, .n_mms = 2 };
	stage = ckpt_stage_new(2, &err);
	sink = ckpt_stage_sink(stage, &e->sink);
	take = take_of(e, RUNS({ 0, 4, CKPT_PAGE_ANON, 0 }), 0);
	/* As where the tracker has no word on it, which takes long to find out here. */
	stranger = ckpt_take_add_mm(&take, 0, pid, 0);
	assert_non_null(stranger);
	assert_non_null(ckpt_take_add_area(stranger, e->area.start, e->area.end, 0));
	if (ckpt_mem_final(&e->mem, &take, &e->image, stage, &sink, &err))
		fail_msg("%s", err.text);
	assert_int_not_equal(mms[0].space, mms[1].space);
	ckpt_stage_free(stage);
	ckpt_take_done(&take);
	end_process(pid);
	env_free(e);
}

static void migrating_pages_are_copied_live(void **state)
{
	struct env *e = env_new();
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take take;

	(void)state;
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);
	memset(e->memory + 2 * CKPT_PAGE_LEN, 0xdd, CKPT_PAGE_LEN);
	take = take_of(e, RUNS({ 0, 2, CKPT_PAGE_ANON, 0 },
			       { 2, 1, CKPT_PAGE_MIGRATION, CKPT_RUN_DIRTY },
			       { 3, 5, CKPT_PAGE_ANON, 0 }), 0);
	assert_int_equal(ckpt_mem_live(&e->mem, &take, &e->sink, &err), 0);
	ckpt_take_done(&take);
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, 0 }), 0);
	expect_same(e, 0, 8);
	env_free(e);
}

static void unwalked_mm_is_read_whole(void **state)
{
	struct env *e = env_new();

	(void)state;
	/* The tracker had no lock; /proc/PID/pagemap says what is there. */
	final(e, RUNS({ 0, 1, CKPT_PAGE_ANON, 0 }), CKPT_MM_BUSY);
	expect_same(e, 0, N);
	env_free(e);
}

static void table_survives_the_store(void **state)
{
	struct env *e = env_new();
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_buf buf = CKPT_BUF_INIT;
	struct ckpt_mem again = { 0 };

	(void)state;
	final(e, RUNS({ 3, 5, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), 0);
	assert_int_equal(ckpt_mem_encode(&e->mem, &buf, &err), 0);
	assert_int_equal(ckpt_mem_load(&again, buf.data, buf.len, &e->source, &err), 0);
	assert_int_equal(again.n_mms, 1);
	assert_int_equal(again.mms[0].cookie, 77);
	assert_int_equal(again.mms[0].space, e->model.space);
	assert_int_equal(again.mms[0].have.n, 1);
	assert_int_equal(again.mms[0].have.r[0].end - again.mms[0].have.r[0].start, 5);
	for (size_t cut = 1; cut < buf.len; cut++) {
		struct ckpt_mem bad = { 0 };

		assert_int_equal(ckpt_mem_load(&bad, buf.data, cut, &e->source, &err), -1);
		ckpt_mem_done(&bad);
	}
	ckpt_mem_done(&again);
	ckpt_buf_done(&buf);
	env_free(e);
}

/* Drivers follow it, so that each take tells all of it: copied at the end, and counted. */
static void followed_memory_is_read_in_the_stop(void **state)
{
	struct env *e = env_new();

	(void)state;
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), CKPT_MM_NOTIFIERS);
	assert_int_equal(e->mem.followed, 1);
	live(e, RUNS({ 0, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), getpid());
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, CKPT_RUN_DIRTY }), CKPT_MM_NOTIFIERS);
	assert_int_equal(e->mem.followed, 1);
	expect_same(e, 0, 8);
	final(e, RUNS({ 0, 8, CKPT_PAGE_ANON, 0 }), 0);
	assert_int_equal(e->mem.followed, 0);
	env_free(e);
}

static void unwalked_area_is_refused(void **state)
{
	struct env *e = env_new();
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take take = take_of(e, RUNS({ 0, 1, CKPT_PAGE_ANON, 0 }), 0);
	struct ckpt_stage *stage = ckpt_stage_new(2, &err);
	struct ckpt_sink sink = ckpt_stage_sink(stage, &e->sink);

	(void)state;
	take.mms[0].areas[0].end -= CKPT_PAGE_LEN;
	assert_int_equal(ckpt_mem_final(&e->mem, &take, &e->image, stage, &sink, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "was not walked"));
	ckpt_stage_free(stage);
	ckpt_take_done(&take);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dirty_pages_are_copied_and_gaps_absent),
		cmocka_unit_test(clean_pages_the_parent_lacks_are_copied),
		cmocka_unit_test(vanished_pages_are_dropped),
		cmocka_unit_test(file_pages_are_absent_and_zero_pages_kept_in_file_maps),
		cmocka_unit_test(live_round_then_clean_costs_nothing_more),
		cmocka_unit_test(what_a_live_round_could_not_read_is_not_known),
		cmocka_unit_test(a_process_must_be_named_after_every_round),
		cmocka_unit_test(pages_of_a_process_that_is_not_named_again_are_not_known),
		cmocka_unit_test(pages_of_a_process_that_is_named_again_are_kept),
		cmocka_unit_test(two_address_spaces_never_share_a_space),
		cmocka_unit_test(migrating_pages_are_copied_live),
		cmocka_unit_test(unwalked_mm_is_read_whole),
		cmocka_unit_test(followed_memory_is_read_in_the_stop),
		cmocka_unit_test(table_survives_the_store),
		cmocka_unit_test(unwalked_area_is_refused),
		cmocka_unit_test(guard_pages_are_noted_and_dropped),
		cmocka_unit_test(guard_pages_are_not_copied_live),
		cmocka_unit_test(guard_pages_of_areas_without_content),
		cmocka_unit_test(pages_that_cannot_come_back_are_refused),
		cmocka_unit_test(pages_that_cannot_be_read_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
