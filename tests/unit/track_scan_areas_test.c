// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes: areas that are made, moved, changed and taken away, and nothing is lost */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/pages.h"
#include "lib/noted.h"
#include "track/protect.h"

#define P ((uint64_t)CKPT_PAGE_LEN)
#define HUGE (2ull << 20)

static uint64_t map_huge_aligned(uint64_t len)
{
	uint8_t *mem = mmap(NULL, len + HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return ((uintptr_t)mem + HUGE - 1) & ~(HUGE - 1);
}

struct move {
	uint64_t from, to, len;
	int flags;
};

static struct move move;

static uint64_t do_move(uint64_t arg)
{
	(void)arg;
	return (uintptr_t)mremap((void *)move.from, move.len, move.len,
				 MREMAP_MAYMOVE | MREMAP_FIXED | move.flags, (void *)move.to);
}

static uint64_t set_move(uint64_t arg)
{
	((uint64_t *)&move)[arg >> 56] = arg & ((1ull << 56) - 1);
	return 0;
}

static void moved(struct noted *e, uint64_t from, uint64_t to, uint64_t len, int flags)
{
	noted_do(e, set_move, from);
	noted_do(e, set_move, to | 1ull << 56);
	noted_do(e, set_move, len | 2ull << 56);
	noted_do(e, set_move, (uint64_t)flags | 3ull << 56);
	assert_int_equal(noted_do(e, do_move, 0), to);
}

static uint64_t fill(uint64_t huge)
{
	madvise((void *)huge, HUGE, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < HUGE; i += P)
		*(uint64_t *)(huge + i) = huge + i;
	return 0;
}

/* By whole page tables, over memory that was there, and home again. */
static void memory_that_moves(void **state)
{
	struct noted *e = *state;
	uint64_t a = noted_do(e, map_huge_aligned, 4 * HUGE), b = a + 2 * HUGE;

	noted_do(e, fill, a);
	noted_do(e, fill, b);
	noted_checkpoint(e);
	moved(e, a, b, HUGE, 0);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(b, 5)));
	noted_do(e, watched_write, b + 7 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(b, 7)));
	assert_false(copy_told_dirty(page_at(b, 6)));
	moved(e, b, a, HUGE, 0);
	noted_do(e, watched_write, a + 9 * P);
	noted_checkpoint(e);
	noted_do(e, watched_write, a + 9 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(a, 9)));
	moved(e, a, b, HUGE, MREMAP_DONTUNMAP);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(a, 0)), CKPT_PAGE_NONE);
	assert_true(copy_told_dirty(page_at(b, 0)));
	noted_do(e, watched_write, a);
	noted_do(e, watched_write, b);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(a, 0)));
	/* away and back within one epoch, with something else there in between */
	moved(e, b, a, HUGE, 0);
	moved(e, a, b, HUGE, 0);
	noted_checkpoint(e);
}

static uint64_t map_anew(uint64_t page)
{
	uint8_t *mem = (void *)page;

	munmap(mem, P);
	if (mmap(mem, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	    mem)
		return 1;
	mem[5] = 77;
	return 0;
}

static uint64_t map_beside(uint64_t end)
{
	uint8_t *mem = mmap((void *)end, 4 * P, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (mem != (uint8_t *)end)
		return 1;
	mem[0] = 9;
	return 0;
}

static uint64_t unmap(uint64_t page)
{
	return munmap((void *)page, 4 * P);
}

static void mapped_anew_in_place(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 16);

	noted_do(e, unmap, mem + 12 * P);
	noted_checkpoint(e);
	assert_int_equal(noted_do(e, map_anew, mem + 4 * P), 0);
	assert_int_equal(noted_do(e, map_beside, mem + 12 * P), 0);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 4)));
	assert_true(copy_told_dirty(page_at(mem, 12)));
	assert_false(copy_told_dirty(page_at(mem, 5)));
	/* by now it is one area with its neighbours */
	noted_do(e, watched_write, mem + 13 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 13)));
	assert_false(copy_told_dirty(page_at(mem, 12)));
	assert_false(copy_told_dirty(page_at(mem, 4)));
}

static void protection_changes(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_do(e, watched_protect, (mem + 6 * P) | PROT_NONE);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 6)), CKPT_PAGE_ANON);
	noted_do(e, watched_protect, (mem + 6 * P) | PROT_READ | PROT_WRITE);
	noted_do(e, watched_protect, (mem + 2 * P) | PROT_READ);
	noted_checkpoint(e);
	noted_do(e, watched_write, mem + 6 * P);
	noted_do(e, watched_protect, (mem + 2 * P) | PROT_READ | PROT_WRITE);
	noted_do(e, watched_write, mem + 2 * P);
	noted_do(e, watched_protect, (mem + 2 * P) | PROT_READ);
	noted_do(e, watched_write, mem + 3 * P);
	noted_do(e, watched_protect, (mem + 3 * P) | PROT_NONE);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	assert_true(copy_told_dirty(page_at(mem, 3)));
	assert_true(copy_told_dirty(page_at(mem, 6)));
	assert_false(copy_told_dirty(page_at(mem, 1)));
}

