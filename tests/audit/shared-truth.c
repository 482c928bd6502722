// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The truth of shared memory: a full copy of every inode that a process of the group maps
 *
 * It is read through the file, so that pages are in it that no page table has.  What each
 * mapping shows must be the same, and each page that one has must have been told.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared.h"

#define ENTRY_THERE (3ULL << 62)	/* present or swapped */
#define SHOW 12

/* Comparing: the image, what it was told by, and what came of it. */
struct look {
	struct image *img;
	const struct pages *p;
	struct shared_tally *tally;
	size_t lost;
};

static void report(struct look *k, pid_t pid, uint64_t addr, uint64_t ino, uint64_t offset,
		   const char *what)
{
	if (k->lost++ < SHOW)
		note("LOST %#" PRIx64 " of pid %d (%s), offset %#" PRIx64 " of inode %" PRIu64
		     ": %s", addr, pid, kind_name(kind_of(addr)), offset, ino, what);
}

/* --- through the mappings --- */

/* The first @n pages of a window, those that there is an entry of; no memory: are they told? */
static void compare_window(struct look *k, const struct area *a, struct image_mm *inode, int mem,
			   uint64_t addr, const uint64_t *entry, size_t n)
{
	static uint8_t is[SHARED_PAGES * PAGE];
	uint64_t offset = shared_offset(a, addr);
	const struct image_page *page;
	const uint8_t *want;
	size_t i, got = 0;

	for (i = 0; i < n; i++) {
		if (!(entry[i] & ENTRY_THERE))
			continue;
		if (mem < 0) {
			page = inode ? image_page(inode, offset + i * PAGE, false) : NULL;
			if (!page || page->stamp != k->img->stamp)
				report(k, a->pid, addr + i * PAGE, a->ino, offset + i * PAGE,
				       "told with no area of its inode");
			continue;
		}
		if (i >= got)
			got = i + read_pages(a->pid, mem, addr + i * PAGE, is + i * PAGE, n - i);
		k->tally->mapped++;
		want = inode ? image_want(inode, offset + i * PAGE) : NULL;
		if (i < got && (!want || memcmp(want, is + i * PAGE, PAGE)))
			report(k, a->pid, addr + i * PAGE, a->ino, offset + i * PAGE,
			       "not what it was told as");
	}
}

static int open_of(pid_t pid, const char *file)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("open %s", path);
	return fd;
}

static void compare_area(struct look *k, const struct area *a, bool content)
{
	struct image_mm *inode = image_inode(k->img, a->dev,
					      shared_number(a->start, a->ino), false);
	int mem = content ? open_of(a->pid, "mem") : -1, pagemap = open_of(a->pid, "pagemap");
	uint64_t entry[SHARED_PAGES], addr;
	size_t n;

	for (addr = a->start; addr < a->end; addr += n * PAGE) {
		n = (a->end - addr) / PAGE;
		n = n < SHARED_PAGES ? n : SHARED_PAGES;
		if (pread(pagemap, entry, n * 8, (off_t)(addr / PAGE * 8)) != (ssize_t)n * 8)
			die("pagemap of %d", a->pid);
		compare_window(k, a, inode, mem, addr, entry, n);
	}
	if (content)
		close(mem);
	close(pagemap);
}

/* Areas in parts are several entries: what is there is looked at with the first. */
static void compare_areas(struct look *k, bool content)
{
	const struct area *a;
	size_t i;

	for (i = 0; i < k->p->nr_areas; i++) {
		a = &k->p->area[i];
		if (is_shared(a) && !(i && k->p->area[i - 1].cookie == a->cookie &&
				      k->p->area[i - 1].start == a->start))
			compare_area(k, a, content);
	}
}

size_t truth_entries(struct image *img, const struct pages *p)
{
	struct look k = { .img = img, .p = p };

	compare_areas(&k, false);
	return k.lost;
}

/* --- the full copy --- */

static void compare_page(struct look *k, pid_t pid, uint64_t addr, struct image_mm *inode,
			 uint64_t ino, uint64_t offset, const uint8_t *is, size_t len)
{
	const uint8_t *want = inode ? image_want(inode, offset) : NULL;

	k->tally->pages[kind_of(addr)]++;
	k->tally->absent += inode && image_page(inode, offset, true)->stamp != k->img->stamp;
	if (!want)
		report(k, pid, addr, ino, offset, "never told");
	else if (memcmp(want, is, len))
		report(k, pid, addr, ino, offset, "the file has something else");
}

