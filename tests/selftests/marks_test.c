// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * marks_test.c: writes in an area that the kernel marked as a whole, where pages are not marked
 *
 * In an area with VM_SOFTDIRTY mprotect makes pages writable that are neither dirty nor
 * soft-dirty, from 6.2 on: an older kernel shows nothing here.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define NEAR_LEN (64 * PAGE)
#define PLACES 80	/* more than CKPT_PLACES_MAX, far from one another */
/* More page tables than are walked in one hold of a lock. */
#define FAR_LEN (300 * HUGE)
#define FAR_AT (290 * HUGE)

enum {
	SETUP, UPGRADE, FORK, WRITE, PAGEOUT, UPGRADE_MERGED, PAGEOUT_MERGED, MERGE,
	NEW, JOIN_AND_MARK, JOIN_UNMARKED,
};


/* Words of the shared page. */
enum { NEAR, FAR, OUT, MERGED, FORCED };

static struct client c;
static struct child child;

/* A map in place of a page joins its neighbours and marks them. */
static void mark(char *p)
{
	munmap(p, PAGE);
	map_anon_at(p, PAGE);
}

/* Sixteen pages become writable, without a bit that says so. */
static void upgrade(char *p)
{
	mprotect(p, 16 * PAGE, PROT_READ);
	mprotect(p, 16 * PAGE, PROT_READ | PROT_WRITE);
}

/* Memory that no other map joins, and so marks. */
static char *alone(size_t len)
{
	char *p = map_anon(len + 2 * PAGE, 0);

	mprotect(p, PAGE, PROT_NONE);
	mprotect(p + PAGE + len, PAGE, PROT_NONE);
	return p + PAGE;
}

static char *sparse(size_t len)
{
	char *p = alone(len);
	size_t i;

	for (i = 0; i < len; i += HUGE)
		p[i] = 1;
	return p;
}

static void grandchild(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void step(int n, uint64_t *shared)
{
	static char *near, *far, *out, *merged, *forced;

	switch (n) {
	case SETUP:
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		near = alone(NEAR_LEN);
		memset(near, 1, NEAR_LEN);
		out = alone(NEAR_LEN);
		memset(out, 1, NEAR_LEN);
		far = sparse(FAR_LEN);
		memset(far + FAR_AT, 1, 16 * PAGE);
		merged = alone(NEAR_LEN);
		memset(merged, 1, NEAR_LEN);
		forced = alone(NEAR_LEN);
		memset(forced, 1, NEAR_LEN);
		mprotect(forced, NEAR_LEN, PROT_READ);
		shared[FORCED] = (uintptr_t)forced;
		shared[MERGED] = (uintptr_t)merged;
		shared[NEAR] = (uintptr_t)near;
		shared[FAR] = (uintptr_t)far;
		shared[OUT] = (uintptr_t)out;
		break;
	case UPGRADE:
		mark(near + 40 * PAGE);
		upgrade(near + 8 * PAGE);
		mark(far + 40 * PAGE);
		upgrade(far + FAR_AT);
		mark(out + 40 * PAGE);
		upgrade(out + 8 * PAGE);
		break;
	case FORK:
		if (!fork())
			grandchild();
		break;
	case WRITE:
		out[13 * PAGE] = 7;
		break;
	case PAGEOUT:
		madvise(out + 13 * PAGE, PAGE, MADV_PAGEOUT);
		break;
	case UPGRADE_MERGED:
		/* the first pages are an area of their own, which is not marked */
		mprotect(merged, 8 * PAGE, PROT_READ);
		mark(merged + 40 * PAGE);
		upgrade(merged + 16 * PAGE);
		merged[20 * PAGE] = 7;
		break;
	case PAGEOUT_MERGED:
		madvise(merged + 20 * PAGE, PAGE, MADV_PAGEOUT);
		break;
	case MERGE:
		/* what joins gives all its flags */
		mprotect(merged, 8 * PAGE, PROT_READ | PROT_WRITE);
		munmap(merged + NEAR_LEN - PAGE, PAGE);
		break;
	case NEW:
		map_anon_at(forced + 40 * PAGE, 4 * PAGE);
		forced[40 * PAGE] = 1;
		break;
	case JOIN_AND_MARK:
		map_anon_at(forced + 8 * PAGE, 4 * PAGE);
		forced[8 * PAGE] = 1;
		mprotect(forced + 8 * PAGE, 4 * PAGE, PROT_READ);
		break;
	case JOIN_UNMARKED:
		mprotect(forced + 40 * PAGE, 4 * PAGE, PROT_READ);
		break;
	}
}

/* What a debugger does: the page is written, its entry is not touched. */
static void poke(uint64_t addr)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", child.pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, "\7", 1, (off_t)addr) != 1)
		die("write %s", path);
	close(fd);
}

