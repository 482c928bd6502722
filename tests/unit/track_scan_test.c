// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes: what a process does to its memory is told, whatever it is, and nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pages.h"
#include "lib/watched.h"
#include "track/protect.h"
#include "track/notes.h"

#define P ((uint64_t)CKPT_PAGE_LEN)
#define HUGE (2ull << 20)

struct env {
	struct watched w;
	struct ckpt_notes notes;
	struct copy copy;
};

/* Orders; they run in the watched process. */

static uint64_t map(uint64_t pages)
{
	uint8_t *mem = mmap(NULL, pages * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	madvise(mem, pages * P, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < pages; i++)
		mem[i * P] = i + 1;
	return (uintptr_t)mem;
}

static uint64_t write_page(uint64_t page)
{
	++*(volatile uint8_t *)page;
	return 0;
}

static uint64_t read_page(uint64_t page)
{
	return *(volatile uint8_t *)page;
}

static uint64_t dontneed(uint64_t page)
{
	return madvise((void *)page, P, MADV_DONTNEED);
}

static int fixtures_set_up(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct ckpt_err err = CKPT_ERR_INIT;

	watched_start(&e->w, NULL);
	assert_int_equal(ckpt_notes_adopt(&e->notes, e->w.pid, watched_userfault(&e->w), &err), 0);
	*state = e;
	return 0;
}

static int fixtures_tear_down(void **state)
{
	struct env *e = *state;

	ckpt_notes_done(&e->notes);
	assert_int_equal(watched_registered(e->w.pid), 0);
	watched_end(&e->w);
	copy_done(&e->copy);
	free(e);
	return 0;
}

static uint64_t order(struct env *e, uint64_t (*what)(uint64_t), uint64_t arg)
{
	return watched_do(&e->w, what, arg);
}

/* A round that becomes a checkpoint. */
static void checkpoint(struct env *e)
{
	copy_round(&e->copy, &e->notes, e->w.pid);
	ckpt_notes_commit(&e->notes);
}

static const void *at(uint64_t mem, uint64_t page)
{
	return (const void *)(mem + page * P);
}

static void only_what_was_written(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 64);
	size_t first;

	checkpoint(e);
	first = e->copy.copied;
	assert_true(first >= 64);
	order(e, write_page, mem + 3 * P);
	order(e, write_page, mem + 17 * P);
	checkpoint(e);
	for (int i = 0; i < 64; i++)
		assert_int_equal(copy_told_dirty(at(mem, i)), i == 3 || i == 17);
	/* a few of its stack and of its library besides */
	assert_true(e->copy.copied < 64);
	checkpoint(e);
	assert_false(copy_told_dirty(at(mem, 3)));
	assert_int_equal(copy_told_state(at(mem, 3)), CKPT_PAGE_ANON);
}

static void what_is_not_committed_is_told_again(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 8);
	struct copy before = { 0 };

	checkpoint(e);
	copy_assign(&before, &e->copy);
	order(e, write_page, mem + 1 * P);
	copy_round(&e->copy, &e->notes, e->w.pid);
	/* it failed: the store has what it had */
	ckpt_notes_abort(&e->notes);
	copy_assign(&e->copy, &before);
	order(e, write_page, mem + 5 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 1)));
	assert_true(copy_told_dirty(at(mem, 5)));
	assert_false(copy_told_dirty(at(mem, 4)));
	checkpoint(e);
	assert_false(copy_told_dirty(at(mem, 1)));
	copy_done(&before);
}

static void pages_that_vanish_and_come_back(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 8);

	checkpoint(e);
	order(e, dontneed, mem);
	order(e, dontneed, mem + P);
	order(e, read_page, mem + P);
	order(e, dontneed, mem + 2 * P);
	order(e, write_page, mem + 2 * P);
	checkpoint(e);
	assert_int_equal(copy_told_state(at(mem, 0)), CKPT_PAGE_NONE);
	assert_int_equal(copy_told_state(at(mem, 1)), CKPT_PAGE_ZERO);
	assert_true(copy_told_dirty(at(mem, 2)));
	/* from the page of zeros, and from none */
	order(e, write_page, mem);
	order(e, write_page, mem + P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 0)));
	assert_true(copy_told_dirty(at(mem, 1)));
}

