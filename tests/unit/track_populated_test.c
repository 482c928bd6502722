// SPDX-License-Identifier: GPL-2.0-or-later
/* Populated pages: both ways of asking the kernel give the same answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/pages.h"
#include "track/area-line.h"
#include "track/populated.h"

#define N 64
#define TIB (1ull << 40)

struct env {
	int pagemap;
	struct ckpt_take scanned, read;
};

static struct ckpt_take_area *area_of(struct ckpt_take *take, const void *at, uint64_t len)
{
	struct ckpt_take_mm *mm = ckpt_take_add_mm(take, 0, getpid(), 0);
	struct ckpt_take_area *area = ckpt_take_add_area(mm, (uintptr_t)at,
							 (uintptr_t)at + len, 0);

	assert_non_null(area);
	return area;
}

static uint16_t state_at(const struct ckpt_take_area *area, const uint8_t *page)
{
	for (size_t i = 0; i < area->n_runs; i++) {
		const struct ckpt_run *r = &area->runs[i];

		assert_true(r->flags & CKPT_RUN_DIRTY);
		if ((uintptr_t)page >= r->start &&
		    (uintptr_t)page < r->start + r->pages * (uint64_t)CKPT_PAGE_LEN)
			return r->state;
	}
	return CKPT_PAGE_NONE;
}

static int set_up(void **state)
{
	struct env *e = calloc(1, sizeof(*e));

	e->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(e->pagemap >= 0);
	*state = e;
	return 0;
}

static int tear_down(void **state)
{
	struct env *e = *state;

	ckpt_take_done(&e->scanned);
	ckpt_take_done(&e->read);
	close(e->pagemap);
	free(e);
	return 0;
}

#define GUARD_INSTALL 102

/* Linux 6.15 or newer: what shows them also lets them be in a file's pages. */
static bool shows_guards(void)
{
	uint8_t *mem = mmap(NULL, CKPT_PAGE_LEN, PROT_READ, MAP_PRIVATE,
			    open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 0);
	bool shows = mem != MAP_FAILED && !madvise(mem, CKPT_PAGE_LEN, GUARD_INSTALL);

	munmap(mem, CKPT_PAGE_LEN);
	return shows;
}

/* What the line of @mem in maps says: may there be pages of a file? */
static bool may_be_of_file(const uint8_t *mem)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4096];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		struct ckpt_area_line l;

		assert_true(ckpt_area_line_parse(line, &l));
		if ((uintptr_t)mem >= l.start && (uintptr_t)mem < l.end) {
			fclose(maps);
			return ckpt_area_line_of_file(&l);
		}
	}
	fclose(maps);
	fail_msg("an area is not in maps");
	return true;
}

/* Both ways over @mem. Return: whether the kernel has the scan. */
static bool ask(struct env *e, uint8_t *mem, size_t len, struct ckpt_take_area **ret_scan,
		struct ckpt_take_area **ret_read)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	bool file = may_be_of_file(mem);
	int r;

	*ret_scan = area_of(&e->scanned, mem, len);
	*ret_read = area_of(&e->read, mem, len);
	r = ckpt_populated_scan(e->pagemap, getpid(), *ret_scan, file, &err);
	assert_true(r == 0 || r == 1);
	assert_int_equal(ckpt_populated_read(e->pagemap, getpid(), *ret_read, &err), 0);
	return !r;
}

