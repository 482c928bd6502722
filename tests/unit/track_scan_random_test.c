// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Notes: random operations, rounds between and pages told ahead beside them, of which some fail;
 * nothing is lost
 *
 * CKPT_SEED is the first seed, CKPT_ROUNDS how many rounds each has.  Every second one has each
 * area taken by itself, as older kernels need it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pages.h"
#include "lib/copy.h"
#include "lib/watched.h"
#include "track/protect.h"

#define P ((uint64_t)CKPT_PAGE_LEN)
#define HUGE (2ull << 20)
#define SLOTS 4		/* of two huge pages each */
#define SLOT (2 * HUGE)
#define SEEDS 3
#define ROUNDS 15
#define MADV_COLLAPSE_ 25

/* In the watched process. */
static uint8_t *arena;
static int file;
static uint64_t state = 1;
static volatile int writing;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static uint8_t *slot(uint64_t i)
{
	return arena + i * SLOT;
}

/* @fd: -1: no file */
static void map_at(uint8_t *at, uint64_t len, int fd)
{
	if (mmap(at, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0) != at)
		abort();
}

static void map_slot(uint8_t *at)
{
	map_at(at, SLOT, draw(3) ? -1 : file);
	madvise(at, SLOT, draw(2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

/* What it holds afterwards does not matter, as long as it is seldom the same twice. */
static void write_some(uint8_t *at, uint64_t len)
{
	for (uint64_t i = 0; i < len; i += P)
		*(volatile uint64_t *)(at + i + 8 * draw(512)) = draw(~0ull);
}

static void move_some(uint8_t *from, uint64_t len)
{
	uint8_t *to = slot(draw(SLOTS));

	if (to + SLOT <= from || from + len <= to)
		mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED |
		       (draw(4) ? 0 : MREMAP_DONTUNMAP), to);
	/* a hole, or what became of it */
	if (draw(2))
		map_slot(slot((from - arena) / SLOT));
}

static void fork_some(uint8_t *at, uint64_t len)
{
	pid_t child;

	if (madvise(at, len, MADV_POPULATE_WRITE))
		return;
	child = fork();
	if (!child) {
		write_some(at, len);
		_exit(0);
	}
	if (draw(2))
		write_some(at, len);
	waitpid(child, NULL, 0);
}

/* An operation on some pages of a slot; what is not mapped there it leaves. */
static void operate(void)
{
	uint8_t *at = slot(draw(SLOTS));
	uint64_t len = draw(4) ? (1 + draw(40)) * P : HUGE;

	at += draw(3) ? draw((SLOT - len) / P + 1) * P : draw(2) * (SLOT - HUGE);
	switch (draw(15)) {
	case 0:
		map_slot(slot(draw(SLOTS)));
		break;
	case 1:
		move_some(at, len);
		break;
	case 2:
		madvise(at, len, MADV_DONTNEED);
		break;
	case 3:
		madvise(at, len, MADV_FREE);
		break;
	case 4:
		madvise(at, len, MADV_PAGEOUT);
		break;
	case 5:
		madvise(at, len, MADV_COLLAPSE_);
		break;
	case 6:
		mprotect(at, len, PROT_READ);
		break;
	case 7:
		mprotect(at, len, PROT_NONE);
		break;
	case 8:
		fork_some(at, P);
		break;
	case 9:
		map_at(at, len, -1);
		break;
	case 10:
		madvise(at, len, MADV_POPULATE_READ);
		break;
	case 11:
		mprotect(at, len, PROT_READ | PROT_WRITE);
		break;
	case 12:
		if (ftruncate(file, draw(2) ? SLOT : draw(SLOT)))
			abort();
		break;
	default:
		/* only what is there and writable */
		if (!madvise(at, len, MADV_POPULATE_WRITE))
			write_some(at, len);
		break;
	}
}

/* A thread that writes to memory of its own all the time. */
static void *write_always(void *arg)
{
	volatile uint8_t *mem = arg;

	for (uint64_t i = 0; writing; i++)
		mem[i * 4099 % (64 * P)]++;
	return NULL;
}

static uint64_t set_up(uint64_t seed)
{
	char path[] = "/tmp/ckpt-watched.XXXXXX";
	uint8_t data[4096];
	pthread_t thread;
	void *own;

	state = seed * 0x9e3779b97f4a7c15ull + 1;
	file = mkstemp(path);
	unlink(path);
	for (uint64_t i = 0; i < SLOT; i += sizeof(data)) {
		memset(data, i >> 12, sizeof(data));
		if (write(file, data, sizeof(data)) < 0)
			return 1;
	}
	arena = mmap(NULL, SLOTS * SLOT + HUGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	arena = (uint8_t *)(((uintptr_t)arena + HUGE - 1) & ~(HUGE - 1));
	for (int i = 0; i < SLOTS; i++)
		map_slot(slot(i));
	own = mmap(NULL, 64 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	writing = 1;
	return pthread_create(&thread, NULL, write_always, own);
}

static uint64_t some_operations(uint64_t n)
{
	while (n--)
		operate();
	return 0;
}

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static void one_seed(unsigned long seed, unsigned long rounds)
{
	struct ckpt_notes notes = CKPT_NOTES_INIT;
	struct copy copy = { 0 }, failed = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	char group[PATH_MAX];
	struct watched w;
	size_t ahead = 0;

	notes.apart = seed % 2;
	print_message("# seed %lu, %lu rounds\n", seed, rounds);
	watched_start(&w, NULL);
	assert_int_equal(watched_do(&w, set_up, seed), 0);
	assert_int_equal(ckpt_notes_adopt(&notes, w.pid, watched_userfault(&w), &err), 0);
	watched_group(&w, group);
	state = seed;
	while (rounds--) {
		bool failing = !draw(3);

		/* a checkpoint that fails: the store has what it had */
		if (failing)
			copy_assign(&failed, &copy);
		if (!draw(4))
			copy_watch(failing ? &failed : &copy, &notes, w.pid);
		watched_begin(&w, some_operations, 1 + draw(30));
		for (unsigned int n = draw(4); n; n--)
			ahead += copy_ahead(failing ? &failed : &copy, &notes, group, w.pid);
		watched_wait(&w);
		if (!draw(4))
			ahead += copy_ahead(failing ? &failed : &copy, &notes, group, w.pid);
		if (!failing) {
			copy_round(&copy, &notes, w.pid);
			ckpt_notes_commit(&notes);
		} else {
			copy_round(&failed, &notes, w.pid);
			ckpt_notes_abort(&notes);
		}
	}
	print_message("# %zu pages were told ahead\n", ahead);
	if (ckpt_protect_spans() && !notes.apart)
		assert_true(ahead > 0);
	else
		assert_int_equal(ahead, 0);
	watched_group_end(group);
	ckpt_notes_done(&notes);
	assert_int_equal(watched_registered(w.pid), 0);
	watched_end(&w);
	copy_done(&copy);
	copy_done(&failed);
}

static void random_operations(void **arg)
{
	unsigned long first = number("CKPT_SEED", 1);
	unsigned long rounds = number("CKPT_ROUNDS", ROUNDS);

	(void)arg;
	for (unsigned long i = 0; i < SEEDS; i++)
		one_seed(first + i, rounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations),
	};

	if (!watched_notes_here())
		return watched_skip();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