static uint64_t map_huge_aligned(uint64_t len)
{
	uint8_t *mem = mmap(NULL, len + HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return ((uintptr_t)mem + HUGE - 1) & ~(HUGE - 1);
}

struct move {
	uint64_t from, to, len;
	int flags;
};

static struct move move;

static uint64_t do_move(uint64_t arg)
{
	(void)arg;
	return (uintptr_t)mremap((void *)move.from, move.len, move.len,
				 MREMAP_MAYMOVE | MREMAP_FIXED | move.flags, (void *)move.to);
}

static uint64_t set_move(uint64_t arg)
{
	((uint64_t *)&move)[arg >> 56] = arg & ((1ull << 56) - 1);
	return 0;
}

static void moved(struct env *e, uint64_t from, uint64_t to, uint64_t len, int flags)
{
	order(e, set_move, from);
	order(e, set_move, to | 1ull << 56);
	order(e, set_move, len | 2ull << 56);
	order(e, set_move, (uint64_t)flags | 3ull << 56);
	assert_int_equal(order(e, do_move, 0), to);
}

static uint64_t fill(uint64_t huge)
{
	madvise((void *)huge, HUGE, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < HUGE; i += P)
		*(uint64_t *)(huge + i) = huge + i;
	return 0;
}

/* By whole page tables, over memory that was there, and home again. */
static void memory_that_moves(void **state)
{
	struct env *e = *state;
	uint64_t a = order(e, map_huge_aligned, 4 * HUGE), b = a + 2 * HUGE;

	order(e, fill, a);
	order(e, fill, b);
	checkpoint(e);
	moved(e, a, b, HUGE, 0);
	checkpoint(e);
	assert_true(copy_told_dirty(at(b, 5)));
	order(e, write_page, b + 7 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(b, 7)));
	assert_false(copy_told_dirty(at(b, 6)));
	moved(e, b, a, HUGE, 0);
	order(e, write_page, a + 9 * P);
	checkpoint(e);
	order(e, write_page, a + 9 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(a, 9)));
	moved(e, a, b, HUGE, MREMAP_DONTUNMAP);
	checkpoint(e);
	assert_int_equal(copy_told_state(at(a, 0)), CKPT_PAGE_NONE);
	assert_true(copy_told_dirty(at(b, 0)));
	order(e, write_page, a);
	order(e, write_page, b);
	checkpoint(e);
	assert_true(copy_told_dirty(at(a, 0)));
	/* away and back within one epoch, with something else there in between */
	moved(e, b, a, HUGE, 0);
	moved(e, a, b, HUGE, 0);
	checkpoint(e);
}

static uint64_t map_anew(uint64_t page)
{
	uint8_t *mem = (void *)page;

	munmap(mem, P);
	if (mmap(mem, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	    mem)
		return 1;
	mem[5] = 77;
	return 0;
}

static uint64_t map_beside(uint64_t end)
{
	uint8_t *mem = mmap((void *)end, 4 * P, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (mem != (uint8_t *)end)
		return 1;
	mem[0] = 9;
	return 0;
}

static uint64_t unmap(uint64_t page)
{
	return munmap((void *)page, 4 * P);
}

static void mapped_anew_in_place(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 16);

	order(e, unmap, mem + 12 * P);
	checkpoint(e);
	assert_int_equal(order(e, map_anew, mem + 4 * P), 0);
	assert_int_equal(order(e, map_beside, mem + 12 * P), 0);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 4)));
	assert_true(copy_told_dirty(at(mem, 12)));
	assert_false(copy_told_dirty(at(mem, 5)));
	/* by now it is one area with its neighbours */
	order(e, write_page, mem + 13 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 13)));
	assert_false(copy_told_dirty(at(mem, 12)));
	assert_false(copy_told_dirty(at(mem, 4)));
}

static uint64_t protect(uint64_t arg)
{
	return mprotect((void *)(arg & ~(P - 1)), P, arg & (P - 1));
}

static void protection_changes(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 8);

	order(e, protect, (mem + 6 * P) | PROT_NONE);
	checkpoint(e);
	assert_int_equal(copy_told_state(at(mem, 6)), CKPT_PAGE_ANON);
	order(e, protect, (mem + 6 * P) | PROT_READ | PROT_WRITE);
	order(e, protect, (mem + 2 * P) | PROT_READ);
	checkpoint(e);
	order(e, write_page, mem + 6 * P);
	order(e, protect, (mem + 2 * P) | PROT_READ | PROT_WRITE);
	order(e, write_page, mem + 2 * P);
	order(e, protect, (mem + 2 * P) | PROT_READ);
	order(e, write_page, mem + 3 * P);
	order(e, protect, (mem + 3 * P) | PROT_NONE);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 2)));
	assert_true(copy_told_dirty(at(mem, 3)));
	assert_true(copy_told_dirty(at(mem, 6)));
	assert_false(copy_told_dirty(at(mem, 1)));
}

