// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waits that are stopped a second time before they have gone on
 *
 * After a stop a thread makes its call again, with what was left of its time.  When the next stop
 * comes first, the kernel has seen no such call and nothing is noted of it: what is left stands in
 * the arguments alone.  A program of a higher priority sees to it that nobody gets there.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/due.h"
#include "proc/image.h"
#include "proc/procfs.h"
#include "proc/stop.h"
#include "proc/wait.h"

#define MS 1000000ull
#define WAIT_MS 2500
#define STOP_AFTER_MS 300
#define HOG_MS 800	/* the kernel lets nobody have it for longer */
#define THREADS_MAX 16
#define SLACK_MS 600	/* of a busy machine */

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/*
 * Shared by all: of each thread its number, how the call ended, and after how long; its semaphore;
 * who has the processor, and whether the first stop is over.
 */
static volatile struct {
	struct {
		pid_t tid;
		int ok;
		unsigned int took_ms;
	} threads[THREADS_MAX];
	int sem;
	bool hogged, released;
} *said;

static const struct timespec wait_for = { WAIT_MS / 1000, WAIT_MS % 1000 * MS };

static int do_sigtimedwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &wait_for) == -1 && errno == EAGAIN;
}

static int do_epoll_wait(void)
{
	struct epoll_event e;

	return !epoll_wait(epoll_create1(0), &e, 1, WAIT_MS);
}

static int do_epoll_pwait2(void)
{
	struct epoll_event e;

	return !syscall(SYS_epoll_pwait2, epoll_create1(0), &e, 1, &wait_for, NULL, 8);
}

static int do_semtimedop(void)
{
	struct sembuf down = { 0, -1, 0 };
	int id = said->sem = semget(IPC_PRIVATE, 1, 0600);
	int ok = semtimedop(id, &down, 1, &wait_for) == -1 && errno == EAGAIN;

	semctl(id, 0, IPC_RMID);
	return ok;
}

static int do_select(void)
{
	struct timeval t = { WAIT_MS / 1000, WAIT_MS % 1000 * 1000 };

	return !select(0, NULL, NULL, NULL, &t);
}

static int do_ppoll(void)
{
	return !ppoll(NULL, 0, &wait_for, NULL);
}

static int do_poll(void)
{
	return !poll(NULL, 0, WAIT_MS);
}

static int do_nanosleep(void)
{
	return !nanosleep(&wait_for, NULL);
}

#define CALL(name) { #name, do_##name }
static const struct {
	const char *name;
	int (*make)(void);
} calls[] = {
	CALL(sigtimedwait), CALL(epoll_wait), CALL(epoll_pwait2), CALL(semtimedop), CALL(select),
	CALL(ppoll), CALL(poll), CALL(nanosleep),
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))
_Static_assert(N_CALLS <= THREADS_MAX, "room for each");

static void on_one(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void *wait_in(void *arg)
{
	size_t i = (uintptr_t)arg;
	uint64_t start = ckpt_now_ns();

	said->threads[i].tid = gettid();
	said->threads[i].ok = calls[i].make();
	said->threads[i].took_ms = (ckpt_now_ns() - start) / MS;
	return NULL;
}

static void wait_in_all(void)
{
	pthread_t threads[N_CALLS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	syscall(SYS_close_range, 3, ~0u, 0);
	on_one(1);
	for (size_t i = 0; i < N_CALLS; i++)
		pthread_create(&threads[i], NULL, wait_in, (void *)(uintptr_t)i);
	for (size_t i = 0; i < N_CALLS; i++)
		pthread_join(threads[i], NULL);
}

/* A number of a thread, as /proc shows it. */
static unsigned long status_of(pid_t pid, pid_t tid, const char *key)
{
	unsigned long n = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)))
			n = strtoul(line + strlen(key) + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return n;
}

static bool all_seized(pid_t pid)
{
	for (size_t i = 0; i < N_CALLS; i++) {
		if (!status_of(pid, said->threads[i].tid, "TracerPid"))
			return false;
	}
	return true;
}

/* Nobody else has the processor until all are to stop for the second time. */
static pid_t hog(pid_t waits)
{
	const struct sched_param param = { .sched_priority = 90 };
	uint64_t until = ckpt_now_ns() + HOG_MS * MS;
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	on_one(1);
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		_exit(1);
	said->hogged = true;
	while (!said->released || !all_seized(waits)) {
		if (ckpt_now_ns() > until)
			_exit(2);
	}
	/* to be seized is to be told to stop, a moment later */
	for (until = ckpt_now_ns() + 5 * MS; ckpt_now_ns() < until;)
		;
	_exit(0);
}

