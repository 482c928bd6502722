// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * giveup_test.c: what a walk cleared that then stopped half way is reported by the next one
 *
 * debug: slow
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

/* In rising order, as they are walked; the lock is given up some times in the long one. */
#define AWAY ((char *)0x10000000UL)
#define HOME ((char *)0x20000000UL)
#define LONG ((char *)0x40000000UL)
#define HOME_LEN (2 * HUGE)
#define LONG_LEN (1000 * HUGE)
/* Of the long one, walked late: shared with a child, so that only a mark says it was written. */
#define FAR (LONG + 900 * HUGE)
/* Another one, in swap: only its bit says that it was written. */
#define SWAPPED (LONG + 950 * HUGE)
/* Mapping this much keeps the mmap lock for very long. */
#define HOG_LONG (8UL << 30)
/* More is never needed to make a round give up. */
#define HOG_SHORT (256UL << 20)
#define LET_GO_US 500
/* So long a walk may go on when bits were cleared. */
#define GO_ON_US 1000
/* The lock is given up often, so that a walk often stops half way. */
#define TABLES_MAX "/sys/module/ckpt/parameters/tables_max"

enum { SETUP, WRITE, MOVE, BACK, WRITE_LONG, FORK, MARK, SWAP };
/* How a walk may find its memory. */
enum how { PLAIN, MOVED, MARKED };
/* Words of the shared page. */
enum { HOGGING, IDLE, HOG_LEN, CLEARS_AFTER_US };

static struct client c;

/* Keep the mmap lock while so much is filled with zeros. */
static void keep_lock(uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		       MAP_POPULATE, -1, 0);

	munmap(p, len);
}

static void *hog(void *arg)
{
	volatile uint64_t *shared = arg;

	for (;;) {
		uint64_t hogging = shared[HOGGING];

		shared[IDLE] = !hogging;
		if (hogging && shared[CLEARS_AFTER_US]) {
			usleep((useconds_t)shared[CLEARS_AFTER_US]);
			put("/proc/self/clear_refs", "4");
			usleep(GO_ON_US);
		}
		if (hogging)
			keep_lock(shared[HOG_LEN]);
		usleep(LET_GO_US);
	}
	return NULL;
}

static void map_long(char *at, size_t len)
{
	if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
		 MAP_NORESERVE, -1, 0) != at)
		_exit(1);
}

static void setup(uint64_t *shared)
{
	pthread_t thread;
	size_t i;

	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	memset(map_anon_at(HOME, HOME_LEN), 1, HOME_LEN);
	map_long(LONG, LONG_LEN);
	/* A page table each. */
	for (i = 0; i < LONG_LEN; i += HUGE)
		(void)*(volatile char *)(LONG + i);
	memset(LONG, 1, 16 * PAGE);
	pthread_create(&thread, NULL, hog, shared);
}

static void step(int n, uint64_t *shared)
{
	switch (n) {
	case SETUP:
		setup(shared);
		break;
	case WRITE:
		HOME[5 * PAGE]++;
		break;
	case MOVE:
		mremap(HOME, HOME_LEN, HOME_LEN, MREMAP_MAYMOVE | MREMAP_FIXED, AWAY);
		break;
	case BACK:
		mremap(AWAY, HOME_LEN, HOME_LEN, MREMAP_MAYMOVE | MREMAP_FIXED, HOME);
		break;
	case WRITE_LONG:
		LONG[5 * PAGE]++;
		FAR[PAGE]++;
		break;
	case FORK:
		*FAR = 1;
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
		}
		break;
	case SWAP:
		SWAPPED[0]++;
		madvise(SWAPPED, PAGE, MADV_PAGEOUT);
		break;
	case MARK:
		/* what is mapped anew joins its neighbours, and the mark is that of all */
		munmap(LONG + LONG_LEN - PAGE, PAGE);
		map_long(LONG + LONG_LEN - PAGE, PAGE);
		break;
	}
}

static void hog_start(const struct child *child, uint64_t len)
{
	child->shared[HOG_LEN] = len;
	child->shared[HOGGING] = 1;
}

static void hog_stop(const struct child *child)
{
	volatile uint64_t *idle = &child->shared[IDLE];

	child->shared[HOGGING] = 0;
	while (!*idle)
		usleep(1000);
}

static bool is_dirty(pid_t pid, const char *at)
{
	struct pages p;
	bool dirty;

	if (client_pages(&c, "giveup", &p))
		die("dump: %s", c.text);
	dirty = pages_dirty(&p, pid, (uintptr_t)at, (uintptr_t)at + PAGE);
	pages_free(&p);
	return dirty;
}

