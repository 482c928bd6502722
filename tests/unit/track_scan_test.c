// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes: what a process does to its pages is told, and nothing is lost */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/pages.h"
#include "lib/noted.h"

#define P ((uint64_t)CKPT_PAGE_LEN)

static uint64_t dontneed(uint64_t page)
{
	return madvise((void *)page, P, MADV_DONTNEED);
}

static void only_what_was_written(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 64);
	size_t first;

	noted_checkpoint(e);
	first = e->copy.copied;
	assert_true(first >= 64);
	noted_do(e, watched_write, mem + 3 * P);
	noted_do(e, watched_write, mem + 17 * P);
	noted_checkpoint(e);
	for (int i = 0; i < 64; i++)
		assert_int_equal(copy_told_dirty(page_at(mem, i)), i == 3 || i == 17);
	/* a few of its stack and of its library besides */
	assert_true(e->copy.copied < 64);
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 3)));
	assert_int_equal(copy_told_state(page_at(mem, 3)), CKPT_PAGE_ANON);
}

static void what_is_not_committed_is_told_again(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);
	struct copy before = { 0 };

	noted_checkpoint(e);
	copy_assign(&before, &e->copy);
	noted_do(e, watched_write, mem + 1 * P);
	copy_round(&e->copy, &e->notes, e->w.pid);
	/* it failed: the store has what it had */
	ckpt_notes_abort(&e->notes);
	copy_assign(&e->copy, &before);
	noted_do(e, watched_write, mem + 5 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 1)));
	assert_true(copy_told_dirty(page_at(mem, 5)));
	assert_false(copy_told_dirty(page_at(mem, 4)));
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 1)));
	copy_done(&before);
}

static void pages_that_vanish_and_come_back(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	noted_do(e, dontneed, mem);
	noted_do(e, dontneed, mem + P);
	noted_do(e, watched_read, mem + P);
	noted_do(e, dontneed, mem + 2 * P);
	noted_do(e, watched_write, mem + 2 * P);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 0)), CKPT_PAGE_NONE);
	assert_int_equal(copy_told_state(page_at(mem, 1)), CKPT_PAGE_ZERO);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	/* from the page of zeros, and from none */
	noted_do(e, watched_write, mem);
	noted_do(e, watched_write, mem + P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 0)));
	assert_true(copy_told_dirty(page_at(mem, 1)));
}

static uint64_t advise_free(uint64_t page)
{
	return madvise((void *)page, P, MADV_FREE);
}

static uint64_t page_out(uint64_t page)
{
	return madvise((void *)page, 4 * P, MADV_PAGEOUT);
}

static void freed_and_paged_out(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 16);

	noted_checkpoint(e);
	noted_do(e, advise_free, mem);
	noted_do(e, advise_free, mem + P);
	noted_do(e, watched_write, mem + P);
	noted_do(e, page_out, mem);
	noted_checkpoint(e);
	noted_do(e, page_out, mem + 8 * P);
	noted_do(e, watched_write, mem + 9 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 9)));
	/* without swap it stays where it is */
	if (copy_told_state(page_at(mem, 8)) == CKPT_PAGE_SWAP)
		assert_false(copy_told_dirty(page_at(mem, 8)));
	noted_do(e, watched_write, mem + 8 * P);
	noted_do(e, watched_read, mem + 10 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 8)));
	assert_false(copy_told_dirty(page_at(mem, 10)));
}

static int file;

static uint64_t map_file(uint64_t pages)
{
	char path[] = "/tmp/ckpt-watched.XXXXXX";

	file = mkstemp(path);
	unlink(path);
	if (ftruncate(file, pages * P) || pwrite(file, "file", 4, P) != 4)
		return 0;
	return (uintptr_t)mmap(NULL, pages * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
}

static uint64_t truncate_file(uint64_t pages)
{
	return ftruncate(file, pages * P);
}

static void pages_of_a_private_file_mapping(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, map_file, 8);

	noted_do(e, watched_write, mem + P);
	noted_do(e, watched_read, mem + 2 * P);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 1)), CKPT_PAGE_ANON);
	assert_int_equal(copy_told_state(page_at(mem, 2)), CKPT_PAGE_FILE);
	/* what is left of it says "protected", and is no page */
	noted_do(e, dontneed, mem + P);
	noted_do(e, watched_write, mem + 2 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	noted_do(e, dontneed, mem + P);
	noted_do(e, watched_read, mem + P);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 1)), CKPT_PAGE_FILE);
	noted_do(e, dontneed, mem + 2 * P);
	noted_do(e, watched_write, mem + 2 * P);
	noted_do(e, watched_write, mem + P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 1)));
	assert_true(copy_told_dirty(page_at(mem, 2)));
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 1)));
}

/* Behind its end there is nothing, whatever was there, and there may be a mark of that. */
static void a_file_that_becomes_shorter(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, map_file, 8);

	noted_do(e, watched_write, mem + P);
	noted_do(e, watched_write, mem + 6 * P);
	noted_do(e, watched_read, mem + 2 * P);
	noted_do(e, watched_read, mem + 5 * P);
	noted_checkpoint(e);
	assert_int_equal(noted_do(e, truncate_file, 4), 0);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 1)), CKPT_PAGE_ANON);
	for (int i = 4; i < 8; i++)
		assert_int_equal(copy_told_state(page_at(mem, i)), CKPT_PAGE_NONE);
	assert_int_equal(noted_do(e, truncate_file, 8), 0);
	noted_do(e, watched_read, mem + 6 * P);
	noted_do(e, watched_write, mem + 5 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 5)));
	assert_int_equal(copy_told_state(page_at(mem, 6)), CKPT_PAGE_FILE);
}

/* Weights of a model, say: registered, its pages would be mapped one at a time. */
static void a_file_that_nobody_writes_to(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, map_file, 8);
	size_t registered;

	noted_do(e, watched_read, mem + 2 * P);
	noted_checkpoint(e);
	registered = watched_registered(e->w.pid);
	assert_true(copy_told_state(page_at(mem, 2)) == CKPT_PAGE_FILE);
	noted_do(e, watched_write, mem + 3 * P);
	noted_checkpoint(e);
	assert_int_equal(watched_registered(e->w.pid), registered + 1);
	assert_true(copy_told_dirty(page_at(mem, 3)));
	noted_do(e, watched_write, mem + 4 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 4)));
	assert_false(copy_told_dirty(page_at(mem, 3)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NOTED_TEST(only_what_was_written),
		NOTED_TEST(what_is_not_committed_is_told_again),
		NOTED_TEST(pages_that_vanish_and_come_back),
		NOTED_TEST(freed_and_paged_out),
		NOTED_TEST(pages_of_a_private_file_mapping),
		NOTED_TEST(a_file_that_becomes_shorter),
		NOTED_TEST(a_file_that_nobody_writes_to),
	};

	if (!watched_notes_here())
		return watched_skip();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