static uint64_t make_huge(uint64_t mem)
{
	if (madvise((void *)mem, HUGE, MADV_HUGEPAGE))
		return 1;
	memset((void *)mem, 3, HUGE);
	return 0;
}

static uint64_t drop_huge(uint64_t mem)
{
	return madvise((void *)mem, HUGE, MADV_DONTNEED);
}

static void huge_pages(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, map_huge_aligned, 2 * HUGE);

	assert_int_equal(noted_do(e, make_huge, mem), 0);
	noted_checkpoint(e);
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 100)));
	noted_do(e, watched_write, mem + 100 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 100)));
	/* it was split: the rest of it is known to be as it was */
	assert_false(copy_told_dirty(page_at(mem, 101)));
	noted_do(e, drop_huge, mem);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 100)), CKPT_PAGE_NONE);
	assert_int_equal(noted_do(e, make_huge, mem), 0);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 511)));
}

static uint64_t deep(uint64_t pages)
{
	volatile uint8_t page[4096];

	page[7] = pages;
	return pages ? deep(pages - 1) + page[7] : 0;
}

static uint64_t grow_heap(uint64_t pages)
{
	uint8_t *top = sbrk(pages * P);

	memset(top, 5, pages * P);
	return (uintptr_t)top;
}

static void stack_and_heap_grow(void **state)
{
	struct noted *e = *state;
	uint64_t heap, more;

	heap = noted_do(e, grow_heap, 4);
	noted_checkpoint(e);
	noted_do(e, deep, 200);
	more = noted_do(e, grow_heap, 4);
	assert_int_equal(more, heap + 4 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(heap, 5)));
	assert_false(copy_told_dirty(page_at(heap, 1)));
	noted_do(e, deep, 100);
	noted_do(e, watched_write, more);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(more, 0)));
	assert_false(copy_told_dirty(page_at(more, 2)));
}

static uint64_t reserve(uint64_t len)
{
	uint8_t *mem = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0);

	mprotect(mem + len / 2, P, PROT_READ | PROT_WRITE);
	mem[len / 2] = 1;
	return (uintptr_t)mem;
}

/* A terabyte: no page tables are made for it, and it is not touched. */
static void reservations(void **state)
{
	const uint64_t len = 1ull << 40;
	struct noted *e = *state;
	uint64_t mem = noted_do(e, reserve, len);

	noted_checkpoint(e);
	noted_do(e, watched_write, mem + len / 2);
	noted_checkpoint(e);
	assert_true(copy_told_dirty((void *)(mem + len / 2)));
	noted_do(e, watched_protect, (mem + P) | PROT_READ | PROT_WRITE);
	noted_do(e, watched_write, mem + P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty((void *)(mem + P)));
}

/* Areas of four pages with holes of as many between them; the whole has no neighbour. */
#define AREAS 32u
#define STRIDE (8 * P)

static uint64_t map_with_holes(uint64_t arg)
{
	uint64_t mem = (uintptr_t)mmap(NULL, (AREAS + 2) * STRIDE, PROT_NONE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	munmap((void *)mem, (AREAS + 2) * STRIDE);
	mem += STRIDE;
	for (uint64_t i = 0; i < AREAS; i++) {
		if (map_beside(mem + i * STRIDE))
			return 0;
		memset((void *)(mem + i * STRIDE), i + 1, 4 * P);
	}
	return mem;
}

static uint64_t at(uint64_t mem, uint64_t i)
{
	return mem + i * STRIDE;
}

/* All that may happen to some of the areas that are taken together; the others are as they were. */
static void some_of_many_areas(struct noted *e, uint64_t mem)
{
	noted_do(e, watched_write, at(mem, 3) + P);
	assert_int_equal(noted_do(e, unmap, at(mem, 5)), 0);
	assert_int_equal(noted_do(e, map_anew, at(mem, 7) + 2 * P), 0);
	assert_int_equal(noted_do(e, map_beside, at(mem, 9) + 4 * P), 0);
	moved(e, at(mem, 11), at(mem, 12) + 4 * P, 4 * P, 0);
	noted_do(e, watched_protect, at(mem, 15) | PROT_NONE);
	noted_checkpoint(e);
	for (uint64_t i = 0; i < AREAS; i++)
		for (uint64_t page = 0; page < 4; page++)
			assert_int_equal(copy_told_dirty(page_at(at(mem, i), page)),
					 (i == 3 && page == 1) || (i == 7 && page == 2));
	assert_int_equal(copy_told_state(page_at(at(mem, 5), 0)), CKPT_PAGE_NONE);
	assert_int_equal(copy_told_state(page_at(at(mem, 11), 3)), CKPT_PAGE_NONE);
	assert_int_equal(copy_told_state(page_at(at(mem, 15), 0)), CKPT_PAGE_ANON);
	assert_true(copy_told_dirty(page_at(at(mem, 9), 4)));
	assert_true(copy_told_dirty(page_at(at(mem, 12), 7)));
}

static void areas_with_holes(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, map_with_holes, 0);

	assert_int_not_equal(mem, 0);
	noted_checkpoint(e);
	some_of_many_areas(e, mem);
	noted_do(e, watched_write, at(mem, 9) + 4 * P);
	noted_do(e, watched_write, at(mem, 12) + 6 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(at(mem, 9), 4)));
	assert_true(copy_told_dirty(page_at(at(mem, 12), 6)));
	assert_false(copy_told_dirty(page_at(at(mem, 12), 7)));
	assert_false(copy_told_dirty(page_at(at(mem, 3), 1)));
	/* the same of each area by itself, as where the kernel does not take them together */
	e->notes.apart = true;
	mem = noted_do(e, map_with_holes, 0);
	noted_checkpoint(e);
	some_of_many_areas(e, mem);
}

