// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shared memory of a group as a checkpoint tool would have it: parent + delta
 *
 * No bit says what of it has changed, so a last round copies all that was told: pages with a
 * run from the process they are told with, and pages that are in no page table from the file
 * that it maps, if the area is told to be whole.  The pages of a file below the root that are
 * in no page table are copied when its inode was told.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "shared.h"

/* The memory of this program is also that of those who are not frozen. */
bool is_shared(const struct area *a)
{
	return a->end && a->start != (uintptr_t)audit && (a->flags & CKPT_AREA_SHARED) &&
	       !(a->flags & CKPT_AREA_UNWALKED);
}

uint64_t shared_offset(const struct area *a, uint64_t addr)
{
	return a->pgoff * PAGE + (addr - a->start);
}

/* The file that a process maps there, by what /proc/PID/maps calls the mapping. */
static int open_mapped(pid_t pid, uint64_t addr)
{
	struct mapping m;
	struct maps maps;
	int fd = -1;

	if (!maps_open(&maps, pid))
		return -1;
	while (fd < 0 && maps_next(&maps, &m))
		if (addr >= m.start && addr < m.end)
			fd = mapping_open(pid, m.start, m.end);
	maps_close(&maps);
	return fd;
}

/* What is told to be of one inode may be of another: then it is no copy of this one. */
static int open_told(const struct area *a)
{
	int fd = mapping_open(a->pid, a->start, a->end);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		fd = open_mapped(a->pid, a->start);
	if (fd >= 0 && (fstat(fd, &st) || st.st_ino != a->ino || device_of(&st) != a->dev)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Zeros where there is nothing to read, as behind the end of a file. */
static void put_pages(struct image *img, struct image_mm *inode, uint64_t offset, uint8_t *buf,
		      size_t got, size_t n)
{
	size_t i;

	memset(buf + got, 0, n * PAGE - got);
	for (i = 0; i < n; i++)
		image_put(img, inode, offset + i * PAGE, buf + i * PAGE);
}

static void take_run(struct image *img, struct image_mm *inode, const struct area *a, int mem,
		     const struct ckpt_run *run)
{
	static uint8_t buf[SHARED_PAGES * PAGE];
	uint64_t offset = shared_offset(a, run->start);
	size_t at, n;

	for (at = 0; at < run->pages; at += n) {
		n = run->pages - at < SHARED_PAGES ? run->pages - at : SHARED_PAGES;
		put_pages(img, inode, offset + at * PAGE, buf,
			  read_pages(a->pid, mem, run->start + at * PAGE, buf, n) * PAGE, n);
	}
}

/* Pages that no area of the inode has told in this round. */
static void take_absent(struct image *img, struct image_mm *inode, const struct area *a)
{
	static uint8_t buf[SHARED_PAGES * PAGE];
	uint64_t offset = shared_offset(a, a->start), end = shared_offset(a, a->end);
	int fd = -1;
	ssize_t got;
	size_t n;

	for (; offset < end; offset += n * PAGE) {
		for (n = 0; n < SHARED_PAGES && offset + n * PAGE < end; n++)
			if (image_page(inode, offset + n * PAGE, true)->stamp == img->stamp)
				break;
		if (!n) {
			n = 1;
			continue;
		}
		if (fd < 0)
			fd = open_told(a);
		if (fd < 0)
			return;
		got = pread(fd, buf, n * PAGE, (off_t)offset);
		put_pages(img, inode, offset, buf, got > 0 ? (size_t)got : 0, n);
	}
	if (fd >= 0)
		close(fd);
}

/* A file below the root is told by its inode, anything else by its areas. */
static bool is_told_whole(const struct area *a, const struct inodes *told)
{
	struct stat st;
	size_t i;

	if (fstat(files.ext4, &st))
		die("fstat");
	if (st.st_ino != a->ino || device_of(&st) != a->dev)
		return a->flags & CKPT_AREA_WHOLE;
	for (i = 0; i < told->nr; i++)
		if (told->inode[i].ino == a->ino && told->inode[i].dev == a->dev &&
		    (told->inode[i].mask & (CKPT_INODE_DATA | CKPT_INODE_SUSPECT |
					    CKPT_INODE_CREATED)))
			return true;
	return false;
}

uint64_t shared_number(uint64_t start, uint64_t ino)
{
	return kind_of(start) == KIND_SYSV ? ino | SEGMENT : ino;
}

void shared_told(struct image *img, const struct pages *p, uint64_t *ret_twice)
{
	const struct ckpt_run *run;
	struct image_page *page;
	struct image_mm *inode;
	const struct area *a;
	size_t i, j, k;

	img->stamp++;
	for (i = 0; i < p->nr_areas; i++) {
		a = &p->area[i];
		if (!is_shared(a))
			continue;
		inode = image_inode(img, a->dev, shared_number(a->start, a->ino), true);
		for (j = 0; j < a->nr_runs; j++) {
			run = &p->run[a->run + j];
			for (k = 0; k < run->pages; k++) {
				page = image_page(inode, shared_offset(a, run->start + k * PAGE),
						  true);
				*ret_twice += page->stamp == img->stamp;
				page->stamp = img->stamp;
			}
		}
	}
}

void shared_copy(struct image *img, const struct pages *p, const struct inodes *told)
{
	struct image_mm *inode;
	const struct area *a;
	char path[64];
	size_t i, j;
	int mem;

	for (i = 0; i < p->nr_areas; i++) {
		a = &p->area[i];
		if (!is_shared(a) || !a->nr_runs)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/mem", a->pid);
		mem = open(path, O_RDONLY | O_CLOEXEC);
		inode = image_inode(img, a->dev, shared_number(a->start, a->ino), true);
		for (j = 0; j < a->nr_runs; j++)
			take_run(img, inode, a, mem, &p->run[a->run + j]);
		close(mem);
	}
	for (i = 0; i < p->nr_areas; i++) {
		a = &p->area[i];
		if (!is_shared(a))
			continue;
		inode = image_inode(img, a->dev, shared_number(a->start, a->ino), true);
		inode->seen = img->stamp;
		if (is_told_whole(a, told))
			take_absent(img, inode, a);
	}
}
