// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory of a group as a checkpoint tool would have it: parent + delta
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "image.h"

#define READ_PAGES 64

bool has_content(int state)
{
	return state == CKPT_PAGE_ANON || state == CKPT_PAGE_SWAP ||
	       state == CKPT_PAGE_MIGRATION || state == CKPT_PAGE_SPECIAL;
}

bool is_followed(const struct area *a)
{
	return a->end && !(a->flags & (CKPT_AREA_SHARED | CKPT_AREA_UNWALKED));
}

static struct image_mm *new_mm(struct image *img, uint64_t cookie)
{
	struct image_mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		die("no memory for the image");
	mm->cookie = cookie;
	mm->next = img->mms;
	img->mms = mm;
	return mm;
}

struct image_mm *image_mm(struct image *img, uint64_t cookie)
{
	struct image_mm *mm;

	for (mm = img->mms; mm && mm->cookie != cookie; mm = mm->next)
		;
	return mm;
}

struct image_mm *image_inode(struct image *img, uint64_t dev, uint64_t ino, bool make)
{
	struct image_mm *mm;

	for (mm = img->mms; mm && (mm->cookie != ino || mm->dev != dev); mm = mm->next)
		;
	if (!mm && make) {
		mm = new_mm(img, ino);
		mm->dev = dev;
	}
	return mm;
}

struct image_page *image_page(struct image_mm *mm, uint64_t addr, bool make)
{
	uint64_t base = addr & ~(HUGE - 1), i = (addr & (HUGE - 1)) / PAGE;
	struct image_chunk **at = &mm->chunk[(base >> 21) * 0x9e3779b97f4a7c15ULL >> 56];

	while (*at && (*at)->addr != base)
		at = &(*at)->next;
	if (!*at && make) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			die("no memory for the image");
		(*at)->addr = base;
	}
	if (!*at)
		return NULL;
	(*at)->used[i / 64] |= 1ULL << i % 64;
	return &(*at)->page[i];
}

const uint8_t *image_want(struct image_mm *mm, uint64_t addr)
{
	struct image_page *page = image_page(mm, addr, false);

	if (!page || !page->there)
		return NULL;
	return page->now ? page->now : page->old;
}

/* Call a function for every page of an mm that is in use. */
static void each_page(struct image_mm *mm, void (*fn)(struct image_page *, uint64_t, void *),
		      void *data)
{
	struct image_chunk *chunk;
	uint64_t left;
	size_t i, j;

	for (i = 0; i < IMAGE_CHUNKS * SLOT_PAGES / 64; i++) {
		for (chunk = mm->chunk[i / (SLOT_PAGES / 64)]; chunk; chunk = chunk->next) {
			for (left = chunk->used[i % (SLOT_PAGES / 64)]; left; left &= left - 1) {
				j = i % (SLOT_PAGES / 64) * 64 + (size_t)__builtin_ctzll(left);
				fn(&chunk->page[j], chunk->addr + j * PAGE, data);
			}
		}
	}
}

static void forget(struct image_page *page)
{
	free(page->old);
	free(page->now);
	memset(page, 0, sizeof(*page));
}

static void forget_page(struct image_page *page, uint64_t addr, void *data)
{
	(void)addr;
	(void)data;
	forget(page);
}

static void free_mm(struct image *img, struct image_mm *mm)
{
	struct image_mm **at = &img->mms;
	struct image_chunk *chunk;
	size_t i;

	while (*at != mm)
		at = &(*at)->next;
	*at = mm->next;
	each_page(mm, forget_page, NULL);
	for (i = 0; i < IMAGE_CHUNKS; i++) {
		while ((chunk = mm->chunk[i])) {
			mm->chunk[i] = chunk->next;
			free(chunk);
		}
	}
	free(mm);
}

/* --- a round --- */

static void keep(struct image *img, struct image_page *page, const uint8_t *data)
{
	if (!page->now)
		page->now = malloc(PAGE);
	if (!page->now)
		die("no memory for the image");
	memcpy(page->now, data, PAGE);
	page->there = true;
	page->unread = false;
	img->read++;
}