static void poke_by_ptrace(uint64_t addr)
{
	int status;

	if (ptrace(PTRACE_SEIZE, child.pid, 0, 0) || ptrace(PTRACE_INTERRUPT, child.pid, 0, 0) ||
	    waitpid(child.pid, &status, __WALL) != child.pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_POKEDATA, child.pid, addr, 0x707UL) ||
	    ptrace(PTRACE_DETACH, child.pid, 0, 0))
		die("ptrace");
}

static void take(struct pages *p)
{
	uint8_t id[CKPT_ID_LEN] = { 4 };
	struct round r;

	if (client_begin(&c, "marks", &r) || client_pages(&c, "marks", p) ||
	    client_commit(&c, "marks", r.epoch, id))
		die("take: %s", c.text);
}

static bool dirty(const struct pages *p, uint64_t addr)
{
	return pages_dirty(p, child.pid, addr, addr + PAGE);
}

/* Since 6.19 an area keeps its mark when it is joined, and then nothing is shown here. */
static bool is_marked(uint64_t addr)
{
	return entries_with(child.pid, addr, 1, ENTRY_SOFT_DIRTY);
}

static void page_out(int n, uint64_t addr)
{
	int tries;

	for (tries = 0; tries < 50; tries++) {
		child_step(&child, n);
		if (entries_with(child.pid, addr, 1, ENTRY_SWAPPED))
			break;
		usleep(20000);
	}
	check(entries_with(child.pid, addr, 1, ENTRY_SWAPPED), "a page is swapped out");
}

/* Pages that wait in LRU batches look as if direct I/O held them: empty the batches. */
static void drain_batches(void)
{
	int node = 0, status;
	void *page = &status;

	if (syscall(SYS_move_pages, 0, 1UL, &page, &node, &status, 0))
		die("move_pages");
}

/* The only trace of a write is that a page can be written, and something takes it. */
static void test_traces(void)
{
	uint64_t near = child.shared[NEAR], far = child.shared[FAR], out = child.shared[OUT];
	struct pages p;

	drain_batches();
	take(&p);
	pages_free(&p);
	take(&p);
	check(!dirty(&p, near + 13 * PAGE) && !dirty(&p, far + FAR_AT + 13 * PAGE) &&
	      !dirty(&p, out + 13 * PAGE), "what is not written is clean");
	pages_free(&p);
	child_step(&child, UPGRADE);
	check(entries_with(child.pid, near, 1, ENTRY_SOFT_DIRTY) &&
	      entries_with(child.pid, far, 1, ENTRY_SOFT_DIRTY) &&
	      entries_with(child.pid, far + FAR_AT, 1, ENTRY_SOFT_DIRTY) &&
	      entries_with(child.pid, out, 1, ENTRY_SOFT_DIRTY), "the areas are marked");
	poke(near + 13 * PAGE);
	poke(far + FAR_AT + 13 * PAGE);
	child_step(&child, WRITE);
	page_out(PAGEOUT, out + 13 * PAGE);
	child_step(&child, FORK);
	take(&p);
	check(dirty(&p, near + 13 * PAGE), "a page written, then forked, is reported");
	check(dirty(&p, far + FAR_AT + 13 * PAGE), "so is one at the end of a long area");
	check(dirty(&p, out + 13 * PAGE), "a page written, then swapped out, is reported");
	pages_free(&p);
}

