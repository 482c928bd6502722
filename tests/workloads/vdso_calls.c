// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Vdso calls: two processes and a thread that compare their vdso with the system calls
 *
 * usage: vdso_calls [ROUNDS]
 * Prints "ready" once all is set up and waits until there is a file "go" in its directory, whose
 * lines "NAME OFFSET" say where the functions of the vdso are now that was there at the start.
 * All are called through such pointers, never by the library, ROUNDS times (100000) by each.
 * With an empty file it asks the library, for the clocks alone.  Then it checks that a program
 * executed now has a vdso of its own, and prints "all well".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ok.h"

#define STEP_NS 1000000000ll	/* what a time of day may be stepped by meanwhile */

static struct {
	long (*clock_gettime)(clockid_t clock, struct timespec *t);
	long (*gettimeofday)(struct timeval *t, void *zone);
	time_t (*time)(time_t *t);
	long (*getcpu)(unsigned int *cpu, unsigned int *node, void *cache);
	long (*clock_getres)(clockid_t clock, struct timespec *t);
	long (*getrandom)(void *to, size_t len, unsigned int flags, void *state, size_t size);
} calls;

static const struct {
	const char *name;
	void *to;
} names[] = {
	{ "__vdso_clock_gettime", &calls.clock_gettime },
	{ "__vdso_gettimeofday", &calls.gettimeofday },
	{ "__vdso_time", &calls.time },
	{ "__vdso_getcpu", &calls.getcpu },
	{ "__vdso_clock_getres", &calls.clock_getres },
	{ "__vdso_getrandom", &calls.getrandom },
};

static char *base;
static int rounds = 100000;
static int64_t monotonic_before;

static long from_library(clockid_t clock, struct timespec *t)
{
	return clock_gettime(clock, t);
}

/* Return: how many there are. */
static int find_calls(void)
{
	char name[64];
	unsigned long at;
	FILE *f = fopen("go", "re");
	int n = 0;

	if (!f)
		return 0;
	while (fscanf(f, "%63s %lx", name, &at) == 2) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			void *call = base + at;

			if (strcmp(names[i].name, name))
				continue;
			memcpy(names[i].to, &call, sizeof(call));
			n++;
		}
	}
	fclose(f);
	if (!n)
		calls.clock_gettime = from_library;
	return n;
}

static int64_t ns_of(const struct timespec *t)
{
	return t->tv_sec * 1000000000ll + t->tv_nsec;
}

static int64_t ns_of_timeval(const struct timeval *t)
{
	return t->tv_sec * 1000000000ll + t->tv_usec * 1000ll;
}

/* The kernel's answer lies between two of the vdso's. */
static void check_clock(clockid_t clock, int64_t slack)
{
	struct timespec a, b, c;

	OK(!calls.clock_gettime(clock, &a));
	OK(!syscall(SYS_clock_gettime, clock, &b));
	OK(!calls.clock_gettime(clock, &c));
	OK(ns_of(&a) <= ns_of(&b) + slack && ns_of(&b) <= ns_of(&c) + slack);
	OK(clock != CLOCK_MONOTONIC || ns_of(&a) >= monotonic_before);
}

/* As above, of what tells the time of day alone: a restore may come between any two. */
static void check_time_of_day(void)
{
	struct timespec now;
	struct timeval a, c;
	time_t before;

	if (calls.gettimeofday) {
		OK(!calls.gettimeofday(&a, NULL));
		OK(!syscall(SYS_clock_gettime, CLOCK_REALTIME, &now));
		OK(!calls.gettimeofday(&c, NULL));
		OK(ns_of_timeval(&a) <= ns_of(&now) + STEP_NS &&
		   ns_of(&now) <= ns_of_timeval(&c) + STEP_NS);
	}
	if (calls.time) {
		before = calls.time(NULL);
		OK(!syscall(SYS_clock_gettime, CLOCK_REALTIME, &now));
		OK(before <= now.tv_sec + 1 && now.tv_sec <= calls.time(NULL) + 1);
	}
}

static void check_others(unsigned int cpu)
{
	struct timespec res[2] = { { 0 } };
	unsigned int is = ~0u;

	check_time_of_day();
	if (calls.getcpu)
		OK(!calls.getcpu(&is, NULL, NULL) && is == cpu);
	if (calls.clock_getres) {
		syscall(SYS_clock_getres, CLOCK_MONOTONIC, &res[0]);
		OK(!calls.clock_getres(CLOCK_MONOTONIC, &res[1]));
		OK(res[1].tv_nsec && ns_of(&res[0]) == ns_of(&res[1]));
	}
}

static void check_random(void)
{
	char none[32] = { 0 }, bytes[32] = { 0 };

	if (calls.getrandom) {
		OK(calls.getrandom(bytes, sizeof(bytes), 0, NULL, 0) == sizeof(bytes));
		OK(memcmp(bytes, none, sizeof(bytes)));
	}
}

static void *check(void *arg)
{
	unsigned int cpu = 0;
	cpu_set_t set;

	(void)arg;
	syscall(SYS_getcpu, &cpu, NULL, NULL);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	MUST(sched_setaffinity(0, sizeof(set), &set));
	for (int i = 0; i < rounds && wrong < 10; i++) {
		check_clock(CLOCK_MONOTONIC, 0);
		check_clock(CLOCK_BOOTTIME, 0);
		check_clock(CLOCK_REALTIME, STEP_NS);
		check_others(cpu);
	}
	check_random();
	return NULL;
}

static void wait_for_go(void)
{
	const struct timespec some = { .tv_nsec = 20000000 };

	while (access("go", F_OK))
		syscall(SYS_nanosleep, &some, NULL);
	/* it is put there as a whole, but for an empty one */
	find_calls();
}

static void *thread(void *arg)
{
	wait_for_go();
	return check(arg);
}

static int end_of(pid_t pid)
{
	int status = -1;

	MUST(waitpid(pid, &status, 0));
	return status;
}

/* A program that is executed: with the vdso that its library has found. */
static int executed(void)
{
	calls.clock_gettime = from_library;
	rounds = 1000;
	check(NULL);
	OK(!memcmp((char *)getauxval(AT_SYSINFO_EHDR), "\177ELF", 4));
	return wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct timespec t;
	pthread_t id;
	pid_t child;

	if (argc > 1 && !strcmp(argv[1], "exec"))
		return executed();
	if (argc > 1)
		rounds = atoi(argv[1]);
	base = (char *)getauxval(AT_SYSINFO_EHDR);
	clock_gettime(CLOCK_MONOTONIC, &t);
	monotonic_before = ns_of(&t);
	child = MUST(fork());
	OK(!pthread_create(&id, NULL, thread, NULL));
	if (child)
		printf("ready\n");
	fflush(stdout);
	wait_for_go();
	check(NULL);
	pthread_join(id, NULL);
	OK(!memcmp(base, "\177ELF", 4));
	fflush(stdout);
	if (!child)
		_exit(wrong ? 1 : 0);
	OK(!end_of(child));
	child = MUST(fork());
	if (!child) {
		execl("/proc/self/exe", "vdso_calls", "exec", NULL);
		_exit(127);
	}
	OK(!end_of(child));
	printf(wrong ? "%d wrong\n" : "all well\n", wrong);
	return wrong ? 1 : 0;
}
