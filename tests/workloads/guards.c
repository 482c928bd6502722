// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with guard regions (MADV_GUARD_INSTALL) in memory of every kind
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that each page that nobody could touch is such a page still, and all others have what they had,
 * and prints what is wrong, or "all well".  With an argument it makes some and takes others away
 * until then, so that no two looks find the same.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

#define PAGE 4096ul
#define PAGES 8
#define LARGE (8ul << 20)
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* Memory of PAGES pages. @guarded: a bit for each that is a guard page; @zeros: no content */
static struct kind {
	const char *name;
	unsigned int guarded;
	int flags, prot, advice;
	bool file, locked, zeros;
	uint8_t *at;
} kinds[] = {
	{ .name = "stack", .guarded = 0x01, .flags = ANON | MAP_STACK, .prot = RW },
	{ .name = "amid", .guarded = 0x34, .flags = ANON, .prot = RW },
	{ .name = "all", .guarded = 0xff, .flags = ANON, .prot = RW },
	{ .name = "read only", .guarded = 0x82, .flags = ANON, .prot = PROT_READ },
	{ .name = "no access", .guarded = 0x42, .flags = ANON, .prot = PROT_NONE },
	{ .name = "locked", .guarded = 0x18, .flags = ANON, .prot = RW, .locked = true },
	{ .name = "wiped", .guarded = 0x21, .flags = ANON, .prot = RW, .advice = MADV_WIPEONFORK,
	  .zeros = true },
	{ .name = "dropped", .guarded = 0x06, .flags = MAP_DROPPABLE | MAP_ANONYMOUS, .prot = RW,
	  .zeros = true },
	{ .name = "shared", .guarded = 0x81, .flags = MAP_SHARED | MAP_ANONYMOUS, .prot = RW },
	{ .name = "of a file", .guarded = 0x60, .flags = MAP_PRIVATE, .prot = RW, .file = true },
	{ .name = "a file", .guarded = 0x0c, .flags = MAP_SHARED, .prot = RW, .file = true },
};

#define N (sizeof(kinds) / sizeof(kinds[0]))

static sigjmp_buf back;

static void touched(int sig)
{
	siglongjmp(back, sig);
}

/* Is that page one that nobody can touch? */
static bool is_guard(volatile const uint8_t *at)
{
	if (sigsetjmp(back, 1))
		return true;
	(void)*at;
	return false;
}

static bool guarded(const struct kind *k, size_t page)
{
	return k->guarded >> page & 1;
}

static uint8_t content(const struct kind *k, size_t page)
{
	return 1 + page + (k - kinds) * PAGES;
}

static void make(struct kind *k, int fd)
{
	/* a page that cannot be had on both sides keeps it from its neighbours */
	uint8_t *room = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, ANON, -1, 0);
	off_t offset = k->file ? (k - kinds) * PAGES * PAGE : 0;

	k->at = mmap(room + PAGE, PAGES * PAGE, RW, k->flags | MAP_FIXED, k->file ? fd : -1,
		     offset);
	MUST(k->at == MAP_FAILED ? -1 : 0);
	for (size_t i = 0; i < PAGES; i++)
		memset(k->at + i * PAGE, content(k, i), PAGE);
	if (k->advice)
		MUST(madvise(k->at, PAGES * PAGE, k->advice));
	for (size_t i = 0; i < PAGES; i++) {
		if (guarded(k, i))
			MUST(madvise(k->at + i * PAGE, PAGE, MADV_GUARD_INSTALL));
	}
	MUST(mprotect(k->at, PAGES * PAGE, k->prot));
	/* it ends at the first one, and says so; pages behind that are there already */
	if (k->locked)
		OK(mlock(k->at, PAGES * PAGE) < 0 && errno == ENOMEM);
}

