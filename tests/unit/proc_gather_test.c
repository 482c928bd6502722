// SPDX-License-Identifier: GPL-2.0-or-later
/* Many reads of another process at once: all of them, whatever lies between. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "proc/gather.h"

#define PAGE 4096u
#define PAGES 5000u
#define LEN ((size_t)PAGES * PAGE)

/* A child that has the same memory, and that memory here. */
struct other {
	uint8_t *at;
	pid_t pid;
	struct ckpt_memory memory;
};

static void fill(uint8_t *at)
{
	for (uint32_t i = 0; i < LEN / sizeof(i); i++)
		((uint32_t *)at)[i] = i * 2654435761u;
}

/* Without the page @hole; 0: none. */
static void other_start_without(struct other *o, uint32_t hole)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	o->at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(o->at != MAP_FAILED);
	fill(o->at);
	if (hole)
		munmap(o->at + (size_t)hole * PAGE, PAGE);
	o->pid = fork();
	assert_true(o->pid >= 0);
	if (!o->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_int_equal(ckpt_memory_open(o->pid, &o->memory, &err), 0);
}

static void other_start(struct other *o)
{
	other_start_without(o, 0);
}

static void other_end(struct other *o)
{
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
	ckpt_memory_close(&o->memory);
	munmap(o->at, LEN);
}

static void add(struct ckpt_gather *g, const struct other *o, uint8_t *to, uint32_t page,
		uint32_t n)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_gather_add(g, &o->memory, (uintptr_t)o->at + (size_t)page * PAGE,
					 to + (size_t)page * PAGE, (size_t)n * PAGE, &err), 0);
}

/* Of all sizes, with gaps; what is not asked for is not touched. */
static void test_scattered(void **state)
{
	cleanup_with(ckpt_gather_done) struct ckpt_gather g = { 0 };
	cleanup_free uint8_t *to = calloc(PAGES, PAGE), *want = calloc(PAGES, PAGE);
	struct other o;
	uint32_t page, n;

	(void)state;
	other_start(&o);
	for (page = 0, n = 1; page + n < PAGES; page += n + page % 3, n = n * 7 % 300 + 1) {
		add(&g, &o, to, page, n);
		memcpy(want + (size_t)page * PAGE, o.at + (size_t)page * PAGE, (size_t)n * PAGE);
	}
	assert_true(g.n > 30);
	assert_null(ckpt_gather_run(&g));
	assert_memory_equal(to, want, LEN);
	other_end(&o);
}

/* Single pages, thousands of them: more than one call, more than one thread takes at a time. */
static void test_single_pages(void **state)
{
	cleanup_with(ckpt_gather_done) struct ckpt_gather g = { 0 };
	cleanup_free uint8_t *to = calloc(PAGES, PAGE);
	struct other o;

	(void)state;
	other_start(&o);
	for (uint32_t page = 0; page < PAGES; page++)
		add(&g, &o, to, PAGES - 1 - page, 1);
	assert_null(ckpt_gather_run(&g));
	assert_memory_equal(to, o.at, LEN);
	other_end(&o);
}

/* One page is not there: that read is short, the others of the same call are whole. */
static void test_hole(void **state)
{
	cleanup_with(ckpt_gather_done) struct ckpt_gather g = { 0 };
	cleanup_free uint8_t *to = calloc(PAGES, PAGE);
	const struct ckpt_gather_read *bad;
	struct other o;

	(void)state;
	other_start_without(&o, 22);
	add(&g, &o, to, 10, 4);
	add(&g, &o, to, 20, 4);
	add(&g, &o, to, 30, 4);
	bad = ckpt_gather_run(&g);
	assert_ptr_equal(bad, &g.reads[1]);
	assert_int_equal(bad->got, 2 * PAGE);
	assert_memory_equal(to + 10 * PAGE, o.at + 10 * PAGE, 4 * PAGE);
	assert_memory_equal(to + 20 * PAGE, o.at + 20 * PAGE, 2 * PAGE);
	assert_memory_equal(to + 30 * PAGE, o.at + 30 * PAGE, 4 * PAGE);
	other_end(&o);
}

/* Nothing of it is there. */
static void test_nothing_there(void **state)
{
	cleanup_with(ckpt_gather_done) struct ckpt_gather g = { 0 };
	cleanup_free uint8_t *to = calloc(PAGES, PAGE);
	const struct ckpt_gather_read *bad;
	struct other o;

	(void)state;
	other_start(&o);
	add(&g, &o, to, 10, 4);
	add(&g, &o, to, 20, 4);
	g.reads[0].addr = 0x10000 - 2 * PAGE;	/* below what anybody maps */
	bad = ckpt_gather_run(&g);
	assert_ptr_equal(bad, &g.reads[0]);
	assert_int_equal(bad->got, 0);
	assert_memory_equal(to + 20 * PAGE, o.at + 20 * PAGE, 4 * PAGE);
	other_end(&o);
}

static void test_killed(void **state)
{
	cleanup_with(ckpt_gather_done) struct ckpt_gather g = { 0 };
	cleanup_free uint8_t *to = calloc(PAGES, PAGE);
	const struct ckpt_gather_read *bad;
	struct other o;

	(void)state;
	other_start(&o);
	add(&g, &o, to, 0, PAGES);
	kill(o.pid, SIGKILL);
	waitpid(o.pid, NULL, 0);
	bad = ckpt_gather_run(&g);
	assert_ptr_equal(bad, &g.reads[0]);
	assert_int_equal(bad->got, 0);
	assert_true(ckpt_memory_gone(&bad->from));
	ckpt_memory_close(&o.memory);
	munmap(o.at, LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scattered),
		cmocka_unit_test(test_single_pages),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests_name("proc gather", tests, NULL, NULL);
}