static uint64_t make_huge(uint64_t mem)
{
	if (madvise((void *)mem, HUGE, MADV_HUGEPAGE))
		return 1;
	memset((void *)mem, 3, HUGE);
	return 0;
}

static uint64_t drop_huge(uint64_t mem)
{
	return madvise((void *)mem, HUGE, MADV_DONTNEED);
}

static void huge_pages(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map_huge_aligned, 2 * HUGE);

	assert_int_equal(order(e, make_huge, mem), 0);
	checkpoint(e);
	checkpoint(e);
	assert_false(copy_told_dirty(at(mem, 100)));
	order(e, write_page, mem + 100 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 100)));
	/* it was split: the rest of it is known to be as it was */
	assert_false(copy_told_dirty(at(mem, 101)));
	order(e, drop_huge, mem);
	checkpoint(e);
	assert_int_equal(copy_told_state(at(mem, 100)), CKPT_PAGE_NONE);
	assert_int_equal(order(e, make_huge, mem), 0);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 511)));
}

static uint64_t deep(uint64_t pages)
{
	volatile uint8_t page[4096];

	page[7] = pages;
	return pages ? deep(pages - 1) + page[7] : 0;
}

static uint64_t grow_heap(uint64_t pages)
{
	uint8_t *top = sbrk(pages * P);

	memset(top, 5, pages * P);
	return (uintptr_t)top;
}

static void stack_and_heap_grow(void **state)
{
	struct env *e = *state;
	uint64_t heap, more;

	heap = order(e, grow_heap, 4);
	checkpoint(e);
	order(e, deep, 200);
	more = order(e, grow_heap, 4);
	assert_int_equal(more, heap + 4 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(heap, 5)));
	assert_false(copy_told_dirty(at(heap, 1)));
	order(e, deep, 100);
	order(e, write_page, more);
	checkpoint(e);
	assert_true(copy_told_dirty(at(more, 0)));
	assert_false(copy_told_dirty(at(more, 2)));
}

static uint64_t advise_free(uint64_t page)
{
	return madvise((void *)page, P, MADV_FREE);
}

static uint64_t page_out(uint64_t page)
{
	return madvise((void *)page, 4 * P, MADV_PAGEOUT);
}

static void freed_and_paged_out(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 16);

	checkpoint(e);
	order(e, advise_free, mem);
	order(e, advise_free, mem + P);
	order(e, write_page, mem + P);
	order(e, page_out, mem);
	checkpoint(e);
	order(e, page_out, mem + 8 * P);
	order(e, write_page, mem + 9 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 9)));
	/* without swap it stays where it is */
	if (copy_told_state(at(mem, 8)) == CKPT_PAGE_SWAP)
		assert_false(copy_told_dirty(at(mem, 8)));
	order(e, write_page, mem + 8 * P);
	order(e, read_page, mem + 10 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 8)));
	assert_false(copy_told_dirty(at(mem, 10)));
}

static uint64_t map_file(uint64_t pages)
{
	char path[] = "/tmp/ckpt-watched.XXXXXX";
	int fd = mkstemp(path);
	uint8_t *mem;

	unlink(path);
	if (ftruncate(fd, pages * P) || pwrite(fd, "file", 4, P) != 4)
		return 0;
	mem = mmap(NULL, pages * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	return (uintptr_t)mem;
}

static void pages_of_a_private_file_mapping(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map_file, 8);

	order(e, write_page, mem + P);
	order(e, read_page, mem + 2 * P);
	checkpoint(e);
	assert_int_equal(copy_told_state(at(mem, 1)), CKPT_PAGE_ANON);
	assert_int_equal(copy_told_state(at(mem, 2)), CKPT_PAGE_FILE);
	/* what is left of it says "protected", and is no page */
	order(e, dontneed, mem + P);
	order(e, write_page, mem + 2 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 2)));
	order(e, dontneed, mem + P);
	order(e, read_page, mem + P);
	checkpoint(e);
	assert_int_equal(copy_told_state(at(mem, 1)), CKPT_PAGE_FILE);
	order(e, dontneed, mem + 2 * P);
	order(e, write_page, mem + 2 * P);
	order(e, write_page, mem + P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 1)));
	assert_true(copy_told_dirty(at(mem, 2)));
	checkpoint(e);
	assert_false(copy_told_dirty(at(mem, 1)));
}

