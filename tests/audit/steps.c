// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations on memory whose order matters: what one leaves is what the next one finds
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "audit.h"

#define WINDOW 8		/* pages of each thread */
#define STEPS 8

static void force(struct hand *h, char *p)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char value = (char)rnd(&h->seed);

	if (pwrite(fd, &value, 1, (off_t)(uintptr_t)p) != 1)
		missed(h);
	close(fd);
}

/* A child takes the right to write from every page, whoever goes first. */
static void have_child(struct hand *h)
{
	useconds_t time = (useconds_t)pick(h, 4) ? 0 : 30000;

	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	usleep(time);
	_exit(0);
}

/*
 * Protect, write, unprotect, merge with new memory, fork: what tells of the write may go
 * at each of them.  Forced writes and swap are not among these steps: pagewalk.c says what
 * of them is not seen.
 */
static void op_steps(struct hand *h)
{
	static __thread bool readonly[WINDOW];
	char *base = REGION(KIND_STEPS) + (size_t)h->thread * WINDOW * PAGE, *p;
	size_t steps, first, n, i;
	uint64_t what;

	for (steps = 1 + pick(h, STEPS); steps; steps--) {
		first = pick(h, WINDOW);
		n = 1 + pick(h, WINDOW - first);
		p = base + first * PAGE;
		what = pick(h, 16);
		say(h, p, what);
		switch (what) {
		case 0:
			(void)mmap(p, n * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		case 1:
		case 2:
			mprotect(p, n * PAGE, PROT_READ);
			break;
		case 3:
		case 4:
		case 5:
			mprotect(p, n * PAGE, PROT_READ | PROT_WRITE);
			break;
		case 6:
			madvise(p, PAGE, MADV_DONTNEED);
			break;
		case 7:
			have_child(h);
			break;
		default:
			if (!readonly[first])
				scribble(h, p, PAGE);
		}
		for (i = first; i < first + n; i++) {
			if (what == 0 || (what >= 3 && what <= 5))
				readonly[i] = false;
			else if (what == 1 || what == 2)
				readonly[i] = true;
		}
	}
}

/* One of these pages has a page table of its own. */
static void op_sparse(struct hand *h)
{
	size_t i, n = 1 + pick(h, 8);
	char *p = REGION(KIND_SPARSE);

	for (i = 0; i < n; i++)
		scribble(h, p + pick(h, SPARSE_TABLES) * HUGE, PAGE);
}

/* New memory beside old that is read-only: the mark of the new is that of both. */
static void op_force_new(struct hand *h)
{
	size_t first = pick(h, SOME_PAGES - 4);
	char *p = REGION(KIND_READONLY) + first * PAGE;

	say(h, p, 4);
	if (mmap(p, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == p)
		scribble(h, p, 4 * PAGE);
	mprotect(p, 4 * PAGE, PROT_READ);
	force(h, REGION(KIND_READONLY) + pick(h, SOME_PAGES) * PAGE + pick(h, PAGE));
}

const struct op step_ops[] = {
	{ "steps", op_steps, 40, -1 },
	{ "sparse", op_sparse, 40, -1 },
	{ "force-new", op_force_new, 12, -1 },
	{ },
};
