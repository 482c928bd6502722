// SPDX-License-Identifier: GPL-2.0-or-later
/* Populated pages of an area. */
#include <errno.h>
#include <unistd.h>

#include "base/pages.h"
#include "track/pagemap.h"
#include "track/populated.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_PRESENT (1ull << 63)
#define PM_SWAP (1ull << 62)
#define PM_FILE (1ull << 61)
#define PM_GUARD (1ull << 58)	/* since Linux 6.15; before, nobody sets it */

#define BATCH 4096	/* entries in one read */

static int no_memory(int32_t pid, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the pages of pid %d", pid);
}

uint64_t ckpt_populated_mask(bool file)
{
	uint64_t mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED | CKPT_SCAN_PFNZERO | CKPT_SCAN_GUARD;

	return file ? mask | CKPT_SCAN_FILE : mask;
}

int ckpt_populated_scan(int pagemap, int32_t pid, struct ckpt_take_area *area, bool file,
			struct ckpt_err *err)
{
	struct ckpt_scan_region regions[CKPT_SCAN_REGIONS];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .start = area->start, .end = area->end,
		.vec = (uintptr_t)regions, .vec_len = CKPT_SCAN_REGIONS,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = ckpt_populated_mask(file),
	};

	while (arg.start < area->end) {
		int n = ckpt_scan_next(pagemap, &arg);

		if (n == -ENOTTY || n == -EINVAL)
			return 1;
		if (n < 0)
			return ckpt_fail(err, CKPT_FAILED, -n, "cannot scan pagemap of pid %d",
					 pid);
		for (int i = 0; i < n; i++) {
			uint16_t state = ckpt_scan_state(regions[i].categories);

			if (ckpt_take_add_pages(area, regions[i].start, regions[i].end, state,
						CKPT_RUN_DIRTY))
				return no_memory(pid, err);
		}
	}
	return 0;
}

int ckpt_populated_guards(int pagemap, int32_t pid, struct ckpt_take_area *area,
			  struct ckpt_err *err)
{
	struct ckpt_scan_region regions[CKPT_SCAN_REGIONS];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .start = area->start, .end = area->end,
		.vec = (uintptr_t)regions, .vec_len = CKPT_SCAN_REGIONS,
		.category_mask = CKPT_SCAN_GUARD, .return_mask = CKPT_SCAN_GUARD,
	};

	while (arg.start < area->end) {
		int n = ckpt_scan_next(pagemap, &arg);

		if (n == -ENOTTY || n == -EINVAL)
			return 0;
		if (n < 0)
			return ckpt_fail(err, CKPT_FAILED, -n, "cannot scan pagemap of pid %d",
					 pid);
		for (int i = 0; i < n; i++) {
			if (ckpt_take_add_pages(area, regions[i].start, regions[i].end,
						CKPT_PAGE_GUARD, 0))
				return no_memory(pid, err);
		}
	}
	return 0;
}

static uint16_t state_of_entry(uint64_t entry)
{
	if (entry & PM_GUARD)
		return CKPT_PAGE_GUARD;
	if (entry & PM_SWAP)
		return CKPT_PAGE_SWAP;
	if (!(entry & PM_PRESENT))
		return CKPT_PAGE_NONE;
	return entry & PM_FILE ? CKPT_PAGE_FILE : CKPT_PAGE_ANON;
}

int ckpt_populated_read(int pagemap, int32_t pid, struct ckpt_take_area *area,
			struct ckpt_err *err)
{
	uint64_t entries[BATCH];
	uint64_t addr = area->start;

	while (addr < area->end) {
		uint64_t left = (area->end - addr) / CKPT_PAGE_LEN;
		size_t want = left < BATCH ? left : BATCH;
		ssize_t got = pread(pagemap, entries, want * 8, addr / CKPT_PAGE_LEN * 8);

		if (got < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot read pagemap of pid %d",
					 pid);
		if (!got)
			break;
		for (ssize_t i = 0; i < got / 8; i++, addr += CKPT_PAGE_LEN) {
			struct ckpt_run run = { .start = addr, .pages = 1,
						.flags = CKPT_RUN_DIRTY };

			run.state = state_of_entry(entries[i]);
			if (run.state != CKPT_PAGE_NONE && ckpt_take_add_run(area, &run))
				return no_memory(pid, err);
		}
	}
	return 0;
}

int ckpt_populated_add(int pagemap, int32_t pid, struct ckpt_take_area *area, bool file,
		       struct ckpt_err *err)
{
	int r = ckpt_populated_scan(pagemap, pid, area, file, err);

	return r > 0 ? ckpt_populated_read(pagemap, pid, area, err) : r;
}