/* From outside: they go through faults as well. */
static void written_by_others(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 8), value = 0x1234567;
	char path[64];
	int fd;

	order(e, protect, (mem + 2 * P) | PROT_READ);
	checkpoint(e);
	snprintf(path, sizeof(path), "/proc/%d/mem", e->w.pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (int i = 1; i < 3; i++)
		assert_int_equal(pwrite(fd, &value, sizeof(value), mem + i * P), sizeof(value));
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 1)));
	assert_true(copy_told_dirty(at(mem, 2)));
	/* once more, and nobody has made it writable in between */
	value++;
	assert_int_equal(pwrite(fd, &value, sizeof(value), mem + 2 * P), sizeof(value));
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 2)));
	close(fd);
}

static uint64_t direct_read(uint64_t page)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, (void *)page, P, 0);

	close(fd);
	return n != (ssize_t)P;
}

static void read_directly(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 8);

	checkpoint(e);
	/* where the file system has no such thing nothing is written */
	if (!order(e, direct_read, mem + 3 * P)) {
		checkpoint(e);
		assert_true(copy_told_dirty(at(mem, 3)));
	}
}

static uint64_t merge(uint64_t mem)
{
	memset((void *)mem, 0x5a, 8 * P);
	return madvise((void *)mem, 8 * P, MADV_MERGEABLE);
}

/* Where the kernel merges at all; the test does not make it, for others live here as well. */
static void merged_pages(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 8);

	order(e, merge, mem);
	checkpoint(e);
	usleep(100000);
	checkpoint(e);
	order(e, write_page, mem + 2 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 2)));
}

static uint64_t reserve(uint64_t len)
{
	uint8_t *mem = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0);

	mprotect(mem + len / 2, P, PROT_READ | PROT_WRITE);
	mem[len / 2] = 1;
	return (uintptr_t)mem;
}

/* A terabyte: no page tables are made for it, and it is not touched. */
static void reservations(void **state)
{
	const uint64_t len = 1ull << 40;
	struct env *e = *state;
	uint64_t mem = order(e, reserve, len);

	checkpoint(e);
	order(e, write_page, mem + len / 2);
	checkpoint(e);
	assert_true(copy_told_dirty((void *)(mem + len / 2)));
	order(e, protect, (mem + P) | PROT_READ | PROT_WRITE);
	order(e, write_page, mem + P);
	checkpoint(e);
	assert_true(copy_told_dirty((void *)(mem + P)));
}

static int own;

static uint64_t register_own(uint64_t page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register r = { .range = { page, P }, .mode = UFFDIO_REGISTER_MODE_WP };

	own = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	return ioctl(own, UFFDIO_API, &api) || ioctl(own, UFFDIO_REGISTER, &r);
}

static uint64_t close_own(uint64_t arg)
{
	(void)arg;
	return close(own);
}

static void areas_of_another_userfaultfd(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 8);

	assert_int_equal(order(e, register_own, mem + 2 * P), 0);
	checkpoint(e);
	assert_true(copy_told_flags(at(mem, 2)) & CKPT_TAKE_AREA_FOREIGN);
	assert_false(copy_told_flags(at(mem, 1)) & CKPT_TAKE_AREA_FOREIGN);
	assert_true(copy_told_dirty(at(mem, 2)));
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 2)));
	order(e, close_own, 0);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 2)));
	assert_false(copy_told_flags(at(mem, 2)) & CKPT_TAKE_AREA_FOREIGN);
	order(e, write_page, mem + 2 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 2)));
}

static aio_context_t ring;

static uint64_t open_ring(uint64_t arg)
{
	(void)arg;
	return syscall(SYS_io_setup, 4, &ring);
}

static uint64_t close_ring(uint64_t arg)
{
	(void)arg;
	return syscall(SYS_io_destroy, ring);
}

