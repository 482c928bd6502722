// SPDX-License-Identifier: GPL-2.0-or-later
/* A copy of the memory of a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "lib/copy.h"
#include "lib/watched.h"
#include "track/pagemap.h"

#define PIECE 64
#define POOL ((size_t)1 << 18)
#define CONTENT (CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED)

struct process {
	int mem, pagemap;
};

struct copied_page {
	uint64_t page;
	bool seen;
	uint8_t *data;
};

static struct ckpt_take last;	/* of the last copy_round */

/*
 * Where copied pages are.  No child gets it, or the memory that is copied would hold the copies
 * of what was copied before.
 */
static uint8_t *pool;
static uint32_t *unused;
static size_t n_unused;

static void open_pool(void)
{
	if (pool)
		return;
	pool = mmap(NULL, POOL * (CKPT_PAGE_LEN + sizeof(*unused)), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(pool != MAP_FAILED);
	madvise(pool, POOL * (CKPT_PAGE_LEN + sizeof(*unused)), MADV_DONTFORK);
	unused = (uint32_t *)(pool + POOL * CKPT_PAGE_LEN);
	while (n_unused < POOL) {
		unused[n_unused] = POOL - 1 - n_unused;
		n_unused++;
	}
}

static uint8_t *new_page(void)
{
	assert_true(n_unused > 0);
	return pool + (size_t)unused[--n_unused] * CKPT_PAGE_LEN;
}

static void free_page(const uint8_t *data)
{
	unused[n_unused++] = (data - pool) / CKPT_PAGE_LEN;
}

/* Where @page is in the copy, or where it would be. */
static size_t place(const struct copy *copy, uint64_t page)
{
	size_t low = 0, high = copy->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (copy->pages[mid].page < page)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct copied_page *find(const struct copy *copy, uint64_t page)
{
	size_t at = place(copy, page);

	return at < copy->n && copy->pages[at].page == page ? &copy->pages[at] : NULL;
}

static void drop(struct copy *copy, uint64_t start, uint64_t end)
{
	size_t from = place(copy, start), to = place(copy, end);

	if (from == to)
		return;
	for (size_t i = from; i < to; i++)
		free_page(copy->pages[i].data);
	memmove(&copy->pages[from], &copy->pages[to], (copy->n - to) * sizeof(*copy->pages));
	copy->n -= to - from;
}

static int open_proc(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static struct copied_page *make_page(struct copy *copy, uint64_t page)
{
	struct copied_page *p = find(copy, page);

	if (!p) {
		size_t at = place(copy, page);

		if (copy->n == copy->cap) {
			copy->cap = copy->cap ? 2 * copy->cap : 1024;
			copy->pages = realloc(copy->pages, copy->cap * sizeof(*copy->pages));
			assert_non_null(copy->pages);
		}
		p = &copy->pages[at];
		memmove(p + 1, p, (copy->n - at) * sizeof(*p));
		copy->n++;
		*p = (struct copied_page){ .page = page, .data = new_page() };
	}
	copy->copied++;
	return p;
}

static void copy_page(struct copy *copy, int mem, uint64_t page)
{
	uint8_t *data = make_page(copy, page)->data;

	assert_int_equal(pread(mem, data, CKPT_PAGE_LEN, page << CKPT_PAGE_SHIFT), CKPT_PAGE_LEN);
}

static bool has_content(uint16_t state)
{
	return state == CKPT_PAGE_ANON || state == CKPT_PAGE_SWAP;
}

static void apply_area(struct copy *copy, const struct ckpt_take_area *area, int mem)
{
	uint64_t at = area->start >> CKPT_PAGE_SHIFT;

	for (size_t r = 0; r < area->n_runs; r++) {
		const struct ckpt_run *run = &area->runs[r];
		uint64_t page = run->start >> CKPT_PAGE_SHIFT, end = page + run->pages;

		drop(copy, at, has_content(run->state) ? page : end);
		for (; has_content(run->state) && page < end; page++)
			if (run->flags & CKPT_RUN_DIRTY || !find(copy, page))
				copy_page(copy, mem, page);
		at = end;
	}
	drop(copy, at, area->end >> CKPT_PAGE_SHIFT);
}

void copy_take(struct copy *copy, const struct ckpt_take_mm *take, pid_t pid)
{
	cleanup_close int mem = open_proc(pid, "mem");
	uint64_t at = 0;

	copy->copied = 0;
	for (size_t a = 0; a < take->n_areas; a++) {
		const struct ckpt_take_area *area = &take->areas[a];

		drop(copy, at, area->start >> CKPT_PAGE_SHIFT);
		if (!(area->flags & CKPT_AREA_SHARED))
			apply_area(copy, area, mem);
		at = area->end >> CKPT_PAGE_SHIFT;
	}
	drop(copy, at, UINT64_MAX);
}

/* It may be gone already: a round says so. */
static void copy_if_there(struct copy *copy, int mem, uint64_t page)
{
	uint8_t data[CKPT_PAGE_LEN];

	drop(copy, page, page + 1);
	if (pread(mem, data, sizeof(data), page << CKPT_PAGE_SHIFT) == sizeof(data))
		memcpy(make_page(copy, page)->data, data, sizeof(data));
}

static size_t ahead_area(struct copy *copy, const struct ckpt_take_area *area, int mem)
{
	size_t dirty = 0;

	for (size_t r = 0; r < area->n_runs; r++) {
		const struct ckpt_run *run = &area->runs[r];
		uint64_t page = run->start >> CKPT_PAGE_SHIFT, end = page + run->pages;

		dirty += run->flags & CKPT_RUN_DIRTY ? run->pages : 0;
		for (; has_content(run->state) && page < end; page++)
			if (run->flags & CKPT_RUN_DIRTY || !find(copy, page))
				copy_if_there(copy, mem, page);
	}
	return dirty;
}

/* Uses @take up. */
static size_t copy_told(struct copy *copy, struct ckpt_take *take, pid_t pid)
{
	cleanup_close int mem = open_proc(pid, "mem");
	size_t dirty = 0;

	for (size_t a = 0; take->n_mms && a < take->mms[0].n_areas; a++)
		dirty += ahead_area(copy, &take->mms[0].areas[a], mem);
	ckpt_take_done(take);
	return dirty;
}

size_t copy_ahead(struct copy *copy, struct ckpt_notes *notes, const char *dir, pid_t pid)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take take;

	open_pool();
	if (ckpt_notes_ahead(notes, dir, &take, &err))
		fail_msg("%s", err.text);
	return copy_told(copy, &take, pid);
}

size_t copy_watch(struct copy *copy, struct ckpt_notes *notes, pid_t pid)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take take;
	int32_t p = pid;

	open_pool();
	watched_stop(pid);
	if (ckpt_notes_watch(notes, &p, 1, &take, &err))
		fail_msg("%s", err.text);
	watched_go_on(pid);
	return copy_told(copy, &take, pid);
}

/* Regions of [start, end) that have pages: asked of the kernel, and not of the library. */
static size_t next_regions(int pagemap, struct ckpt_scan_arg *arg)
{
	int n = ioctl(pagemap, CKPT_SCAN_IOCTL, arg);

	assert_true(n >= 0);
	arg->start = arg->walk_end;
	return n;
}

static bool of_a_file(const struct ckpt_scan_region *r)
{
	return r->categories & CKPT_SCAN_FILE && r->categories & CKPT_SCAN_PRESENT;
}

/*
 * A protected page of a file that the kernel takes away for want of memory leaves a mark that
 * looks like a page in swap.  Is it one, now that it was read?
 */
static bool now_of_a_file(int pagemap, uint64_t page)
{
	struct ckpt_scan_region region;
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .start = page << CKPT_PAGE_SHIFT,
		.end = (page + 1) << CKPT_PAGE_SHIFT, .vec = (uintptr_t)&region, .vec_len = 1,
		.category_anyof_mask = CONTENT, .return_mask = CONTENT | CKPT_SCAN_FILE,
	};

	return next_regions(pagemap, &arg) == 1 && of_a_file(&region);
}

