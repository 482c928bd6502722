// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes: what is told ahead of a round, while the group runs; nothing is lost */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "lib/noted.h"
#include "track/pagemap.h"
#include "track/protect.h"
#include "track/quiet.h"

#define P ((uint64_t)CKPT_PAGE_LEN)

static size_t ahead(struct noted *e)
{
	char group[PATH_MAX];
	size_t n;

	watched_group(&e->w, group);
	n = copy_ahead(&e->copy, &e->notes, group, e->w.pid);
	watched_group_end(group);
	return n;
}

/* Each page is told once, unless it is written once more. */
static void told_once(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	noted_do(e, watched_write, mem + 2 * P);
	noted_do(e, watched_write, mem + 5 * P);
	assert_true(ahead(e) >= 2);
	noted_do(e, watched_write, mem + 5 * P);
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 2)));
	assert_true(copy_told_dirty(page_at(mem, 5)));
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 5)));
}

/* All there is where nobody has it: a first checkpoint in another store. */
static void told_clean(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	copy_done(&e->copy);
	assert_true(ahead(e) < 8);
	assert_true(e->copy.n >= 8);
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 1)));
}

static void told_again_after_a_failure(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);
	struct copy before = { 0 };

	noted_checkpoint(e);
	copy_assign(&before, &e->copy);
	noted_do(e, watched_write, mem + 2 * P);
	noted_do(e, watched_write, mem + 3 * P);
	assert_true(ahead(e) >= 2);
	ckpt_notes_abort(&e->notes);
	/* ahead, again, and nobody has what the round tells either */
	assert_true(ahead(e) >= 2);
	copy_round(&e->copy, &e->notes, e->w.pid);
	assert_false(copy_told_dirty(page_at(mem, 2)));
	ckpt_notes_abort(&e->notes);
	copy_assign(&e->copy, &before);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	assert_true(copy_told_dirty(page_at(mem, 3)));
	copy_done(&before);
}

/* In a stop of its own, whoever runs and holds a page otherwise. */
static void told_in_a_stop(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	assert_true(copy_watch(&e->copy, &e->notes, e->w.pid) >= 8);
	noted_do(e, watched_write, mem + 5 * P);
	copy_round(&e->copy, &e->notes, e->w.pid);
	assert_false(copy_told_dirty(page_at(mem, 2)));
	assert_true(copy_told_dirty(page_at(mem, 5)));
	/* nobody has it */
	ckpt_notes_abort(&e->notes);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	/* a second one in the same checkpoint */
	noted_do(e, watched_write, mem + 3 * P);
	copy_watch(&e->copy, &e->notes, e->w.pid);
	noted_do(e, watched_write, mem + 4 * P);
	assert_true(copy_watch(&e->copy, &e->notes, e->w.pid) >= 1);
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 3)));
	assert_false(copy_told_dirty(page_at(mem, 4)));
}

static uint64_t map_anew(uint64_t mem)
{
	if (mmap((void *)mem, 8 * P, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != (void *)mem)
		return 1;
	*(volatile uint8_t *)(mem + P) = 77;
	return 0;
}

static uint64_t unmap(uint64_t mem)
{
	return munmap((void *)mem, 8 * P);
}

static void areas_that_changed(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8), other = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	assert_int_equal(noted_do(e, map_anew, mem), 0);
	assert_int_equal(noted_do(e, unmap, other), 0);
	ahead(e);
	noted_do(e, watched_write, mem + 2 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	assert_int_equal(copy_told_state(page_at(mem, 3)), CKPT_PAGE_NONE);
}

/* A hole of the areas that are watched together, and what the program maps there. */
static uint64_t unmap_middle(uint64_t mem)
{
	return munmap((void *)(mem + 2 * P), 2 * P);
}

static uint64_t map_shared(uint64_t mem)
{
	void *at = mmap((void *)(mem + 2 * P), 2 * P, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at != (void *)(mem + 2 * P))
		return 1;
	memset(at, 1, 2 * P);
	return 0;
}

static void shared_memory_between(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);
	cleanup_close int pagemap = -1;

	assert_int_equal(noted_do(e, unmap_middle, mem), 0);
	noted_checkpoint(e);
	assert_int_equal(noted_do(e, map_shared, mem), 0);
	noted_do(e, watched_write, mem + P);
	assert_true(ahead(e) >= 1);
	/* it is not watched, which a program with one of its own would find */
	pagemap = ckpt_scan_open(e->w.pid);
	assert_int_equal(ckpt_protect_noted(pagemap, mem), 1);
	assert_int_equal(ckpt_protect_noted(pagemap, mem + 2 * P), 0);
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 1)));
}