/* Each page once, whoever maps it; what is behind the end of a file is no page of it. */
static void compare_mapping(struct look *k, pid_t pid, const struct mapping *m)
{
	static uint8_t is[SHARED_PAGES * PAGE];
	struct image_mm *inode = image_inode(k->img, m->dev,
					      shared_number(m->start, m->ino), false);
	struct image_page *page;
	uint64_t addr, offset;
	size_t n, i, len;
	int fd = -1;
	ssize_t got;

	for (addr = m->start; addr < m->end; addr += n * PAGE) {
		n = (m->end - addr) / PAGE;
		n = n < SHARED_PAGES ? n : SHARED_PAGES;
		offset = m->offset + (addr - m->start);
		for (i = 0; inode && i < n; i++)
			if (image_page(inode, offset + i * PAGE, true)->compared != k->img->stamp)
				break;
		if (i == n)
			continue;
		if (fd < 0)
			fd = mapping_open(pid, m->start, m->end);
		if (fd < 0)
			die("the file at %#" PRIx64 " of %d: %s", m->start, pid, m->name);
		got = pread(fd, is, n * PAGE, (off_t)offset);
		for (i = 0; got > (ssize_t)(i * PAGE); i++) {
			len = (size_t)got - i * PAGE;
			page = inode ? image_page(inode, offset + i * PAGE, true) : NULL;
			if (page && page->compared == k->img->stamp)
				continue;
			if (page)
				page->compared = k->img->stamp;
			compare_page(k, pid, addr + i * PAGE, inode, m->ino, offset + i * PAGE,
				     is + i * PAGE, len < PAGE ? len : PAGE);
		}
	}
	if (fd >= 0)
		close(fd);
}

/*
 * Queues of the kernel are no memory of the group's alone, huge pages of hugetlbfs are not
 * walked, and the memory of this program is that of those who are not frozen, too.
 */
static bool is_file(const struct mapping *m)
{
	return m->mode[3] == 's' && m->name[0] == '/' && m->start != (uintptr_t)audit &&
	       strncmp(m->name, "/[aio]", 6) && strncmp(m->name, "/anon_hugepage", 14);
}

/* It, or another process in the same memory. */
static bool is_process_told(const struct look *k, pid_t pid)
{
	size_t i;

	for (i = 0; i < k->p->nr_areas; i++)
		if (k->p->area[i].pid == pid)
			return true;
	for (i = 0; i < k->p->nr_areas; i++)
		if ((!i || k->p->area[i].pid != k->p->area[i - 1].pid) &&
		    !syscall(SYS_kcmp, pid, k->p->area[i].pid, KCMP_VM, 0, 0))
			return true;
	return false;
}

static void compare_process(struct look *k, pid_t pid)
{
	struct mapping m;
	struct maps maps;
	bool any = false;

	if (!maps_open(&maps, pid))
		return;
	while (maps_next(&maps, &m)) {
		any = true;
		if (is_file(&m))
			compare_mapping(k, pid, &m);
	}
	maps_close(&maps);
	if (any && !is_process_told(k, pid)) {
		note("LOST pid %d: none of its areas is told", pid);
		k->lost++;
	}
}

/* What the kernel says of the shared memory that was asked to be huge. */
static uint64_t huge_kib(pid_t pid)
{
	char path[64], line[256], want[32];
	uint64_t kib = 0, all = 0;
	bool here = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	snprintf(want, sizeof(want), "%" PRIxPTR "-", (uintptr_t)REGION(KIND_SHARED_HUGE));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "VmFlags:", 8))
			here = false;
		else if (!strncmp(line, want, strlen(want)))
			here = true;
		else if (here && sscanf(line, "ShmemPmdMapped: %" SCNu64, &kib) == 1)
			all += kib;
	}
	if (!f || fclose(f))
		die("%s", path);
	return all;
}

static void compare_processes(struct look *k, const char *procs)
{
	FILE *f = fopen(procs, "re");
	int pid;

	while (f && fscanf(f, "%d", &pid) == 1)
		compare_process(k, pid);
	if (!f || fclose(f))
		die("%s", procs);
}

size_t truth_shared(struct image *img, const struct pages *p, struct shared_tally *tally)
{
	static const char *const procs[] = { CGROUPS GROUP "/cgroup.procs",
					     CGROUPS BELOW "/cgroup.procs" };
	struct look k = { .img = img, .p = p, .tally = tally };
	size_t i;

	compare_areas(&k, true);
	/* One of them after the other. */
	tally->huge += huge_kib(audit->actor[img->stamp % ACTORS]);
	for (i = 0; i < 2; i++)
		compare_processes(&k, procs[i]);
	return k.lost;
}

unsigned int shared_missing(const struct shared_tally *tally)
{
	static const enum kind kind[] = { KIND_ZERO, KIND_MEMFD, KIND_TMPFS, KIND_SYSV, KIND_EXT4,
					  KIND_SHARED_HUGE, KIND_WINDOW };
	unsigned int missing = !tally->absent + !tally->huge;
	size_t i;

	for (i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		note("%s: %" PRIu64 " pages of its file compared", kind_name(kind[i]),
		     tally->pages[kind[i]]);
		missing += !tally->pages[kind[i]];
	}
	note("%" PRIu64 " of them were in no page table; %" PRIu64 " MiB were in huge pages",
	     tally->absent, tally->huge >> 10);
	return missing;
}