/* The mark has gone before the take. */
static void test_merged(void)
{
	uint64_t at = child.shared[MERGED];
	struct pages p;

	drain_batches();
	take(&p);
	pages_free(&p);
	take(&p);
	check(!dirty(&p, at + 20 * PAGE), "what is not written is clean");
	pages_free(&p);
	child_step(&child, UPGRADE_MERGED);
	check(entries_with(child.pid, at + 30 * PAGE, 1, ENTRY_SOFT_DIRTY), "an area is marked");
	page_out(PAGEOUT_MERGED, at + 20 * PAGE);
	child_step(&child, MERGE);
	note("joined by another it is%s", is_marked(at + 30 * PAGE) ? "" : " not");
	take(&p);
	check(dirty(&p, at + 20 * PAGE), "a page written and swapped out before that is reported");
	pages_free(&p);
}

/*
 * A debugger writes where nobody may, in an area that is marked, and what joins it takes the mark
 * away.  @framed: it begins and ends where it did, too.  @places: so many others come first.
 */
static void test_forced(bool framed, size_t places, const char *how)
{
	uint64_t at = child.shared[FORCED], elsewhere = child.shared[FAR];
	struct pages p;
	size_t i;

	drain_batches();
	take(&p);
	pages_free(&p);
	child_step(&child, NEW);
	take(&p);
	pages_free(&p);
	child_step(&child, JOIN_AND_MARK);
	check(entries_with(child.pid, at + 20 * PAGE, 1, ENTRY_SOFT_DIRTY), "an area is marked");
	for (i = 0; i < places; i++)
		poke(elsewhere + i * HUGE);
	poke(at + 20 * PAGE);
	poke_by_ptrace(at + 24 * PAGE);
	child_step(&child, JOIN_UNMARKED);
	note("joined by another it is%s", is_marked(at + 20 * PAGE) ? "" : " not");
	if (framed)
		child_step(&child, NEW);
	take(&p);
	check(dirty(&p, at + 20 * PAGE) && dirty(&p, at + 24 * PAGE),
	      "what a debugger wrote before that is reported, %s", how);
	pages_free(&p);
	if (framed)
		child_step(&child, JOIN_UNMARKED);
	take(&p);
	pages_free(&p);
	take(&p);
	check(!dirty(&p, at + 20 * PAGE) && !dirty(&p, at + 24 * PAGE), "and then no more");
	pages_free(&p);
}

/* Without probes an area that begins or ends elsewhere is told as a whole. */
static void without_probes(void)
{
	const char *ko = getenv("CKPT_KO");
	char command[256];

	client_group_del(&c, "marks");
	client_close(&c);
	snprintf(command, sizeof(command), "rmmod ckpt && insmod %s forced=0", ko ? ko : "");
	if (system(command) || client_open(&c) || client_group_new(&c, "marks", "/marks"))
		die("load the module without probes: %s", c.text);
	test_forced(false, 0, "without probes");
	snprintf(command, sizeof(command), "rmmod ckpt && insmod %s", ko ? ko : "");
	client_group_del(&c, "marks");
	client_close(&c);
	if (system(command) || client_open(&c) || client_group_new(&c, "marks", "/marks"))
		die("load the module: %s", c.text);
}

int main(void)
{
	swap_start();
	cgroup_make("marks");
	if (client_open(&c) || client_group_new(&c, "marks", "/marks"))
		die("tag: %s", c.text);
	child_start(&child, "marks", step);
	child_step(&child, SETUP);
	test_merged();
	test_forced(false, 0, "in what is longer now");
	test_forced(true, 0, "in what is as long as before");
	test_forced(true, PLACES, "at more places than are kept");
	without_probes();
	/* which forks: pages that a child has as well are not made writable unseen */
	test_traces();
	child_end(&child);
	client_group_del(&c, "marks");
	client_close(&c);
	cgroup_gone("marks");
	swap_end();
	return finish();
}