static void check(const struct kind *k, bool child)
{
	bool gone = child && k->zeros;

	for (size_t i = 0; i < PAGES; i++) {
		uint8_t *at = k->at + i * PAGE;
		bool guard = guarded(k, i) && !gone;

		if (k->prot == PROT_NONE) {
			OK(is_guard(at));
			continue;
		}
		if (is_guard(at) != guard) {
			printf("%s: page %zu is %sa guard page\n", k->name, i, guard ? "not " : "");
			wrong++;
		} else if (!guard && (at[0] != (k->zeros ? 0 : content(k, i)) ||
				      at[PAGE - 1] != at[0])) {
			printf("%s: page %zu has %u\n", k->name, i, at[0]);
			wrong++;
		}
	}
}

/* Its right tells nothing of these pages, so it gets another one. */
static void check_hidden(struct kind *k)
{
	if (k->prot != PROT_NONE)
		return;
	k->prot = RW;
	OK(!mprotect(k->at, PAGES * PAGE, RW));
	check(k, false);
}

/* What was a guard page is an empty one then, or shows the file. */
static void check_removed(const struct kind *k)
{
	bool shows = k->flags & MAP_SHARED;

	OK(!madvise(k->at, PAGES * PAGE, MADV_GUARD_REMOVE));
	for (size_t i = 0; i < PAGES; i++) {
		if (guarded(k, i))
			OK(!is_guard(k->at + i * PAGE) &&
			   k->at[i * PAGE] == (shows ? content(k, i) : 0));
	}
}

static void check_fork(void)
{
	int status = -1, before = wrong;
	pid_t pid = fork();

	if (!pid) {
		for (const struct kind *k = kinds; k < kinds + N; k++)
			check(k, true);
		fflush(stdout);
		_exit(wrong != before);
	}
	OK(waitpid(pid, &status, 0) == pid && !status);
}

static int make_file(void)
{
	int fd = MUST(open("guards.file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));

	MUST(ftruncate(fd, N * PAGES * PAGE));
	return fd;
}

/* Page 1 and 2 of two: the one is a guard page, the other has a number, and they take turns. */
static uint8_t *turns;

static void turn(unsigned int n)
{
	uint8_t *guard = turns + n % 2 * PAGE, *other = turns + (n + 1) % 2 * PAGE;

	MUST(madvise(guard, PAGE, MADV_GUARD_INSTALL));
	MUST(madvise(other, PAGE, MADV_GUARD_REMOVE));
	*(volatile unsigned int *)other = n;
}

static void check_turn(unsigned int n)
{
	uint8_t *guard = turns + n % 2 * PAGE, *other = turns + (n + 1) % 2 * PAGE;

	OK(is_guard(guard) && !is_guard(other) && *(unsigned int *)other == n);
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = touched };
	unsigned int n = 0;
	uint8_t *large;
	int fd;

	(void)argv;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGSEGV, &act, NULL);
	large = mmap(NULL, LARGE, RW, ANON, -1, 0);
	turns = mmap(NULL, 2 * PAGE, RW, ANON, -1, 0);
	if (madvise(large + PAGE, LARGE - 2 * PAGE, MADV_GUARD_INSTALL)) {
		puts("no guard regions here");
		puts("ready");
		return 0;
	}
	large[0] = large[LARGE - 1] = 'x';
	fd = make_file();
	for (struct kind *k = kinds; k < kinds + N; k++)
		make(k, fd);
	turn(n);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK)) {
		if (argc > 1)
			turn(++n);
		usleep(20000);
	}
	check_turn(n);
	for (struct kind *k = kinds; k < kinds + N; k++)
		check(k, false);
	OK(large[0] == 'x' && large[LARGE - 1] == 'x');
	OK(is_guard(large + PAGE) && is_guard(large + LARGE / 2));
	OK(is_guard(large + LARGE - PAGE - 1));
	check_fork();
	for (struct kind *k = kinds; k < kinds + N; k++) {
		check_hidden(k);
		check_removed(k);
	}
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
