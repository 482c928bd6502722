// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * moves_pieces_test.c: memory that moves in pieces: one of several areas, before the move of the
 * next one fails (from 6.17), and pages that a fault handler moves (from 6.8)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define NR 64
#define LEN HUGE
#define WRITTEN 5
/* Pages that wait in a batch for a moment. */
#define FEW 8

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#endif

enum {
	SETUP,
	WRITE,		/* a page, where it is at home */
	AWAY,		/* the first area goes; a second one, which nobody can move, is beside it */
	BACK,		/* both of them, and the second fails */
	HANDLER,	/* pages, one of them to be swapped, and a huge one */
	OUT,		/* a page is swapped out */
	HAND,		/* all that is moved by the handler */
};

enum { HOME, CAME, SRC, DST, HUGE_SRC, HUGE_DST, WORDS };

static char *home, *away, *mem[WORDS];
static int uffd;

static void setup(uint64_t *shared)
{
	home = map_anon(LEN + PAGE, HUGE);
	away = map_anon(LEN + PAGE, HUGE);
	madvise(home, LEN, MADV_NOHUGEPAGE);
	memset(home, 1, NR * PAGE);
	munmap(away, LEN);
	if (mprotect(away + LEN, PAGE, PROT_READ))
		_exit(1);
	shared[HOME] = (uint64_t)(uintptr_t)home;
}

static void back(uint64_t *shared)
{
	if (syscall(SYS_mseal, away + LEN, PAGE, 0) ||
	    mremap(away, LEN + PAGE, LEN + PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, home) !=
	    MAP_FAILED)
		return;
	/* that of the first one has come */
	shared[CAME] = !madvise(home, LEN, MADV_NORMAL);
}

static int handle(char *dst)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)dst, .len = LEN },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(uffd, UFFDIO_REGISTER, &reg);
}

static void handler(uint64_t *shared)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE };
	int i;

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		return;
	for (i = SRC; i < WORDS; i++) {
		mem[i] = map_anon(LEN, HUGE);
		madvise(mem[i], LEN, i < HUGE_SRC ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	}
	memset(mem[SRC], 1, NR * PAGE);
	memset(mem[HUGE_SRC], 1, LEN);
	/* the first pages are there already: only what comes to others shows */
	memset(mem[DST], 2, PAGE);
	if (handle(mem[DST]) || handle(mem[HUGE_DST]))
		_exit(1);
	for (i = SRC; i < WORDS; i++)
		shared[i] = (uint64_t)(uintptr_t)mem[i];
}

static void out(void)
{
	char *at = mem[SRC] + WRITTEN * PAGE;
	int tries;

	for (tries = 0; tries < 50; tries++) {
		madvise(at, PAGE, MADV_PAGEOUT);
		if (entries_with(getpid(), (uint64_t)(uintptr_t)at, 1, ENTRY_SWAPPED))
			return;
		usleep(20000);
	}
}

static void hand(int from, int to, size_t offset, size_t len)
{
	struct uffdio_move move = {
		.dst = (uintptr_t)mem[to] + offset,
		.src = (uintptr_t)mem[from] + offset,
		.len = len,
	};

	if (ioctl(uffd, UFFDIO_MOVE, &move))
		_exit(1);
}

static void step(int n, uint64_t *shared)
{
	switch (n) {
	case SETUP:
		setup(shared);
		break;
	case WRITE:
		home[WRITTEN * PAGE]++;
		break;
	case AWAY:
		if (mremap(home, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, away) != away)
			_exit(1);
		break;
	case BACK:
		back(shared);
		break;
	case HANDLER:
		handler(shared);
		break;
	case OUT:
		out();
		break;
	case HAND:
		hand(SRC, DST, (WRITTEN - 1) * PAGE, PAGE);
		hand(SRC, DST, WRITTEN * PAGE, PAGE);
		hand(HUGE_SRC, HUGE_DST, 0, LEN);
		break;
	}
}

static size_t told(const struct pages *p, const struct child *child, uint64_t at)
{
	return pages_dirty(p, child->pid, at, at + LEN);
}

