// SPDX-License-Identifier: GPL-2.0-or-later
/* Populated pages of an area. */
#include <errno.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/pages.h"
#include "track/populated.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_PRESENT (1ull << 63)
#define PM_SWAP (1ull << 62)
#define PM_FILE (1ull << 61)
#define PM_GUARD (1ull << 58)	/* since Linux 6.15; before, nobody sets it */

#define BATCH 4096	/* entries in one read */

/* include/uapi/linux/fs.h since Linux 6.7 */
struct scan_region {
	__u64 start, end, categories;
};

struct scan_arg {
	__u64 size, flags, start, end, walk_end;
	__u64 vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_FILE (1u << 2)
#define SCAN_PRESENT (1u << 3)
#define SCAN_SWAPPED (1u << 4)
#define SCAN_PFNZERO (1u << 5)
#define SCAN_GUARD (1u << 8)	/* since Linux 6.15 */
#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

#define REGIONS 512

static int no_memory(int32_t pid, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the pages of pid %d", pid);
}

static uint16_t state_of_region(uint64_t categories)
{
	if (categories & SCAN_GUARD)	/* swapped as well, so it says */
		return CKPT_PAGE_GUARD;
	if (categories & SCAN_SWAPPED)
		return CKPT_PAGE_SWAP;
	if (categories & SCAN_PFNZERO)
		return CKPT_PAGE_ZERO;
	return categories & SCAN_FILE ? CKPT_PAGE_FILE : CKPT_PAGE_ANON;
}

/* A run counts its pages in 32 bits. */
static int add_region(struct ckpt_take_area *area, const struct scan_region *region)
{
	uint64_t pages = (region->end - region->start) / CKPT_PAGE_LEN;
	struct ckpt_run run = { .start = region->start, .flags = CKPT_RUN_DIRTY };

	run.state = state_of_region(region->categories);
	for (; pages; pages -= run.pages) {
		run.pages = pages < 1u << 30 ? pages : 1u << 30;
		if (ckpt_take_add_run(area, &run))
			return -1;
		run.start += run.pages * (uint64_t)CKPT_PAGE_LEN;
	}
	return 0;
}

int ckpt_populated_scan(int pagemap, int32_t pid, struct ckpt_take_area *area,
			struct ckpt_err *err)
{
	struct scan_region regions[REGIONS];
	struct scan_arg arg = {
		.size = sizeof(arg), .start = area->start, .end = area->end,
		.vec = (uintptr_t)regions, .vec_len = REGIONS,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT | SCAN_SWAPPED | SCAN_FILE | SCAN_PFNZERO | SCAN_GUARD,
	};

	while (arg.start < area->end) {
		int n = ioctl(pagemap, SCAN_IOCTL, &arg);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EINVAL && arg.return_mask & SCAN_GUARD) {
			arg.return_mask &= ~(__u64)SCAN_GUARD;
			continue;
		}
		if (n < 0 && (errno == ENOTTY || errno == EINVAL))
			return 1;
		if (n < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot scan pagemap of pid %d",
					 pid);
		for (int i = 0; i < n; i++) {
			if (add_region(area, &regions[i]))
				return no_memory(pid, err);
		}
		if (arg.walk_end <= arg.start)
			return ckpt_fail(err, CKPT_FAILED, 0, "pagemap of pid %d does not end",
					 pid);
		arg.start = arg.walk_end;
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

int ckpt_populated_add(int pagemap, int32_t pid, struct ckpt_take_area *area,
		       struct ckpt_err *err)
{
	int r = ckpt_populated_scan(pagemap, pid, area, err);

	return r > 0 ? ckpt_populated_read(pagemap, pid, area, err) : r;
}