static uint64_t begin_io(uint64_t arg)
{
	unsigned long context = 0;	/* aio_context_t, whose header knows not sys/uio.h */

	(void)arg;
	return syscall(SYS_io_setup, 1, &context);
}

static void nothing_beside_other_io(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	assert_int_equal(noted_do(e, begin_io, 0), 0);
	noted_do(e, watched_write, mem);
	assert_int_equal(ahead(e), 0);
	assert_int_equal(copy_watch(&e->copy, &e->notes, e->w.pid), 0);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 0)));
	/* nor in the next one, when all is dirty for it */
	assert_int_equal(ahead(e), 0);
}

static uint64_t late;	/* a page that is not there until the test gives it */

static uint64_t map_late(uint64_t arg)
{
	(void)arg;
	late = (uintptr_t)mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return late;
}

/* The kernel takes hold of the page at @to, and waits for what it is to write there. */
static uint64_t write_late(uint64_t to)
{
	struct iovec from = { (void *)late, 64 }, into = { (void *)to, 64 };

	return process_vm_writev(getpid(), &from, 1, &into, 1, 0) != 64;
}

static bool waits_in(pid_t pid, long call)
{
	cleanup_fclose FILE *f = NULL;
	char path[64];
	long nr = -1;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	f = fopen(path, "re");
	return f && fscanf(f, "%ld", &nr) == 1 && nr == call;
}

static void wait_until_in(pid_t pid, long call)
{
	for (int i = 0; i < 2000 && !waits_in(pid, call); i++)
		usleep(1000);
	assert_true(waits_in(pid, call));
}

/* One that makes the kernel wait as well. */
static uint64_t make_userfault(uint64_t arg)
{
	(void)arg;
	return syscall(SYS_userfaultfd, O_CLOEXEC);
}

static uint64_t close_number(uint64_t number)
{
	return close(number);
}

/* What is written to a page that the kernel holds, after it was protected and copied. */
static void written_without_a_fault(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8), at = noted_do(e, map_late, 0);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area = { .range = { at, P }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	uint8_t data[CKPT_PAGE_LEN];
	struct uffdio_copy give = { .dst = at, .src = (uintptr_t)data, .len = P };
	int number = noted_do(e, make_userfault, 0);
	cleanup_close int uffd = watched_userfault_of(e->w.pid, number);

	assert_int_equal(noted_do(e, close_number, number), 0);
	assert_int_equal(ioctl(uffd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(uffd, UFFDIO_REGISTER, &area), 0);
	noted_checkpoint(e);
	watched_begin(&e->w, write_late, mem + 3 * P);
	wait_until_in(e->w.pid, SYS_process_vm_writev);
	assert_int_equal(ahead(e), 0);
	memset(data, 0xa5, sizeof(data));
	assert_int_equal(ioctl(uffd, UFFDIO_COPY, &give), 0);
	assert_int_equal(watched_wait(&e->w), 0);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 3)));
}

/* Who they are who are quiet, and who are not. */
enum place { PAUSE, SPIN, PIPE, UNIX, BESIDE_PIPE, PACKET, EVENTS, BESIDE_EVENTS, N_PLACES };

static void stay(enum place place);

static void *stay_beside(void *arg)
{
	stay(*(enum place *)arg);
	return NULL;
}