static void anonymous_pages(void **state)
{
	struct ckpt_take_area *scan, *read;
	struct env *e = *state;
	uint8_t *mem = mmap(NULL, N * CKPT_PAGE_LEN, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool scans;

	assert_true(mem != MAP_FAILED);
	assert_false(may_be_of_file(mem));
	madvise(mem, N * CKPT_PAGE_LEN, MADV_NOHUGEPAGE);
	for (int i = 0; i < N; i += 3)
		mem[i * CKPT_PAGE_LEN] = 1;
	/* only read: the page of zeros */
	assert_int_equal(((volatile uint8_t *)mem)[1 * CKPT_PAGE_LEN], 0);
	scans = ask(e, mem, N * CKPT_PAGE_LEN, &scan, &read);
	for (int i = 0; i < N; i++) {
		uint16_t want = i % 3 ? CKPT_PAGE_NONE : CKPT_PAGE_ANON;

		if (i != 1) {
			assert_int_equal(state_at(read, mem + i * CKPT_PAGE_LEN), want);
			if (scans)
				assert_int_equal(state_at(scan, mem + i * CKPT_PAGE_LEN), want);
		}
	}
	/* an entry of pagemap does not tell it from a page that happens to hold zeros */
	assert_int_equal(state_at(read, mem + CKPT_PAGE_LEN), CKPT_PAGE_ANON);
	if (scans)
		assert_int_equal(state_at(scan, mem + CKPT_PAGE_LEN), CKPT_PAGE_ZERO);
	munmap(mem, N * CKPT_PAGE_LEN);
}

static void pages_of_a_private_file_mapping(void **state)
{
	struct ckpt_take_area *scan, *read;
	struct env *e = *state;
	char path[] = "/tmp/ckpt-populated.XXXXXX";
	int fd = mkstemp(path);
	uint8_t *mem;
	bool scans;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, 4 * CKPT_PAGE_LEN), 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	mem = mmap(NULL, 4 * CKPT_PAGE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_true(mem != MAP_FAILED);
	madvise(mem, 4 * CKPT_PAGE_LEN, MADV_RANDOM);
	assert_true(may_be_of_file(mem));
	assert_int_equal(((volatile uint8_t *)mem)[0], 'x');
	mem[2 * CKPT_PAGE_LEN] = 1;
	scans = ask(e, mem, 4 * CKPT_PAGE_LEN, &scan, &read);
	assert_int_equal(state_at(read, mem), CKPT_PAGE_FILE);
	assert_int_equal(state_at(read, mem + 2 * CKPT_PAGE_LEN), CKPT_PAGE_ANON);
	if (scans) {
		assert_int_equal(state_at(scan, mem), CKPT_PAGE_FILE);
		assert_int_equal(state_at(scan, mem + 2 * CKPT_PAGE_LEN), CKPT_PAGE_ANON);
	}
	munmap(mem, 4 * CKPT_PAGE_LEN);
	close(fd);
}

/* Guard regions look swapped, and can be read by nobody. */
static void guards(void **state)
{
	struct ckpt_take_area *scan, *read;
	struct env *e = *state;
	uint8_t *mem = mmap(NULL, 4 * CKPT_PAGE_LEN, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(mem != MAP_FAILED);
	mem[0] = 1;
	/* the kernel shows it from 6.15 on, and has it in files since then */
	if (!madvise(mem + 2 * CKPT_PAGE_LEN, CKPT_PAGE_LEN, GUARD_INSTALL) && shows_guards()) {
		assert_true(ask(e, mem, 4 * CKPT_PAGE_LEN, &scan, &read));
		assert_int_equal(state_at(scan, mem), CKPT_PAGE_ANON);
		assert_int_equal(state_at(scan, mem + 2 * CKPT_PAGE_LEN), CKPT_PAGE_GUARD);
		assert_int_equal(state_at(read, mem + 2 * CKPT_PAGE_LEN), CKPT_PAGE_GUARD);
		assert_int_equal(state_at(scan, mem + 3 * CKPT_PAGE_LEN), CKPT_PAGE_NONE);
	}
	munmap(mem, 4 * CKPT_PAGE_LEN);
}

/* Of a shared area nothing is told but these. */
static void guards_of_shared_memory(void **state)
{
	uint8_t *mem = mmap(NULL, 4 * CKPT_PAGE_LEN, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take_area *area;
	struct ckpt_take_mm *mm;
	struct env *e = *state;

	assert_true(mem != MAP_FAILED);
	memset(mem, 1, 4 * CKPT_PAGE_LEN);
	mm = ckpt_take_add_mm(&e->scanned, 0, getpid(), 0);
	area = ckpt_take_add_area(mm, (uintptr_t)mem, (uintptr_t)mem + 4 * CKPT_PAGE_LEN,
				  CKPT_AREA_SHARED);
	assert_int_equal(ckpt_populated_guards(e->pagemap, getpid(), area, &err), 0);
	assert_int_equal(area->n_runs, 0);
	if (shows_guards() && !madvise(mem + CKPT_PAGE_LEN, 2 * CKPT_PAGE_LEN, GUARD_INSTALL)) {
		assert_int_equal(ckpt_populated_guards(e->pagemap, getpid(), area, &err), 0);
		assert_int_equal(area->n_runs, 1);
		assert_int_equal(area->runs[0].start, (uintptr_t)mem + CKPT_PAGE_LEN);
		assert_int_equal(area->runs[0].pages, 2);
		assert_int_equal(area->runs[0].state, CKPT_PAGE_GUARD);
	}
	munmap(mem, 4 * CKPT_PAGE_LEN);
}

/* More regions than one call returns. */
static void many_regions(void **state)
{
	const size_t pages = 4001;
	struct ckpt_take_area *scan, *read;
	struct env *e = *state;
	uint8_t *mem = mmap(NULL, pages * CKPT_PAGE_LEN, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(mem != MAP_FAILED);
	madvise(mem, pages * CKPT_PAGE_LEN, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < pages; i += 2)
		mem[i * CKPT_PAGE_LEN] = 1;
	if (ask(e, mem, pages * CKPT_PAGE_LEN, &scan, &read)) {
		assert_int_equal(scan->n_runs, read->n_runs);
		assert_memory_equal(scan->runs, read->runs, scan->n_runs * sizeof(*scan->runs));
	}
	assert_int_equal(read->n_runs, pages / 2 + 1);
	munmap(mem, pages * CKPT_PAGE_LEN);
}

/* A terabyte of address space with one page in it, as runtimes reserve it. */
static void a_reservation_costs_nothing(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct env *e = *state;
	uint8_t *mem = mmap(NULL, TIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0);
	struct ckpt_take_area *area;
	int r;

	assert_true(mem != MAP_FAILED);
	assert_int_equal(mprotect(mem + TIB / 2, CKPT_PAGE_LEN, PROT_READ | PROT_WRITE), 0);
	mem[TIB / 2] = 1;
	area = area_of(&e->scanned, mem, TIB);
	r = ckpt_populated_scan(e->pagemap, getpid(), area, false, &err);
	if (!r) {
		assert_int_equal(area->n_runs, 1);
		assert_int_equal(area->runs[0].pages, 1);
		assert_int_equal(area->runs[0].start, (uintptr_t)(mem + TIB / 2));
	} else {
		assert_int_equal(r, 1);
	}
	munmap(mem, TIB);
}

/* Only what has neither inode nor a name that may stand for anything is left unasked. */
static void lines_of_maps(void **state)
{
	static const struct {
		const char *line;
		bool file;
	} lines[] = {
		{ "7f1000-7f2000 rw-p 00000000 00:00 0 \n", false },
		{ "7f1000-7f2000 rw-p 00000000 00:00 0", false },
		{ "7f1000-7f2000 rw-p 00000000 00:00 0      [heap]\n", false },
		{ "7f1000-7f2000 rw-p 00000000 00:00 0      [stack]\n", false },
		{ "7f1000-7f2000 rw-p 00000000 00:00 0      [anon:v8]\n", false },
		{ "7f1000-7f2000 rw-p 00001000 fe:00 12     /usr/bin/node\n", true },
		{ "7f1000-7f2000 rw-p 00000000 00:01 7      /dev/zero (deleted)\n", true },
		{ "7f1000-7f2000 rw-p 00000000 00:05 0      /of/inode/0\n", true },
		{ "7f1000-7f2000 rw-p 00000000 00:05 0      anon_inode:[device]\n", true },
		{ "7f1000-7f2000 r-xp 00000000 00:00 0      [uprobes]\n", true },
	};
	static const char *const none[] = {
		"no line\n", "", "7f1000-7f2000", "7f1000-7f2000 rw", "7f1000-7f2000 rw-p 0 fe:00",
		"7f1000 7f2000 rw-p 00000000 00:00 0", "7f1000-7f2000 rw-p 00000000 00:00 ",
	};
	struct ckpt_area_line l;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_true(ckpt_area_line_parse(lines[i].line, &l));
		assert_int_equal(ckpt_area_line_of_file(&l), lines[i].file);
		assert_true(ckpt_area_line_by_task(&l));
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(ckpt_area_line_parse(none[i], &l));
	assert_true(ckpt_area_line_parse("7ffc1000-7ffc5000 r--s 00012000 fd:1a 77   /a b\n", &l));
	assert_int_equal(l.start, 0x7ffc1000);
	assert_int_equal(l.end, 0x7ffc5000);
	assert_int_equal(l.offset, 0x12000);
	assert_int_equal(l.ino, 77);
	assert_true(l.shared && !l.writable);
	assert_string_equal(l.name, "/a b\n");
	assert_true(ckpt_area_line_parse("7f1000-7f2000 -w-p 0 0:0 0 [vvar_vclock]\n", &l));
	assert_true(l.writable && !l.shared && !ckpt_area_line_by_task(&l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_maps),
		cmocka_unit_test_setup_teardown(anonymous_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pages_of_a_private_file_mapping, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(guards, set_up, tear_down),
		cmocka_unit_test_setup_teardown(guards_of_shared_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_regions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reservation_costs_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
