// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * forked_pages: processes that share pages since they were forked, and have written some of them
 *
 * usage: forked_pages
 * A family of four: a parent, a child in a session of its own, its child, and one that has
 * executed this program anew.  Prints "ready", waits until there is a file named "go", looks
 * whether each has the content that it should have and whether they share what they have in
 * common, and prints "all well" or "N wrong".
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define PAGE 4096ul
#define PAGES 512
#define FILE_PAGES 64
#define FROM_FILE 0xff

enum { PARENT = 1, CHILD, GRANDCHILD };

static uint8_t *memory, *file, *apart, *heap;

/* Who has written a page last: the number of a process, 0 nobody. */
static int writer(int who, int page)
{
	if (who >= CHILD && page % 16 == 1)
		return 0;	/* dropped */
	if (who == GRANDCHILD && page % 8 == 2)
		return GRANDCHILD;
	if (who >= CHILD && page % 8 == 0)
		return CHILD;
	if (who == PARENT && page % 32 == 3)
		return PARENT + 8;
	return PARENT;
}

/* The same of the file: the parent has written even pages, the child the first 16 anew. */
static int file_writer(int who, int page)
{
	if (who >= CHILD && page >= FILE_PAGES - 8)
		return FROM_FILE;	/* dropped */
	if (who >= CHILD && page < 16)
		return CHILD;
	return page % 2 ? FROM_FILE : PARENT;
}

static void fill(uint8_t *page, int number, int who)
{
	memset(page, who, PAGE);
	memcpy(page, &number, sizeof(number));
}

static bool filled(const uint8_t *page, int number, int who)
{
	uint8_t wanted[PAGE];

	if (who)
		fill(wanted, number, who);
	else
		memset(wanted, 0, PAGE);
	return !memcmp(page, wanted, PAGE);
}

static void check(int who)
{
	for (int i = 0; i < PAGES; i++)
		OK(filled(memory + i * PAGE, i, writer(who, i)));
	for (int i = 0; i < FILE_PAGES; i++)
		OK(filled(file + i * PAGE, i, file_writer(who, i)));
	OK(filled(heap, 7, PARENT));
	OK(who == PARENT || filled(heap + PAGE, 8, CHILD));
	OK(filled(apart, 9, who));
}

static void *map(size_t pages, int fd)
{
	void *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE, fd, 0);

	MUST(at == MAP_FAILED ? -1 : 0);
	return at;
}

static void map_file(void)
{
	int fd = MUST(open("mapped", O_CREAT | O_RDWR, 0600));
	uint8_t page[PAGE];

	for (int i = 0; i < FILE_PAGES; i++) {
		fill(page, i, FROM_FILE);
		MUST(write(fd, page, PAGE) == (ssize_t)PAGE ? 0 : -1);
	}
	file = map(FILE_PAGES, fd);
	close(fd);
}

static void prepare(void)
{
	memory = map(PAGES, -1);
	MUST(madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE));
	for (int i = 0; i < PAGES; i++)
		fill(memory + i * PAGE, i, PARENT);
	map_file();
	for (int i = 0; i < FILE_PAGES; i += 2)
		fill(file + i * PAGE, i, PARENT);
	heap = (uint8_t *)(((uintptr_t)MUST((long)sbrk(2 * PAGE)) + PAGE - 1) & ~(PAGE - 1));
	fill(heap, 7, PARENT);
	apart = map(1, -1);
	MUST(madvise(apart, PAGE, MADV_DONTFORK));
	fill(apart, 9, PARENT);
}