void image_put(struct image *img, struct image_mm *mm, uint64_t addr, const uint8_t *data)
{
	keep(img, image_page(mm, addr, true), data);
}

size_t read_pages(pid_t pid, int mem, uint64_t addr, void *buf, size_t n)
{
	struct iovec to = { .iov_base = buf, .iov_len = n * PAGE };
	struct iovec from = { .iov_base = (void *)(uintptr_t)addr, .iov_len = n * PAGE };
	ssize_t got = 0, more;
	size_t done;

	/*
	 * That is the quick way.  The file reads what is protected, too, and waits for
	 * nobody who would serve a fault.
	 */
	if (kind_of(addr) != KIND_FAULTS)
		got = process_vm_readv(pid, &to, 1, &from, 1, 0);
	done = got > 0 ? (size_t)got / PAGE : 0;
	if (done == n)
		return n;
	more = pread(mem, (char *)buf + done * PAGE, (n - done) * PAGE,
		     (off_t)(addr + done * PAGE));
	return done + (more > 0 ? (size_t)more / PAGE : 0);
}

/*
 * In a live round pages may be gone again; a later round says so.  Or it says that they are there
 * and clean: those that were moved away by a page table, and back to where they had been.
 */
static void copy(struct image *img, struct image_mm *mm, int fd, uint64_t addr, size_t n)
{
	static uint8_t buf[READ_PAGES * PAGE];
	size_t i, whole = fd < 0 ? 0 : read_pages(mm->pid, fd, addr, buf, n);
	struct image_page *page;

	for (i = 0; i < whole; i++) {
		page = image_page(mm, addr + i * PAGE, true);
		page->unproven = true;
		keep(img, page, buf + i * PAGE);
	}
	if (i == n)
		return;
	page = image_page(mm, addr + i * PAGE, true);
	page->unproven = true;
	page->unread = true;
	page->there = false;
	if (i + 1 < n)
		copy(img, mm, fd, addr + (i + 1) * PAGE, n - i - 1);
}

static void take_run(struct image *img, struct image_mm *mm, int fd, bool doubt,
		     const struct ckpt_run *r)
{
	uint64_t addr = r->start, end = addr + (uint64_t)r->pages * PAGE, from = addr;
	struct image_page *page;
	bool wanted;

	for (; addr < end; addr += PAGE) {
		page = image_page(mm, addr, true);
		page->stamp = img->stamp;
		img->asked_again += page->unread && !(r->flags & CKPT_RUN_DIRTY);
		wanted = (r->flags & CKPT_RUN_DIRTY) || page->unread || (doubt && page->unproven);
		page->unproven = false;
		if (wanted && addr + PAGE - from < READ_PAGES * PAGE)
			continue;
		if (addr + (wanted ? PAGE : 0) > from)
			copy(img, mm, fd, from, (addr + (wanted ? PAGE : 0) - from) / PAGE);
		from = addr + PAGE;
	}
	if (end > from)
		copy(img, mm, fd, from, (end - from) / PAGE);
}

static void drop_gone(struct image_page *page, uint64_t addr, void *data)
{
	struct image *img = data;

	(void)addr;
	if (page->stamp == img->stamp)
		return;
	page->there = false;
	page->unread = false;
	page->unproven = false;
	if (!page->had)
		forget(page);
}

/* Of one that is told whole nothing can be lost: most are not to be. */
static void count_whole(struct image *img, const struct pages *p, size_t first, size_t last)
{
	const struct ckpt_run *r;
	bool clean = false;
	size_t i, j;

	if (p->area[first].mm_flags & CKPT_MM_NEW)
		return;
	for (i = first; i < last && !clean; i++) {
		for (j = 0; is_followed(&p->area[i]) && j < p->area[i].nr_runs; j++) {
			r = &p->run[p->area[i].run + j];
			clean |= has_content(r->state) && !(r->flags & CKPT_RUN_DIRTY);
		}
	}
	img->parts++;
	img->whole += !clean;
}

