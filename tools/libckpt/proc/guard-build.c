// SPDX-License-Identifier: GPL-2.0-or-later
/* Guard regions: made when all else is in memory, and looked for once more. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "proc/build.h"
#include "proc/guard.h"
#include "proc/memory.h"

#define SHOWN (1ull << 58)	/* of a pagemap entry, since Linux 6.15 */
#define BATCH 4096u

/* @file: of a file; else anonymous */
static bool can_be_made(bool file)
{
	cleanup_close int fd = file ? memfd_create("ckpt", MFD_CLOEXEC) : -1;
	bool made = false;
	void *page;

	if (file && (fd < 0 || ftruncate(fd, CKPT_PAGE_LEN)))
		return false;
	page = mmap(NULL, CKPT_PAGE_LEN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | (file ? 0 : MAP_ANONYMOUS), fd, 0);
	if (page == MAP_FAILED)
		return false;
	made = !madvise(page, CKPT_PAGE_LEN, CKPT_GUARD_INSTALL);
	munmap(page, CKPT_PAGE_LEN);
	return made;
}

static bool has_guard(const struct ckpt_mm *mm, const struct ckpt_area *a)
{
	struct ckpt_guard g = ckpt_guard_next(mm, a->start, a->end);

	return g.start < g.end;
}

int ckpt_guards_machine(const struct ckpt_mm *mm, const struct ckpt_task *t, struct ckpt_err *err)
{
	bool file = false;

	if (!mm->n_guards)
		return 0;
	for (size_t i = 0; i < mm->n_areas; i++)
		file |= mm->areas[i].kind != CKPT_AREA_KIND_ANON && has_guard(mm, &mm->areas[i]);
	if (can_be_made(false) && (!file || can_be_made(true)))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "pid %d (%s) has a guard region at 0x%lx, as this kernel makes none "
			 "(Linux 6.13 does in anonymous memory, 6.15 in files)", t->pid, t->comm,
			 mm->guards[0].start);
}

int ckpt_build_guards(const struct ckpt_mm *mm, const struct ckpt_site *s, struct ckpt_err *err)
{
	for (size_t i = 0; i < mm->n_guards; i++) {
		const struct ckpt_guard *g = &mm->guards[i];

		if (ckpt_site_call(s, err, "make a guard region", SYS_madvise,
				   ARGS(g->start, g->end - g->start, CKPT_GUARD_INSTALL)) < 0)
			return -1;
	}
	return 0;
}

/* Entries of @n pages from @addr on. Return: 0, or -1. */
static int entries_of(int pagemap, uint64_t addr, size_t n, uint64_t *ret)
{
	ssize_t len = n * sizeof(*ret);

	return pread(pagemap, ret, len, addr / CKPT_PAGE_LEN * sizeof(*ret)) == len ? 0 : -1;
}

/* Does this kernel show them? */
static bool are_shown(void)
{
	cleanup_close int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	void *page = mmap(NULL, CKPT_PAGE_LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0;

	if (page == MAP_FAILED)
		return false;
	if (pagemap < 0 || madvise(page, CKPT_PAGE_LEN, CKPT_GUARD_INSTALL) ||
	    entries_of(pagemap, (uintptr_t)page, 1, &entry))
		entry = 0;
	munmap(page, CKPT_PAGE_LEN);
	return entry & SHOWN;
}

static int differs(const struct ckpt_build_task *t, uint64_t addr, struct ckpt_err *err)
{
	return NOT_AS_CAPTURED("process %d has no guard region at 0x%lx", t->task->pid, addr);
}

static int verify_shown(const struct ckpt_build_task *t, int pagemap, const struct ckpt_guard *g,
			struct ckpt_err *err)
{
	uint64_t entries[BATCH];
	size_t n;

	for (uint64_t at = g->start; at < g->end; at += n * CKPT_PAGE_LEN) {
		n = (g->end - at) / CKPT_PAGE_LEN;
		n = n < BATCH ? n : BATCH;
		if (entries_of(pagemap, at, n, entries))
			return differs(t, at, err);
		for (size_t i = 0; i < n; i++) {
			if (!(entries[i] & SHOWN))
				return differs(t, at + i * CKPT_PAGE_LEN, err);
		}
	}
	return 0;
}

/* Nobody can read them, not even he who may read everything. */
static int verify_touched(const struct ckpt_build_task *t, const struct ckpt_memory *memory,
			  const struct ckpt_guard *g, struct ckpt_err *err)
{
	uint8_t page[CKPT_PAGE_LEN];

	for (uint64_t at = g->start; at < g->end; at += CKPT_PAGE_LEN) {
		if (ckpt_memory_read(memory, at, page, sizeof(page)))
			return differs(t, at, err);
	}
	return 0;
}

int ckpt_verify_guards(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		       struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	bool shown = mm->n_guards && are_shown();
	cleanup_close int pagemap = -1;
	struct ckpt_memory memory;
	char path[64];
	int ret = 0;

	if (!mm->n_guards)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", t->host);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	if (ckpt_memory_open(t->host, &memory, err))
		return -1;
	for (size_t i = 0; i < mm->n_guards && !ret; i++)
		ret = shown ? verify_shown(t, pagemap, &mm->guards[i], err) :
			      verify_touched(t, &memory, &mm->guards[i], err);
	ckpt_memory_close(&memory);
	return ret;
}