/* How often it has gone to sleep by itself. */
static unsigned long slept(pid_t pid, size_t i)
{
	return status_of(pid, said->threads[i].tid, "voluntary_ctxt_switches");
}

static void check(int failed, const struct ckpt_err *err)
{
	if (failed)
		fail_msg("%s", err->text);
}

/*
 * An image has what is left, too.  Not of the last two: until when they last the kernel has in a
 * block of its own, which is not read.
 */
static void check_image(const struct ckpt_image *image)
{
	size_t seen = 0;

	assert_int_equal(image->n_tasks, 1);
	assert_int_equal(image->tasks[0].n_threads, N_CALLS + 1);
	for (size_t i = 0; i < image->tasks[0].n_threads; i++) {
		const struct ckpt_thread *t = &image->tasks[0].threads[i];

		if (t->wait != CKPT_WAIT_LEFT)
			continue;
		seen++;
		assert_true(t->wait_ns > 0);
		assert_true(t->wait_ns <= (WAIT_MS - STOP_AFTER_MS + 2) * (int64_t)MS);
	}
	assert_int_equal(seen, N_CALLS - 2);
}

static void stopped_again(bool collect)
{
	struct ckpt_stop_params params = { .freeze_ms = 5000 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image = { 0 };
	unsigned long before[N_CALLS];
	struct ckpt_stop *stop = NULL;
	int status;
	struct ckpt_due due;
	pid_t busy;

	/* where nobody knows what is left there is nothing to see */
	if (ckpt_due_open(&due))
		skip();
	ckpt_due_close(&due);
	memset((void *)said, 0, sizeof(*said));
	params.pid = fork();
	if (!params.pid) {
		wait_in_all();
		_exit(0);
	}
	assert_true(params.pid > 0);
	check(ckpt_stop_open(&params, &stop, &err), &err);
	for (size_t i = 0; i < N_CALLS; i++) {
		while (!said->threads[i].tid)
			usleep(1000);
	}
	usleep((STOP_AFTER_MS + 100) * 1000);
	check(ckpt_stop_begin(stop, &err), &err);
	for (size_t i = 0; i < N_CALLS; i++)
		before[i] = slept(params.pid, i);
	busy = hog(params.pid);
	while (!said->hogged) {
		assert_int_equal(waitpid(busy, &status, WNOHANG), 0);
		usleep(1000);
	}
	check(ckpt_stop_release(stop, NULL, &err), &err);
	said->released = true;
	check(ckpt_stop_begin(stop, &err), &err);
	/* from one stop to the next, and nowhere else */
	for (size_t i = 0; i < N_CALLS; i++) {
		if (slept(params.pid, i) != before[i] + 1)
			fail_msg("%s went on between the stops", calls[i].name);
	}
	check(collect && ckpt_stop_collect(stop, &image, &err), &err);
	if (collect)
		check_image(&image);
	ckpt_image_done(&image);
	check(ckpt_stop_release(stop, NULL, &err), &err);
	assert_int_equal(waitpid(busy, &status, 0), busy);
	assert_int_equal(status, 0);
	assert_int_equal(waitpid(params.pid, &status, 0), params.pid);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < N_CALLS; i++) {
		if (!said->threads[i].ok || said->threads[i].took_ms + 2 < WAIT_MS ||
		    said->threads[i].took_ms > WAIT_MS + SLACK_MS)
			fail_msg("%s: %s after %u ms of %u", calls[i].name,
				 said->threads[i].ok ? "ended" : "failed",
				 said->threads[i].took_ms, WAIT_MS);
	}
	ckpt_stop_close(stop);
}

static void let_go_unread(void **state)
{
	(void)state;
	stopped_again(false);
}

static void read_in_the_second(void **state)
{
	(void)state;
	stopped_again(true);
}

static int teardown(void **state)
{
	(void)state;
	semctl(said->sem, 0, IPC_RMID);
	return 0;
}

static int setup(void **state)
{
	cpu_set_t have;

	(void)state;
	if (sched_getaffinity(0, sizeof(have), &have) || !CPU_ISSET(0, &have) ||
	    !CPU_ISSET(1, &have)) {
		print_message("# needs processors 0 and 1: this machine has none\n");
		return -1;
	}
	on_one(0);
	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return said == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(let_go_unread, teardown),
		cmocka_unit_test_teardown(read_in_the_second, teardown),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