/* So that what was taken together above was. */
static void spans_since_6_13(void **state)
{
	unsigned int major, minor;
	struct utsname u;

	(void)state;
	assert_int_equal(uname(&u), 0);
	assert_int_equal(sscanf(u.release, "%u.%u", &major, &minor), 2);
	if (major > 6 || (major == 6 && minor >= 13))
		assert_true(ckpt_protect_spans());
}

/*
 * Who executed something else, while another lives on in the memory that it had: its userfaultfd
 * lives as well, and knows nothing of the memory that it has now.
 */
static void of_another_address_space(void **state)
{
	struct noted *e = *state;
	struct ckpt_notes notes = CKPT_NOTES_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take take;
	struct watched other;
	int32_t pid;

	watched_start(&other, NULL);
	pid = other.pid;
	assert_int_equal(noted_do(e, watched_map, 8), watched_do(&other, watched_map, 8));
	assert_int_equal(ckpt_notes_adopt(&notes, pid, watched_userfault(&e->w), &err), 0);
	watched_stop(pid);
	assert_int_equal(ckpt_notes_round(&notes, &pid, 1, &take, &err), -1);
	watched_go_on(pid);
	ckpt_notes_done(&notes);
	watched_end(&other);
}

#define GUARD_INSTALL 102
#define GUARD_REMOVE 103

static uint64_t guard(uint64_t page)
{
	return madvise((void *)page, P, GUARD_INSTALL) ? errno : 0;
}

static uint64_t no_guard(uint64_t page)
{
	return madvise((void *)page, P, GUARD_REMOVE) ? errno : 0;
}

static uint64_t map_shared(uint64_t pages)
{
	uint8_t *mem = mmap(NULL, pages * P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);

	memset(mem, 1, pages * P);
	return (uintptr_t)mem;
}

/*
 * Written before, it is one then, is read by nobody, and is none again: with and without a
 * checkpoint in between.
 */
static void pages_that_become_guards(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8), shared = noted_do(e, map_shared, 4);

	noted_checkpoint(e);
	/* since Linux 6.15 they are shown, and can be in shared memory */
	if (noted_do(e, guard, shared + P))
		skip();
	assert_int_equal(noted_do(e, guard, mem + 3 * P), 0);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 3)), CKPT_PAGE_GUARD);
	assert_int_equal(copy_told_state(page_at(shared, 1)), CKPT_PAGE_GUARD);
	assert_false(copy_told_dirty(page_at(mem, 2)));
	/* protected by that round, it is one all the same */
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 3)), CKPT_PAGE_GUARD);
	assert_int_equal(noted_do(e, no_guard, mem + 3 * P), 0);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 3)), CKPT_PAGE_NONE);
	noted_do(e, watched_write, mem + 3 * P);
	assert_int_equal(noted_do(e, guard, mem + 5 * P), 0);
	noted_checkpoint(e);
	assert_int_equal(copy_told_state(page_at(mem, 3)), CKPT_PAGE_ANON);
	assert_true(copy_told_dirty(page_at(mem, 3)));
	/* and back at once */
	assert_int_equal(noted_do(e, no_guard, mem + 5 * P), 0);
	noted_do(e, watched_write, mem + 5 * P);
	assert_int_equal(noted_do(e, guard, mem + 6 * P), 0);
	assert_int_equal(noted_do(e, no_guard, mem + 6 * P), 0);
	noted_do(e, watched_write, mem + 6 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 5)));
	assert_true(copy_told_dirty(page_at(mem, 6)));
	noted_do(e, guard, mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NOTED_TEST(memory_that_moves),
		NOTED_TEST(mapped_anew_in_place),
		NOTED_TEST(protection_changes),
		NOTED_TEST(huge_pages),
		NOTED_TEST(stack_and_heap_grow),
		NOTED_TEST(reservations),
		NOTED_TEST(areas_with_holes),
		NOTED_TEST(pages_that_become_guards),
		cmocka_unit_test(spans_since_6_13),
		NOTED_TEST(of_another_address_space),
	};

	if (!watched_notes_here())
		return watched_skip();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
