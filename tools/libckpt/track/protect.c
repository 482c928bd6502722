// SPDX-License-Identifier: GPL-2.0-or-later
/* Write protection by a userfaultfd. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "track/pagemap.h"
#include "track/protect.h"

/* include/uapi/linux/userfaultfd.h since Linux 6.4 and 6.7 */
#define WP_UNPOPULATED (1ull << 13)
#define WP_ASYNC (1ull << 15)

/* The last page that a process can have. */
#define LAST_PAGE 0x7fffffffe000ull

/* Pages, of which one is taken away. */
#define SPAN 5u
#define HOLE 2u

int ckpt_protect_start(int uffd)
{
	struct uffdio_api api = { .api = UFFD_API, .features = WP_ASYNC | WP_UNPOPULATED };

	return ioctl(uffd, UFFDIO_API, &api) ? -errno : 0;
}

bool ckpt_protect_alive(int uffd)
{
	/* taking a protection away says "written", so it can do no harm where there is one */
	struct uffdio_writeprotect wp = { .range = { LAST_PAGE, CKPT_PAGE_LEN } };

	return !ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) || errno != ESRCH;
}

int ckpt_protect_register(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_register r = { .range = { start, end - start },
				     .mode = UFFDIO_REGISTER_MODE_WP };

	return ioctl(uffd, UFFDIO_REGISTER, &r) ? -errno : 0;
}

int ckpt_protect_unregister(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_range r = { start, end - start };

	return ioctl(uffd, UFFDIO_UNREGISTER, &r) ? -errno : 0;
}

int ckpt_protect_noted(int pagemap, uint64_t addr)
{
	struct ckpt_scan_region region;
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .start = addr, .end = addr + CKPT_PAGE_LEN,
		.vec = (uintptr_t)&region, .vec_len = 1, .return_mask = CKPT_SCAN_WPALLOWED,
	};
	int n = ckpt_scan_next(pagemap, &arg);

	return n <= 0 ? n : !!(region.categories & CKPT_SCAN_WPALLOWED);
}

/* Protect the page if it is not. Return: whether it was not, or -1. */
static int was_written(int pagemap, uint64_t page)
{
	struct ckpt_scan_region region;
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .flags = CKPT_SCAN_WP_MATCHING | CKPT_SCAN_CHECK_WPASYNC,
		.start = page, .end = page + CKPT_PAGE_LEN,
		.vec = (uintptr_t)&region, .vec_len = 1,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = CKPT_SCAN_WRITTEN,
	};

	return ckpt_scan_next(pagemap, &arg) == 1 ? !!(region.categories & CKPT_SCAN_WRITTEN) : -1;
}

static bool notes_a_write(int pagemap, int uffd, volatile uint8_t *page)
{
	uint64_t at = (uintptr_t)page;

	*page = 1;
	if (ckpt_protect_start(uffd) || ckpt_protect_register(uffd, at, at + CKPT_PAGE_LEN) ||
	    was_written(pagemap, at) != 1 || was_written(pagemap, at))
		return false;
	*page = 2;
	return was_written(pagemap, at) == 1 && *page == 2 && ckpt_protect_alive(uffd);
}

/* Pages of our own; to be unmapped by the caller. Return: whether @test is true of them. */
static bool try_with(size_t pages, bool (*test)(int pagemap, int uffd, volatile uint8_t *pages))
{
	cleanup_close int uffd = syscall(SYS_userfaultfd,
					 O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	cleanup_close int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	void *mem;
	bool works;

	if (uffd < 0 || pagemap < 0)
		return false;
	mem = mmap(NULL, pages * CKPT_PAGE_LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return false;
	works = test(pagemap, uffd, mem);
	munmap(mem, pages * CKPT_PAGE_LEN);
	return works;
}

bool ckpt_protect_works(void)
{
	return try_with(1, notes_a_write);
}

/* Of the pages at @at with a hole in the midst, protecting them. Return: how many are written. */
static int written_around(int pagemap, uint64_t at)
{
	struct ckpt_scan_region regions[SPAN];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .flags = CKPT_SCAN_WP_MATCHING,
		.start = at, .end = at + SPAN * CKPT_PAGE_LEN,
		.vec = (uintptr_t)regions, .vec_len = SPAN,
		.category_mask = CKPT_SCAN_WPALLOWED,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = CKPT_SCAN_WRITTEN,
	};
	int n = ckpt_scan_next(pagemap, &arg), written = 0;

	for (int i = 0; i < n; i++) {
		if (regions[i].categories & CKPT_SCAN_WRITTEN)
			written += (regions[i].end - regions[i].start) / CKPT_PAGE_LEN;
	}
	return n < 0 ? n : written;
}

static bool takes_a_span(int pagemap, int uffd, volatile uint8_t *pages)
{
	uint64_t at = (uintptr_t)pages, end = at + SPAN * CKPT_PAGE_LEN;
	struct ckpt_scan_region region;
	struct ckpt_scan_arg moved = {
		.size = sizeof(moved), .start = at + HOLE * CKPT_PAGE_LEN,
		.end = at + (HOLE + 1) * CKPT_PAGE_LEN,
		.vec = (uintptr_t)&region, .vec_len = 1,
		.category_mask = CKPT_SCAN_WRITTEN | CKPT_SCAN_PRESENT,
	};

	pages[0] = pages[(SPAN - 1) * CKPT_PAGE_LEN] = 1;
	if (munmap((void *)moved.start, CKPT_PAGE_LEN) || ckpt_protect_start(uffd) ||
	    ckpt_protect_register(uffd, at, end) || written_around(pagemap, at) != 2 ||
	    written_around(pagemap, at))
		return false;
	if (mremap((void *)at, CKPT_PAGE_LEN, CKPT_PAGE_LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)moved.start) == MAP_FAILED)
		return false;
	return ckpt_scan_next(pagemap, &moved) == 1;
}

bool ckpt_protect_spans(void)
{
	static bool known, works;

	if (!known)
		works = try_with(SPAN, takes_a_span);
	known = true;
	return works;
}