/* What a child does of its own; @who has its place to write what nobody else has. */
static void write_own(int who)
{
	for (int i = 0; i < PAGES; i++) {
		if (writer(who, i) == who)
			fill(memory + i * PAGE, i, who);
		else if (!writer(who, i))
			MUST(madvise(memory + i * PAGE, PAGE, MADV_DONTNEED));
	}
	for (int i = 0; i < FILE_PAGES; i++) {
		if (file_writer(who, i) == who)
			fill(file + i * PAGE, i, who);
	}
	/* the last ones are the file's; one that was not written is written as it is */
	MUST(madvise(file + (FILE_PAGES - 8) * PAGE, 8 * PAGE, MADV_DONTNEED));
	fill(file + (FILE_PAGES - 7) * PAGE, FILE_PAGES - 7, FROM_FILE);
	/* half of it is protected in another way, which makes two areas of it */
	MUST(mprotect(memory + PAGES / 2 * PAGE, PAGES / 2 * PAGE, PROT_READ));
	MUST((long)mmap(apart, PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	fill(apart, 9, who);
}

static void wait_for_go(void)
{
	while (access("go", F_OK))
		usleep(1000);
}

/* One in @family has come so far. */
static void tell(const int family[2])
{
	MUST(write(family[1], "", 1));
}

static void hear(const int family[2], int n)
{
	char c;

	while (n--)
		MUST(read(family[0], &c, 1) == 1 ? 0 : -1);
}

static void be_grandchild(const int ready[2], const int done[2])
{
	MUST(mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE));
	write_own(GRANDCHILD);
	tell(ready);
	wait_for_go();
	check(GRANDCHILD);
	tell(done);
	/* until it was looked at */
	pause();
}

static void be_child(const int ready[2], const int done[2], pid_t *grandchild)
{
	pid_t pid;

	MUST(setsid());
	MUST((long)sbrk(64 * PAGE));
	fill(heap + PAGE, 8, CHILD);
	write_own(CHILD);
	pid = MUST(fork());
	if (!pid)
		be_grandchild(ready, done);
	*grandchild = pid;
	tell(ready);
	wait_for_go();
	check(CHILD);
	tell(done);
	pause();
}

static uint64_t frame(pid_t pid, const uint8_t *at)
{
	uint64_t entry;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = MUST(open(path, O_RDONLY));
	MUST(pread(fd, &entry, 8, (uintptr_t)at / PAGE * 8) == 8 ? 0 : -1);
	close(fd);
	/* the number of a page that is there */
	return entry >> 63 ? entry & ((1ull << 55) - 1) : 0;
}

/* Each page is shared by two of them when the same one has written it, and not without. */
static void compare(const pid_t pids[3])
{
	int shared = 0;

	for (int a = PARENT; a <= GRANDCHILD; a++) {
		for (int b = a + 1; b <= GRANDCHILD; b++) {
			for (int i = 0; i < PAGES; i++) {
				bool same = frame(pids[a - 1], memory + i * PAGE) ==
					    frame(pids[b - 1], memory + i * PAGE);
				int one = writer(a, i);

				OK(same == (one == writer(b, i)));
				shared += same && one;
			}
		}
	}
	printf("shared %d\n", shared);
}

/* Pages of a file that somebody has written are in no file any more, whatever is in them. */
static void compare_file(const pid_t pids[3])
{
	const uint8_t *as_file = file + (FILE_PAGES - 7) * PAGE;

	OK(frame(pids[0], file) && frame(pids[0], file) != frame(pids[1], file));
	OK(frame(pids[0], file + 20 * PAGE) == frame(pids[1], file + 20 * PAGE));
	OK(frame(pids[1], as_file) != frame(pids[0], as_file));
}

int main(int argc, char **argv)
{
	int ready[2], done[2];
	pid_t *pids, child, other;

	if (argc > 1) {
		wait_for_go();
		return 0;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	pids = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(pids == MAP_FAILED ? -1 : 0);
	MUST(pipe(ready));
	MUST(pipe(done));
	prepare();
	pids[0] = getpid();
	child = MUST(fork());
	if (!child)
		be_child(ready, done, &pids[2]);
	pids[1] = child;
	other = MUST(fork());
	if (!other) {
		execl("/proc/self/exe", argv[0], "other", NULL);
		_exit(1);
	}
	for (int i = 0; i < PAGES; i++) {
		if (writer(PARENT, i) != PARENT)
			fill(memory + i * PAGE, i, writer(PARENT, i));
	}
	hear(ready, 2);
	printf("all is set up\nready\n");
	wait_for_go();
	hear(done, 2);
	check(PARENT);
	compare(pids);
	compare_file(pids);
	MUST(kill(pids[2], SIGKILL));
	MUST(kill(pids[1], SIGKILL));
	MUST(waitpid(other, &argc, 0));
	OK(argc == 0);
	printf(wrong ? "%d wrong\n" : "all well\n", wrong);
	return wrong != 0;
}