static void commit(const struct round *r)
{
	uint8_t id[CKPT_ID_LEN] = { 9 };

	if (client_commit(&c, "giveup", r->epoch, id))
		die("commit: %s", c.text);
}

static void take(void)
{
	struct round r;

	if (client_begin(&c, "giveup", &r))
		die("begin: %s", c.text);
	commit(&r);
}

enum outcome { COMPLETE, NOT_BEGUN, HALF_WAY };

/*
 * One round while the child's lock comes and goes.  @at: a written page that is walked early;
 * @late: one that must not be walked, or NULL.
 */
static enum outcome try_round(const struct child *child, const char *at, const char *late,
			      uint64_t hog_len, struct round *r)
{
	struct pages p;
	uint32_t flags;

	hog_start(child, hog_len);
	usleep(20000);
	if (client_begin(&c, "giveup", r) || client_pages(&c, "giveup", &p))
		die("begin: %s", c.text);
	flags = pages_mm_flags(&p, child->pid);
	pages_free(&p);
	hog_stop(child);
	if (!(flags & CKPT_MM_BUSY))
		return COMPLETE;
	if (entries_with(child->pid, (uintptr_t)at, 1, ENTRY_SOFT_DIRTY))
		return NOT_BEGUN;
	if (late && !entries_with(child->pid, (uintptr_t)late, 1, ENTRY_SOFT_DIRTY))
		return COMPLETE;
	return HALF_WAY;
}

/*
 * Write a page and walk until a walk stops after it.  Return: true, with the
 * epoch left open.
 */
static bool stop_half_way(const struct child *child, enum how how, struct round *r)
{
	const char *at = (how == MOVED ? AWAY : LONG) + 5 * PAGE;
	enum outcome outcome = COMPLETE;
	/* To keep the lock a little longer than a round tries for it, found by trying. */
	uint64_t len = 16UL << 20;
	int tries, late = 0, early = 0;

	for (tries = 1; tries <= 200; tries++) {
		if (outcome == COMPLETE) {
			child_step(child, how == MOVED ? WRITE : WRITE_LONG);
			if (how != PLAIN)
				child_step(child, how == MOVED ? MOVE : MARK);
		}
		outcome = try_round(child, at, how == MARKED ? FAR + PAGE : NULL, len, r);
		if (outcome == HALF_WAY) {
			note("%d tries: %d did not begin, %d came to the end", tries, early, late);
			return true;
		}
		early += outcome == NOT_BEGUN;
		late += outcome == COMPLETE;
		len = (outcome == COMPLETE ? len / 2 * 3 : len / 8 * 7) & ~(PAGE - 1);
		if (len > HOG_SHORT)
			len = HOG_SHORT;
		if (outcome == NOT_BEGUN) {
			client_abort(&c, "giveup", r->epoch);
			continue;
		}
		commit(r);
		if (how == MOVED)
			child_step(child, BACK);
		take();
		take();
	}
	note("%d tries: %d did not begin, %d came to the end", tries, early, late);
	return false;
}

static void test_give_up(const struct child *child)
{
	struct round r;

	take();
	take();
	if (!check(stop_half_way(child, PLAIN, &r), "a walk stops half way"))
		return;
	if (client_next(&c, "giveup", 0, &r))
		die("next: %s", c.text);
	check(is_dirty(child->pid, LONG + 5 * PAGE), "the next one tells what it cleared");
	commit(&r);
	take();

	/* What was cleared under one address comes back under another, where all is as it was. */
	if (!check(stop_half_way(child, MOVED, &r), "a walk stops after page tables that moved"))
		return;
	child_step(child, BACK);
	if (client_next(&c, "giveup", 0, &r))
		die("next: %s", c.text);
	check(is_dirty(child->pid, HOME + 5 * PAGE),
	      "what it cleared is told where they moved back to");
	commit(&r);
}

/* The mark of an area goes at its start; what was not walked then is as unsure as before. */
static void test_marked(const struct child *child)
{
	struct round r;

	child_step(child, FORK);
	/* a page that waits in a batch is told twice */
	batches_drain();
	take();
	take();
	if (client_begin(&c, "giveup", &r))
		die("begin: %s", c.text);
	check(!is_dirty(child->pid, FAR), "a page that a child has as well is clean by itself");
	commit(&r);
	if (!check(stop_half_way(child, MARKED, &r), "a walk stops in a marked area"))
		return;
	if (client_next(&c, "giveup", 0, &r))
		die("next: %s", c.text);
	check(is_dirty(child->pid, FAR), "the next one tells what the mark was of");
	commit(&r);
	if (client_begin(&c, "giveup", &r))
		die("begin: %s", c.text);
	check(!is_dirty(child->pid, FAR), "and no more after that");
	commit(&r);
}

