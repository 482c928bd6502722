// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads with syscall user dispatch are refused and stay as they were, also where the kernel
 * does not tell of it and a call of ours ends in SIGSYS. Natively as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif
#define ALLOW 0
#define BLOCK 1
#define USER_DISPATCH 2	/* si_code */
#define THREADS 3

/* Bounds of this program's own code, by the linker. */
extern char __executable_start[], etext[];

/**
 * struct report - what the threads tell; the first never dispatches when it has company
 * @tids, @ticks: of each thread
 * @poke: make a call from outside of our own code
 * @caught: SIGSYS handled
 * @wrong: SIGSYS of another kind, or a call that was made
 */
static struct report {
	volatile uint64_t ticks[THREADS];
	volatile int32_t tids[THREADS];
	volatile int32_t poke[THREADS];
	volatile int32_t caught, wrong;
} *report;

static __thread volatile char selector;
/* Threads up to this one dispatch. */
static int last_dispatching;
/* The fault point writes into it. */
static char reached[256];

static long own_call(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "0"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	(void)context;
	report->caught++;
	if (sig != SIGSYS || info->si_code != USER_DISPATCH)
		report->wrong++;
	selector = ALLOW;	/* or the return from here is dispatched as well */
}

static void dispatch(void)
{
	struct sigaction act = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	if (sigaction(SIGSYS, &act, NULL) ||
	    prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, __executable_start,
		  etext - __executable_start, &selector))
		proc_group_lacks(EINVAL);
}

/* Not noreturn: the sanitizer makes a call of its own before it calls such a function. */
static void work(int who)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	selector = BLOCK;
	for (;;) {
		own_call(SYS_nanosleep, (long)&ms, 0, 0);
		report->ticks[who]++;
		if (!report->poke[who])
			continue;
		if (syscall(SYS_getpid) == getpid())
			report->wrong++;
		selector = BLOCK;
		report->poke[who] = 0;
	}
}

static void alone(void)
{
	report->tids[0] = getpid();
	dispatch();
	/* as the group's way of saying that it is ready, from our own code */
	own_call(SYS_write, 3, (long)"", 1);
	own_call(SYS_close, 3, 0, 0);
	work(0);
}

static void *thread(void *arg)
{
	int who = (int)(intptr_t)arg;

	report->tids[who] = syscall(SYS_gettid);
	if (who <= last_dispatching)
		dispatch();
	work(who);
	return NULL;
}

static void in_threads(int last)
{
	pthread_t t;

	last_dispatching = last;
	for (intptr_t i = 1; i < THREADS; i++)
		pthread_create(&t, NULL, thread, (void *)i);
	while (!report->ticks[1] || !report->ticks[2])
		usleep(1000);
}

static void in_both_threads(void)
{
	in_threads(2);
}

static void in_one_thread(void)
{
	in_threads(1);
}

static int setup(void **state)
{
	const char *base = getenv("TMPDIR");
	char path[256];
	int fd;

	(void)state;
	snprintf(reached, sizeof(reached), "%s/reached", base ? base : "/tmp");
	snprintf(path, sizeof(path), "%s/report", base ? base : "/tmp");
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 4096))
		return -1;
	report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return report == MAP_FAILED;
}

/* Masks and handlers, and how many areas there are that could be ours. */
static void look(pid_t pid, char ret[256])
{
	char path[64], line[512];
	size_t used = 0, areas = 0;
	FILE *f;

	ret[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if ((!strncmp(line, "Sig", 3) || !strncmp(line, "Shd", 3)) && line[3] != 'Q')
			used += snprintf(ret + used, 256 - used, "%.40s", line);
	}
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		areas += strstr(line, " rwxp ") != NULL;
	fclose(f);
	snprintf(ret + used, 256 - used, "%zu areas", areas);
}

/* It goes on, and a call that is dispatched is still handled by itself. */
static void goes_on(int who)
{
	uint64_t before = report->ticks[who];
	int32_t caught = report->caught;

	for (int i = 0; i < 5000 && report->ticks[who] < before + 5; i++)
		usleep(1000);
	assert_true(report->ticks[who] >= before + 5);
	report->poke[who] = 1;
	for (int i = 0; i < 5000 && report->poke[who]; i++)
		usleep(1000);
	assert_int_equal(report->poke[who], 0);
	assert_int_equal(report->caught, caught + 1);
	assert_int_equal(report->wrong, 0);
}

/* One stop that is refused; with @fault the kernel's answer for that thread is not taken. */
static void refuse_once(const struct ckpt_stop_params *params, const char *fault, int first)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char says[80];

	if (fault) {
		setenv("CKPT_FAULT", fault, 1);
		setenv("CKPT_FAULT_REACHED", reached, 1);
	}
	assert_int_equal(proc_group_cycle(params, NULL, &err), -1);
	unsetenv("CKPT_FAULT");
	unsetenv("CKPT_FAULT_REACHED");
	assert_int_equal(err.status, CKPT_REFUSED);
	snprintf(says, sizeof(says), "uses syscall user dispatch (thread %d)",
		 report->tids[first]);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	if (fault)
		assert_int_equal(unlink(reached), 0);
}

static void is_refused(void (*body)(void), const char *fault, int first, int last)
{
	struct ckpt_stop_params params = { 0 };
	char before[256], after[256];

	memset(report, 0, sizeof(*report));
	params.pid = proc_group_spawn(NULL, body);
	if (params.pid < 0) {
		print_message("# this kernel has no syscall user dispatch\n");
		skip();
	}
	for (int round = 0; round < 20; round++) {
		look(params.pid, before);
		refuse_once(&params, fault, first);
		assert_true(proc_group_untraced(params.pid));
		look(params.pid, after);
		assert_string_equal(before, after);
		for (int who = first; who <= last; who++)
			goes_on(who);
	}
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static void is_told_by_the_kernel(void **state)
{
	(void)state;
	is_refused(alone, NULL, 0, 0);
	is_refused(in_both_threads, NULL, 1, 2);
}

/* The first call, from the vdso. */
static void is_seen_by_the_first_thread(void **state)
{
	(void)state;
	is_refused(alone, "keeper.dispatch=fail", 0, 0);
}

/*
 * Calls from the page, which the first thread, who does not dispatch, has mapped and takes
 * away again.  The answer for the second is not taken, and no other dispatches: only a
 * call of ours in it shows it.
 */
static void is_seen_by_another_thread(void **state)
{
	(void)state;
	is_refused(in_one_thread, "keeper.dispatch:2=fail", 1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_told_by_the_kernel),
		cmocka_unit_test(is_seen_by_the_first_thread),
		cmocka_unit_test(is_seen_by_another_thread),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