static void compare_page(const struct copy *copy, const struct process *p, uint64_t page,
			 const uint8_t *data)
{
	struct copied_page *have = find(copy, page);

	if (!have && now_of_a_file(p->pagemap, page))
		return;
	if (!have)
		fail_msg("page %#" PRIx64 " is missing", page << CKPT_PAGE_SHIFT);
	if (memcmp(have->data, data, CKPT_PAGE_LEN))
		fail_msg("page %#" PRIx64 " is lost", page << CKPT_PAGE_SHIFT);
	have->seen = true;
}

/* Pages [page, page + n) of a process, PIECE of them at most. */
static void compare_piece(const struct copy *copy, const struct process *p, uint64_t page,
			  uint64_t n)
{
	static uint8_t data[PIECE * CKPT_PAGE_LEN];
	ssize_t len = n * CKPT_PAGE_LEN;

	if (pread(p->mem, data, len, page << CKPT_PAGE_SHIFT) == len) {
		for (uint64_t i = 0; i < n; i++)
			compare_page(copy, p, page + i, data + i * CKPT_PAGE_LEN);
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		if (pread(p->mem, data, CKPT_PAGE_LEN, (page + i) << CKPT_PAGE_SHIFT) ==
		    CKPT_PAGE_LEN)
			compare_page(copy, p, page + i, data);
		else if (find(copy, page + i))	/* the process cannot read it either */
			fail_msg("page %#" PRIx64 " is gone", (page + i) << CKPT_PAGE_SHIFT);
	}
}