/* Of what a ring writes no fault tells: all there is, and once more after its end. */
static void asynchronous_io(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 8);

	checkpoint(e);
	assert_int_equal(order(e, open_ring, 0), 0);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 1)));
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 1)));
	assert_int_equal(order(e, close_ring, 0), 0);
	copy_round(&e->copy, &e->notes, e->w.pid);
	ckpt_notes_abort(&e->notes);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 1)));
	checkpoint(e);
	assert_false(copy_told_dirty(at(mem, 1)));
}

static pid_t child;
static volatile int *child_says;

/* A child that makes a userfaultfd of its own, waits for a word, and executes something. */
static uint64_t make_child(uint64_t page)
{
	(void)page;
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		child_says[0] = syscall(SYS_userfaultfd,
					O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
		while (!child_says[1])
			usleep(1000);
		execl("/bin/sleep", "sleep", "100", NULL);
		_exit(1);
	}
	return child;
}

static uint64_t reap_child(uint64_t arg)
{
	kill(child, SIGKILL);
	return waitpid(child, NULL, 0) == (pid_t)arg;
}

static size_t missing(struct env *e, pid_t pid)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int32_t p = pid, *list;
	size_t n;

	assert_int_equal(ckpt_notes_missing(&e->notes, &p, 1, &list, &n, &err), 0);
	free(list);
	return n;
}

static void forks_and_executes(struct env *e, uint64_t mem)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct copy copy = { 0 };
	struct ckpt_take take;
	int32_t pid;
	char exe[64], path[64] = "";

	child_says[0] = -1;
	pid = order(e, make_child, 0);
	while (child_says[0] < 0)
		usleep(1000);
	/* the child is another one, and its parent is what it was */
	assert_int_equal(watched_registered(pid), 0);
	assert_int_equal(missing(e, pid), 1);
	assert_int_equal(missing(e, e->w.pid), 0);
	checkpoint(e);
	assert_false(copy_told_dirty(at(mem, 1)));
	assert_int_equal(ckpt_notes_adopt(&e->notes, pid,
					  watched_userfault_of(pid, child_says[0]), &err), 0);
	assert_int_equal(missing(e, pid), 0);
	assert_int_equal(ckpt_notes_round(&e->notes, &pid, 1, &take, &err), 0);
	assert_int_equal(take.mms[0].pid, pid);
	copy_take(&copy, &take.mms[0], pid);
	assert_true(copy.copied > 8);
	ckpt_take_done(&take);
	order(e, write_page, mem + P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 1)));
	child_says[1] = 1;
	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	while (!strstr(path, "sleep") && !strstr(path, "coreutils"))
		assert_true(readlink(exe, path, sizeof(path) - 1) > 0);
	assert_int_equal(missing(e, pid), 1);
	assert_int_equal(ckpt_notes_round(&e->notes, &pid, 1, &take, &err), 0);
	assert_int_equal(take.n_mms, 0);
	ckpt_take_done(&take);
	order(e, reap_child, pid);
	copy_done(&copy);
}

static void fork_and_exec(void **state)
{
	struct env *e = *state;
	uint64_t mem = order(e, map, 8);

	checkpoint(e);
	forks_and_executes(e, mem);
	checkpoint(e);
	order(e, write_page, mem + 2 * P);
	checkpoint(e);
	assert_true(copy_told_dirty(at(mem, 2)));
}

/* A kernel of which nothing can be asked. */
static void nothing_is_noted(void **state)
{
	(void)state;
	assert_false(ckpt_protect_works());
}

int main(void)
{
	const struct CMUnitTest none[] = { cmocka_unit_test(nothing_is_noted) };
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixtures_set_up, fixtures_tear_down)
	const struct CMUnitTest tests[] = {
		CASE(only_what_was_written),
		CASE(what_is_not_committed_is_told_again),
		CASE(pages_that_vanish_and_come_back),
		CASE(memory_that_moves),
		CASE(mapped_anew_in_place),
		CASE(protection_changes),
		CASE(huge_pages),
		CASE(stack_and_heap_grow),
		CASE(freed_and_paged_out),
		CASE(pages_of_a_private_file_mapping),
		CASE(written_by_others),
		CASE(read_directly),
		CASE(merged_pages),
		CASE(reservations),
		CASE(areas_of_another_userfaultfd),
		CASE(asynchronous_io),
		CASE(fork_and_exec),
	};

	if (!ckpt_protect_works())
		return cmocka_run_group_tests(none, NULL, NULL);
	child_says = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
