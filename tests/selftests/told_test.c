// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * told_test.c: a page of shared memory is told once in a round, whoever maps it, and by its inode
 * where nobody has it mapped any more
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/world.h"

#define NR 64
#define LEN (NR * PAGE)
#define HALF (LEN / 2)
#define CHILDREN 3

static int memfd;
static char *at;

static void fill(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE)
		p[i]++;
}

#define ROOT "/dev/shm/told"
#define FILE_AT ROOT "/file"
#define PAGE_AT(n) ((n) * PAGE)
#define DROPPED 9UL	/* a page that is taken out of the page table again */
#define LEFT 40UL	/* one of a process that ends */

enum { FILE_MAP = 5, WRITE_DROPPED, READ_DROPPED, WRITE_LEFT, UNMAP_FILE };
/* Word of the shared page: where the file is mapped. */
#define FILE_MEM 3

static void file_step(int n, uint64_t *shared)
{
	static volatile char *mem;
	int fd;

	switch (n) {
	case FILE_MAP:
		fd = open(FILE_AT, O_RDWR | O_CLOEXEC);
		mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (fd < 0 || mem == MAP_FAILED)
			_exit(1);
		close(fd);
		shared[FILE_MEM] = (uintptr_t)mem;
		break;
	case WRITE_DROPPED:
		mem[PAGE_AT(DROPPED)] = 'd';
		if (madvise((void *)(mem + PAGE_AT(DROPPED)), PAGE, MADV_DONTNEED))
			_exit(1);
		break;
	case READ_DROPPED:
		shared[FILE_MEM + 1] = mem[PAGE_AT(DROPPED)];
		break;
	case WRITE_LEFT:
		mem[PAGE_AT(LEFT)] = 'l';
		break;
	case UNMAP_FILE:
		munmap((void *)mem, LEN);
		break;
	}
}

static void step(int n, uint64_t *shared)
{
	switch (n) {
	case 0:
	case 1:
		/* The first half of it, from the second child on all. */
		at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
		fill(at, n ? LEN : HALF);
		shared[0] = (uintptr_t)at;
		break;
	case 2:
		/* A second time, from the middle on. */
		at = mmap(NULL, HALF, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, HALF);
		fill(at, HALF);
		shared[1] = (uintptr_t)at;
		break;
	case 3:
		at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, memfd, 0);
		fill(at, LEN);
		shared[2] = (uintptr_t)at;
		break;
	case 4:
		munmap((void *)(uintptr_t)shared[0], LEN);
		break;
	default:
		file_step(n, shared);
	}
}

static struct client c;
static struct child child[CHILDREN];
static struct pages p;

static void take(uint64_t *ret_dirty)
{
	uint8_t id[CKPT_ID_LEN] = { 5 };
	struct round r;

	pages_free(&p);
	if (client_begin(&c, "told", &r) || client_pages(&c, "told", &p) ||
	    client_commit(&c, "told", r.epoch, id))
		die("take: %s", c.text);
	*ret_dirty = r.dirty_pages;
}

/* How many pages of an area of child @i have runs; two cases. */
static void want(int i, int which, size_t len, size_t pages, bool told, const char *what)
{
	uint64_t start = child[i].shared[which];
	const struct area *a = pages_area(&p, child[i].pid, start);
	size_t n = pages_dirty(&p, child[i].pid, start, start + len);

	check(n == pages, "%s: %zu pages (%zu)", what, pages, n);
	check(a && !!(a->flags & CKPT_AREA_TOLD) == told, "%s: flags %#x", what,
	      a ? a->flags : 0);
}

static ino_t file_ino;

/* A take; what it says of the file.  The pages stay in p. */
static uint32_t take_file(void)
{
	uint8_t id[CKPT_ID_LEN] = { 5 };
	struct round r;
	uint32_t mask;

	pages_free(&p);
	if (client_begin(&c, "told", &r) || client_pages(&c, "told", &p))
		die("take: %s", c.text);
	mask = client_inode_mask(&c, "told", file_ino);
	if (client_commit(&c, "told", r.epoch, id))
		die("commit: %s", c.text);
	return mask;
}

/* How often the last take told a page of the file, in the areas of the first @nr children. */
static size_t times_told(int nr, uint64_t page)
{
	uint64_t addr;
	size_t n = 0;
	int i;

	for (i = 0; i < nr; i++) {
		addr = child[i].shared[FILE_MEM] + PAGE_AT(page);
		n += pages_dirty(&p, child[i].pid, addr, addr + PAGE);
	}
	return n;
}