/* All parts of one mm: entries @first up to @last. */
static void take_mm(struct image *img, const struct pages *p, size_t first, size_t last)
{
	const struct area *a = &p->area[first];
	struct image_mm *mm = image_mm(img, a->cookie);
	bool doubt;
	char path[64];
	size_t i, j;
	int fd;

	if (!mm)
		mm = new_mm(img, a->cookie);
	mm->seen = img->stamp;
	if (a->mm_flags & CKPT_MM_BUSY) {
		img->busy++;
		return;
	}
	if (a->mm_flags & CKPT_MM_OVERFLOW)
		die("the module kept not all runs");
	count_whole(img, p, first, last);
	doubt = mm->pid != a->pid;
	mm->pid = a->pid;
	mm->stamp = img->stamp;
	snprintf(path, sizeof(path), "/proc/%d/mem", a->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (i = first; i < last; i++)
		for (j = 0; is_followed(&p->area[i]) && j < p->area[i].nr_runs; j++)
			if (has_content(p->run[p->area[i].run + j].state))
				take_run(img, mm, fd, doubt, &p->run[p->area[i].run + j]);
	if (fd >= 0)
		close(fd);
	each_page(mm, drop_gone, img);
}

void image_unseen(struct image *img)
{
	struct image_mm *mm, *next;

	for (mm = img->mms; mm; mm = next) {
		next = mm->next;
		if (mm->seen != img->stamp)
			free_mm(img, mm);
	}
}

void image_round(struct image *img, const struct pages *p)
{
	size_t i, last;

	img->stamp++;
	for (i = 0; i < p->nr_areas; i = last) {
		for (last = i; last < p->nr_areas && p->area[last].cookie == p->area[i].cookie;
		     last++)
			;
		take_mm(img, p, i, last);
	}
	image_unseen(img);
}

/* --- the end of an epoch --- */

static void commit_page(struct image_page *page, uint64_t addr, void *data)
{
	struct image *img = data;
	enum kind kind = kind_of(addr);

	if (!page->there) {
		forget(page);
		return;
	}
	page->had = true;
	page->unproven = false;
	if (!page->now)
		return;
	img->dirty[kind]++;
	img->same[kind] += page->old && !memcmp(page->old, page->now, PAGE);
	free(page->old);
	page->old = page->now;
	page->now = NULL;
}

struct birth {
	struct image *img;
	struct image_mm *mm;
};

static void count_inherited(struct image_page *page, uint64_t addr, void *data)
{
	const struct birth *b = data;
	const uint8_t *is = image_want(b->mm, addr), *theirs;
	struct image_mm *mm;

	(void)page;
	if (!is)
		return;
	b->img->born++;
	for (mm = b->img->mms; mm; mm = mm->next) {
		theirs = mm->parent ? image_want(mm, addr) : NULL;
		if (theirs && !memcmp(theirs, is, PAGE)) {
			b->img->inherited++;
			return;
		}
	}
}

static void count_born(struct image *img)
{
	struct birth b = { .img = img };
	bool old = false;

	for (b.mm = img->mms; b.mm; b.mm = b.mm->next)
		old |= b.mm->parent;
	for (b.mm = old ? img->mms : NULL; b.mm; b.mm = b.mm->next)
		if (!b.mm->parent)
			each_page(b.mm, count_inherited, &b);
}

void image_commit(struct image *img)
{
	struct image_mm *mm;

	if (img->mms && !img->mms->dev)
		count_born(img);
	for (mm = img->mms; mm; mm = mm->next) {
		each_page(mm, commit_page, img);
		mm->parent = true;
	}
}

static void abort_page(struct image_page *page, uint64_t addr, void *data)
{
	(void)addr;
	(void)data;
	free(page->now);
	page->now = NULL;
	page->there = page->had;
	page->unread = false;
	page->unproven = false;
	if (!page->had)
		forget(page);
}

void image_abort(struct image *img)
{
	struct image_mm *mm;

	for (mm = img->mms; mm; mm = mm->next)
		each_page(mm, abort_page, NULL);
}