/* Takes until what is there is clean. */
static void settle(struct client *c, const struct child *child, uint64_t at)
{
	struct pages p;
	size_t still;
	int tries;

	for (tries = 0; ; tries++) {
		batches_drain();
		client_take(c, "pieces", &p);
		still = told(&p, child, at);
		pages_free(&p);
		if (!still)
			return;
		if (tries == 20)
			die("%zu pages do not become clean", still);
	}
}

/*
 * A page is told, and away when the reader comes; where it was there is nothing.  It comes back by
 * a call that fails.
 */
static void test_half(struct client *c, const struct child *child)
{
	uint8_t id[CKPT_ID_LEN] = { 4 };
	uint64_t at = child->shared[HOME];
	struct pages p;
	struct round r;

	settle(c, child, at);
	child_step(child, WRITE);
	if (client_begin(c, "pieces", &r) || client_pages(c, "pieces", &p))
		die("begin: %s", c->text);
	check(pages_dirty(&p, child->pid, at + WRITTEN * PAGE, at + (WRITTEN + 1) * PAGE) == 1 &&
	      told(&p, child, at) <= FEW, "a page written is told");
	pages_free(&p);
	child_step(child, AWAY);
	child_step(child, BACK);
	check(!child->shared[CAME] == !kernel_from(6, 17),
	      "an area moves, and then the next one cannot, on kernels that move several");
	if (child->shared[CAME]) {
		if (client_next(c, "pieces", 0, &r) || client_pages(c, "pieces", &p))
			die("next: %s", c->text);
		check(told(&p, child, at) == NR, "all that came is told once more (%zu of %d)",
		      told(&p, child, at), NR);
		pages_free(&p);
	}
	if (client_commit(c, "pieces", r.epoch, id))
		die("commit: %s", c->text);
}

static void test_handler(struct client *c, const struct child *child)
{
	uint64_t src, dst, page;
	struct pages p;
	uint32_t flags;

	child_step(child, HANDLER);
	src = child->shared[SRC];
	dst = child->shared[DST];
	page = WRITTEN * PAGE;
	check(!src == !kernel_from(6, 8), "fault handlers move pages, on kernels where they can");
	if (!src)
		return;
	settle(c, child, src);
	settle(c, child, child->shared[HUGE_SRC]);
	child_step(child, OUT);
	check(entries_with(child->pid, src + page, 1, ENTRY_SWAPPED) == 1, "one is in swap");
	client_take(c, "pieces", &p);
	check(told(&p, child, src) <= FEW && !told(&p, child, dst), "and clean");
	pages_free(&p);
	child_step(child, HAND);
	check(entries_with(child->pid, dst + page, 1, ENTRY_SWAPPED) == 1, "and moves there");
	client_take(c, "pieces", &p);
	check(pages_state(&p, child->pid, src + page, &flags) == CKPT_PAGE_NONE &&
	      pages_state(&p, child->pid, src + page - PAGE, &flags) == CKPT_PAGE_NONE,
	      "nothing is where they were");
	check(pages_dirty(&p, child->pid, dst + page - PAGE, dst + page) == 1,
	      "a page that was moved is told");
	check(pages_dirty(&p, child->pid, dst + page, dst + page + PAGE) == 1,
	      "one that was moved in swap, too");
	check(told(&p, child, child->shared[HUGE_DST]) == HUGE / PAGE, "and all of a huge one");
	pages_free(&p);
}

int main(void)
{
	struct client c;
	struct child child;
	struct pages p;

	swap_start();
	put("/proc/sys/vm/page-cluster", "0");
	cgroup_make("pieces");
	if (client_open(&c) || client_group_new(&c, "pieces", "/pieces"))
		die("tag: %s", c.text);
	child_start(&child, "pieces", step);
	child_step(&child, SETUP);
	client_take(&c, "pieces", &p);
	pages_free(&p);
	test_half(&c, &child);
	test_handler(&c, &child);
	child_end(&child);
	client_group_del(&c, "pieces");
	client_close(&c);
	cgroup_gone("pieces");
	swap_end();
	return finish();
}