/* One case: the area of child @i is told whole, and of which file it is. */
static void want_file(int i, const char *what)
{
	const struct area *a = pages_area(&p, child[i].pid, child[i].shared[FILE_MEM]);

	check(a && (a->flags & CKPT_AREA_WHOLE) && !(a->flags & CKPT_AREA_UNWALKED) &&
	      a->ino == file_ino && !a->pgoff && a->end - a->start == LEN,
	      "%s: the area of process %d tells its file, and that it is whole", what, i);
}

static void start_file(void)
{
	struct stat st;
	int fd;

	mkdir(ROOT, 0755);
	fd = open(FILE_AT, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)LEN) || fstat(fd, &st) ||
	    client_root(&c, CKPT_CMD_ROOT_ADD, "told", ROOT))
		die("a file: %s", c.text);
	close(fd);
	file_ino = st.st_ino;
	child_step(&child[0], FILE_MAP);
	child_step(&child[1], FILE_MAP);
}

/* Nobody is suspect any more, or only who has it mapped is; three takes are enough. */
static void settle_file(void)
{
	int i;

	for (i = 0; i < 3; i++)
		take_file();
}

/* Pages that were written and are in no page table: no bit, no entry tells of them. */
static void test_dropped(void)
{
	char buf[2] = "";
	int fd, i;

	start_file();
	settle_file();
	child_step(&child[0], WRITE_DROPPED);
	check(take_file() & CKPT_INODE_SUSPECT, "written and dropped: its inode is told");
	check(!times_told(2, DROPPED), "its page is in no page table");
	for (i = 0; i < 2; i++)
		want_file(i, "written and dropped");
	fd = open(FILE_AT, O_RDONLY | O_CLOEXEC);
	check(pread(fd, buf, 1, PAGE_AT(DROPPED)) == 1 && buf[0] == 'd', "there it is found");
	child_step(&child[1], READ_DROPPED);
	take_file();
	check(times_told(2, DROPPED) == 1, "who reads it has it told, once");
	child_step(&child[0], READ_DROPPED);
	take_file();
	check(times_told(2, DROPPED) == 1, "as do both");

	child_step(&child[1], WRITE_LEFT);
	child_end(&child[1]);
	check(take_file() & CKPT_INODE_SUSPECT, "written by one that has ended: the same");
	check(!times_told(1, LEFT), "its page is in no page table any more");
	want_file(0, "written by one that has ended");
	check(pread(fd, buf, 1, PAGE_AT(LEFT)) == 1 && buf[0] == 'l', "there it is found");
	close(fd);
	child_step(&child[0], WRITE_DROPPED);
	child_step(&child[0], UNMAP_FILE);
	check(take_file() & CKPT_INODE_SUSPECT, "written, dropped and unmapped: told");
	check(take_file() & CKPT_INODE_SUSPECT, "once more");
	check(!take_file(), "and no more");
	client_root(&c, CKPT_CMD_ROOT_DEL, "told", ROOT);
	unlink(FILE_AT);
	rmdir(ROOT);
}

int main(void)
{
	uint64_t dirty, one;
	int i;

	cgroup_make("told");
	memfd = memfd_create("told", MFD_CLOEXEC);
	if (ftruncate(memfd, (off_t)LEN) || client_open(&c) ||
	    client_group_new(&c, "told", "/told"))
		die("tag: %s", c.text);
	for (i = 0; i < CHILDREN; i++) {
		child_start(&child[i], "told", step);
		take(&dirty);
		child_step(&child[i], i ? 1 : 0);
	}
	take(&dirty);
	want(0, 0, LEN, NR / 2, false, "the first tells what it has mapped");
	want(1, 0, LEN, NR / 2, true, "the second tells the rest");
	want(2, 0, LEN, 0, true, "the third nothing");
	take(&one);
	want(0, 0, LEN, NR / 2, false, "the next round the same");
	want(1, 0, LEN, NR / 2, true, "the next round the same");
	want(2, 0, LEN, 0, true, "the next round the same");

	child_step(&child[0], 2);
	take(&dirty);
	want(0, 1, HALF, NR / 2, false, "a second mapping of the first tells what it has");
	want(1, 0, LEN, 0, true, "and the second process nothing any more");
	check(dirty < one + NR, "counted once (%llu, before %llu)", (unsigned long long)dirty,
	      (unsigned long long)one);

	child_step(&child[2], 3);
	take(&dirty);
	want(2, 2, LEN, NR, false, "private copies are told, whatever the file is");

	for (i = 0; i < 2; i++)
		child_step(&child[i], 4);
	take(&dirty);
	want(2, 0, LEN, NR / 2, true, "what nobody else maps any more is the third's to tell");
	test_dropped();
	pages_free(&p);
	child_end(&child[0]);
	child_end(&child[2]);
	client_group_del(&c, "told");
	client_close(&c);
	cgroup_gone("told");
	return finish();
}