static void compare_pages(const struct copy *copy, const struct process *p, uint64_t page,
			  uint64_t n)
{
	for (uint64_t i = 0; i < n; i += PIECE)
		compare_piece(copy, p, page + i, n - i < PIECE ? n - i : PIECE);
}

static void compare_area(const struct copy *copy, const struct process *p, uint64_t start,
			 uint64_t end)
{
	struct ckpt_scan_region regions[128];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .start = start, .end = end,
		.vec = (uintptr_t)regions, .vec_len = 128,
		.category_anyof_mask = CONTENT,
		.return_mask = CONTENT | CKPT_SCAN_FILE | CKPT_SCAN_PFNZERO,
	};

	while (arg.start < end) {
		size_t n = next_regions(p->pagemap, &arg);

		for (size_t i = 0; i < n; i++) {
			if (regions[i].categories & CKPT_SCAN_PFNZERO || of_a_file(&regions[i]))
				continue;
			compare_pages(copy, p, regions[i].start >> CKPT_PAGE_SHIFT,
				      (regions[i].end - regions[i].start) >> CKPT_PAGE_SHIFT);
		}
	}
}

/* All there is in private areas; and nothing that is gone. */
void copy_compare(const struct copy *copy, pid_t pid)
{
	struct process p = { open_proc(pid, "mem"), open_proc(pid, "pagemap") };
	FILE *maps = fdopen(open_proc(pid, "maps"), "r");
	char line[512], shared, name[256];
	uint64_t start, end;

	assert_non_null(maps);
	for (size_t i = 0; i < copy->n; i++)
		copy->pages[i].seen = false;
	while (fgets(line, sizeof(line), maps)) {
		*name = 0;
		assert_true(sscanf(line, "%" SCNx64 "-%" SCNx64 " %*3c%c %*s %*s %*s %255[^\n]",
				   &start, &end, &shared, name) >= 3);
		/* the kernel's own: [vdso], [vvar], [vvar_vclock], [vsyscall] */
		if (shared == 'p' && strncmp(name, "[v", 2))
			compare_area(copy, &p, start, end);
	}
	fclose(maps);
	/* what has no page of its own there, but the very content */
	for (size_t i = 0; i < copy->n; i++)
		if (!copy->pages[i].seen)
			compare_pages(copy, &p, copy->pages[i].page, 1);
	close(p.mem);
	close(p.pagemap);
}

void copy_round(struct copy *copy, struct ckpt_notes *notes, pid_t pid)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int32_t p = pid;

	open_pool();
	watched_stop(pid);
	ckpt_take_done(&last);
	if (ckpt_notes_round(notes, &p, 1, &last, &err))
		fail_msg("%s", err.text);
	assert_int_equal(last.n_mms, 1);
	copy_take(copy, &last.mms[0], pid);
	copy_compare(copy, pid);
	watched_go_on(pid);
}

static void free_pages(struct copy *copy)
{
	for (size_t i = 0; i < copy->n; i++)
		free_page(copy->pages[i].data);
	free(copy->pages);
}

void copy_assign(struct copy *to, const struct copy *from)
{
	free_pages(to);
	*to = *from;
	to->pages = calloc(from->cap + 1, sizeof(*to->pages));
	assert_non_null(to->pages);
	for (size_t i = 0; i < from->n; i++) {
		to->pages[i] = from->pages[i];
		to->pages[i].data = new_page();
		memcpy(to->pages[i].data, from->pages[i].data, CKPT_PAGE_LEN);
	}
}

void copy_done(struct copy *copy)
{
	free_pages(copy);
	*copy = (struct copy){ 0 };
	ckpt_take_done(&last);
}

static const struct ckpt_run *told(const void *page)
{
	for (size_t a = 0; a < last.mms[0].n_areas; a++) {
		const struct ckpt_take_area *area = &last.mms[0].areas[a];

		for (size_t r = 0; r < area->n_runs; r++) {
			const struct ckpt_run *run = &area->runs[r];

			if ((uintptr_t)page >= run->start &&
			    (uintptr_t)page < run->start + run->pages * (uint64_t)CKPT_PAGE_LEN)
				return run;
		}
	}
	return NULL;
}

bool copy_told_dirty(const void *page)
{
	const struct ckpt_run *run = told(page);

	return run && run->flags & CKPT_RUN_DIRTY;
}

uint16_t copy_told_state(const void *page)
{
	const struct ckpt_run *run = told(page);

	return run ? run->state : CKPT_PAGE_NONE;
}

uint32_t copy_told_flags(const void *page)
{
	for (size_t a = 0; a < last.mms[0].n_areas; a++)
		if ((uintptr_t)page >= last.mms[0].areas[a].start &&
		    (uintptr_t)page < last.mms[0].areas[a].end)
			return last.mms[0].areas[a].flags;
	return 0;
}