/*
 * Somebody else clears bits while a walk has let the lock go, the walk sees that, and then it gives
 * up: that it has seen it must not be lost.
 */
static void test_cleared(const struct child *child)
{
	uint64_t len = HOG_SHORT, state = 3;
	int tries, seen = 0, lost = 0, busy = 0, early = 0;
	struct round r;
	struct pages p;
	uint32_t flags;

	swap_start();
	put(TABLES_MAX, "1");
	for (tries = 0; tries < 200 && seen < 3; tries++) {
		take();
		take();
		child_step(child, SWAP);
		child->shared[CLEARS_AFTER_US] = 1 + rnd(&state) % 5000;
		hog_start(child, len);
		if (client_begin(&c, "giveup", &r) || client_pages(&c, "giveup", &p))
			die("begin: %s", c.text);
		flags = pages_mm_flags(&p, child->pid);
		pages_free(&p);
		hog_stop(child);
		child->shared[CLEARS_AFTER_US] = 0;
		busy += !!(flags & CKPT_MM_BUSY);
		early += !!(flags & CKPT_MM_NEW);
		seen += (flags & CKPT_MM_BUSY) && !(flags & CKPT_MM_NEW) &&
			entries_with(child->pid, (uintptr_t)SWAPPED, 1, ENTRY_SWAPPED) &&
			!entries_with(child->pid, (uintptr_t)SWAPPED, 1, ENTRY_SOFT_DIRTY);
		if (client_next(&c, "giveup", 0, &r))
			die("next: %s", c.text);
		if (flags & CKPT_MM_BUSY)
			lost += !is_dirty(child->pid, SWAPPED);
		commit(&r);
	}
	put(TABLES_MAX, "16");
	note("%d tries: %d gave up, %d saw it at once", tries, busy, early);
	check(seen == 3, "bits are cleared, and a walk gives up: %d times", seen);
	check(!lost, "what was written before is told by the next, but for %d times", lost);
	swap_end();
}

static char state_of(pid_t pid)
{
	char path[64], text[512], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (get(path, text, sizeof(text)) < 0)
		return 0;
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

/*
 * A final round in a process of its own, killed while it waits for a lock.
 * Return: false if it was never seen to wait and came to its end.
 */
static bool killed_waiting(struct round *r)
{
	int tries, waits = 0;
	char state = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		client_next(&c, "giveup", CKPT_EPOCH_FINAL, r);
		_exit(0);
	}
	for (tries = 0; tries < 500 && waits < 10 && state != 'Z'; tries++) {
		state = state_of(pid);
		waits += state == 'D';
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return waits == 10;
}

/*
 * Two processes: the first is walked, then the walk waits for the second's
 * lock and is killed.  The second lets go now and then, and a round that is
 * lucky is no proof: tried again.
 */
static void test_interrupted(const struct child *first, const struct child *second)
{
	bool killed = false;
	struct round r;
	int tries;

	for (tries = 0; tries < 10 && !killed; tries++) {
		if (client_begin(&c, "giveup", &r))
			die("begin: %s", c.text);
		child_step(first, WRITE);
		hog_start(second, HOG_LONG);
		while (second->shared[IDLE])
			usleep(1000);
		killed = killed_waiting(&r);
		if (!killed) {
			hog_stop(second);
			commit(&r);
		}
	}
	note("%d tries", tries);
	check(killed, "a final round waits for a lock");
	kill(second->pid, SIGKILL);
	if (client_next(&c, "giveup", 0, &r))
		die("next: %s", c.text);
	check(is_dirty(first->pid, HOME + 5 * PAGE), "the next round tells what it took");
	commit(&r);
}

int main(void)
{
	struct child first, second;

	cgroup_make("giveup");
	if (client_open(&c) || client_group_new(&c, "giveup", "/giveup"))
		die("tag: %s", c.text);
	put(TABLES_MAX, "16");
	child_start(&first, "giveup", step);
	child_step(&first, SETUP);
	test_give_up(&first);
	test_marked(&first);
	test_cleared(&first);
	child_start(&second, "giveup", step);
	child_step(&second, SETUP);
	take();
	test_interrupted(&first, &second);
	put(TABLES_MAX, "128");
	child_end(&first);
	child_end(&second);
	client_group_del(&c, "giveup");
	client_close(&c);
	cgroup_gone("giveup");
	return finish();
}