static void stay_with(enum place place)
{
	enum place other = place == BESIDE_PIPE ? PIPE : EVENTS;
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, stay_beside, &other);
	pause();
}

static void stay(enum place place)
{
	unsigned long context = 0, event[4];
	int ends[2], packets = socket(AF_PACKET, SOCK_DGRAM, 0);
	volatile bool spins = place == SPIN;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (place == BESIDE_PIPE || place == BESIDE_EVENTS)
		stay_with(place);
	while (spins)
		__asm__ volatile("pause");
	if (place == PAUSE)
		pause();
	if (place == PIPE && !pipe(ends))
		_exit(read(ends[0], &byte, 1) != 1);
	if (place == UNIX && !socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		_exit(recv(ends[0], &byte, 1, 0) != 1);
	if (place == PACKET)
		_exit(recv(packets, &byte, 1, 0) != 1);
	/* a call that nothing is known of */
	if (place == EVENTS && !syscall(SYS_io_setup, 1, &context))
		_exit(syscall(SYS_io_getevents, context, 1, 1, event, NULL) != 1);
	_exit(1);
}

/* On a busy machine who runs may get no processor for a while. */
static bool quiet_soon(const int32_t *pids, size_t n)
{
	for (int i = 0; i < 100; i++) {
		if (ckpt_quiet(pids, n))
			return true;
	}
	return false;
}

static void who_is_quiet(void **state)
{
	static const long calls[N_PLACES] = {
		[PAUSE] = SYS_pause, [SPIN] = -1, [PIPE] = SYS_read, [UNIX] = SYS_recvfrom,
		[BESIDE_PIPE] = SYS_pause, [PACKET] = SYS_recvfrom, [EVENTS] = SYS_io_getevents,
		[BESIDE_EVENTS] = SYS_pause,
	};
	int32_t pids[N_PLACES];

	(void)state;
	for (int i = 0; i < N_PLACES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i])
			stay(i);
	}
	for (int i = 0; i < N_PLACES; i++) {
		if (calls[i] >= 0)
			wait_until_in(pids[i], calls[i]);
		if (i >= BESIDE_PIPE)
			usleep(100000);	/* the threads get there */
		if (i < PACKET)
			assert_true(quiet_soon(&pids[i], 1));
		else
			assert_false(ckpt_quiet(&pids[i], 1));
	}
	assert_true(quiet_soon(pids, PACKET));
	assert_false(ckpt_quiet(pids, N_PLACES));
	for (int i = 0; i < N_PLACES; i++) {
		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	}
	assert_true(quiet_soon(pids, N_PLACES));
}

/* Of who is not in the group nothing is told ahead, wherever it is later. */
static void who_is_elsewhere(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);
	struct watched other;
	char group[PATH_MAX];

	noted_checkpoint(e);
	watched_start(&other, NULL);
	watched_group(&other, group);
	noted_do(e, watched_write, mem);
	assert_int_equal(copy_ahead(&e->copy, &e->notes, group, e->w.pid), 0);
	watched_group_end(group);
	watched_end(&other);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 0)));
}

static void older_kernels(void **state)
{
	struct noted *e = *state;

	noted_do(e, watched_map, 8);
	noted_checkpoint(e);
	e->notes.apart = true;
	assert_int_equal(ahead(e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NOTED_TEST(told_once),
		NOTED_TEST(told_clean),
		NOTED_TEST(told_again_after_a_failure),
		NOTED_TEST(told_in_a_stop),
		NOTED_TEST(areas_that_changed),
		NOTED_TEST(shared_memory_between),
		NOTED_TEST(nothing_beside_other_io),
		NOTED_TEST(written_without_a_fault),
		NOTED_TEST(who_is_elsewhere),
		NOTED_TEST(older_kernels),
		cmocka_unit_test(who_is_quiet),
	};

	if (!watched_notes_here() || !ckpt_protect_spans())
		return watched_skip();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
