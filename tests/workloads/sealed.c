// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with memory that nobody can take away or change the rights of (mseal)
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that it has what it had, that it is sealed still, and that what is beside it is not, and prints
 * what is wrong, or "all well".
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ok.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define PAGE 4096ul
#define PAGES 4			/* of them the middle two are sealed */
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static struct kind {
	const char *name;
	int flags, prot;
	bool file, locked;
	uint8_t *at;
} kinds[] = {
	{ .name = "written", .flags = ANON, .prot = RW },
	{ .name = "read only", .flags = ANON, .prot = PROT_READ },
	{ .name = "no access", .flags = ANON, .prot = PROT_NONE },
	{ .name = "locked", .flags = ANON, .prot = RW, .locked = true },
	{ .name = "shared", .flags = MAP_SHARED | MAP_ANONYMOUS, .prot = RW },
	{ .name = "of a file", .flags = MAP_PRIVATE, .prot = PROT_READ, .file = true },
	{ .name = "a file", .flags = MAP_SHARED, .prot = RW, .file = true },
};

#define N (sizeof(kinds) / sizeof(kinds[0]))

static uint8_t content(const struct kind *k, size_t page)
{
	return 1 + page + (k - kinds) * PAGES;
}

static void make(struct kind *k, int fd)
{
	k->at = mmap(NULL, PAGES * PAGE, RW, k->flags, k->file ? fd : -1,
		     k->file ? (k - kinds) * PAGES * PAGE : 0);
	MUST(k->at == MAP_FAILED ? -1 : 0);
	for (size_t i = 0; i < PAGES; i++)
		memset(k->at + i * PAGE, content(k, i), PAGE);
	if (k->locked)
		MUST(mlock(k->at, PAGES * PAGE));
	MUST(mprotect(k->at, PAGES * PAGE, k->prot));
	MUST(syscall(SYS_mseal, k->at + PAGE, 2 * PAGE, 0));
}

static void check(const struct kind *k)
{
	uint8_t *sealed = k->at + PAGE;
	size_t before = wrong;

	OK(munmap(sealed, PAGE) < 0 && errno == EPERM);
	OK(mprotect(sealed + PAGE, PAGE, RW | PROT_EXEC) < 0 && errno == EPERM);
	OK(mmap(sealed, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EPERM);
	OK(mremap(sealed, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	if (k->prot == PROT_READ && !k->file)
		OK(madvise(sealed, PAGE, MADV_DONTNEED) < 0 && errno == EPERM);
	for (size_t i = 0; i < PAGES && k->prot; i++)
		OK(k->at[i * PAGE] == content(k, i) && k->at[(i + 1) * PAGE - 1] == content(k, i));
	if (k->prot & PROT_WRITE)
		*(volatile uint8_t *)sealed = 9;
	OK(!mprotect(k->at, PAGE, RW) && !munmap(k->at + 3 * PAGE, PAGE));
	if (wrong != (int)before)
		printf("so it is with: %s\n", k->name);
}

int main(void)
{
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (syscall(SYS_mseal, PAGE, 0, 1) && errno == ENOSYS) {
		puts("no sealed memory here");
		puts("ready");
		return 0;
	}
	fd = MUST(open("sealed.file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	MUST(ftruncate(fd, N * PAGES * PAGE));
	for (struct kind *k = kinds; k < kinds + N; k++)
		make(k, fd);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);
	for (const struct kind *k = kinds; k < kinds + N; k++)
		check(k);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
