// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that has signals waiting, with and without what comes along with one, and interval
 * timers of every kind
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that each is where it was, and prints what is wrong, or "all well".
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "ok.h"

#define RT 40	/* of real time: more than one can wait */

/* What waits: for the process, or for one of its threads. */
static const struct waiting {
	int sig;
	int thread;	/* 0: the first, 1: the other, -1: whichever comes */
	int code;
	int value;
	bool told;	/* the sender is known, and the value where there is one */
} all[] = {
	{ SIGUSR1, -1, SI_USER, 0, true },
	{ SIGUSR2, 1, SI_TKILL, 0, true },
	{ SIGHUP, 0, SI_TKILL, 0, true },
	{ RT, -1, SI_QUEUE, 17, true },
	{ RT, -1, SI_QUEUE, 18, true },
	{ RT + 1, 1, SI_QUEUE, 19, true },
	/* nothing was queued for these: above RLIMIT_SIGPENDING only the signal itself comes */
	{ SIGWINCH, 1, SI_USER, 0, false },
	{ SIGCONT, 0, SI_USER, 0, false },
	{ SIGURG, -1, SI_USER, 0, false },
	{ RT + 2, -1, SI_USER, 0, false },
};

#define N (sizeof(all) / sizeof(all[0]))

static pid_t tids[2];
static char before[2][256];
static pthread_barrier_t step;

static void queue(const struct waiting *w)
{
	siginfo_t info = { .si_signo = w->sig, .si_code = w->told ? w->code : SI_TKILL };

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = w->value;
	if (!w->told && w->sig >= RT)
		info.si_code = SI_USER;
	if (w->code == SI_TKILL || (!w->told && w->thread >= 0))
		OK(!syscall(SYS_tgkill, getpid(), tids[w->thread], w->sig));
	else if (w->thread < 0)
		OK(!syscall(SYS_rt_sigqueueinfo, getpid(), w->sig, &info));
	else
		OK(!syscall(SYS_rt_tgsigqueueinfo, getpid(), tids[w->thread], w->sig, &info));
}

static void queue_all(void)
{
	struct rlimit limit, none;

	for (const struct waiting *w = all; w < all + N; w++) {
		if (w->told)
			queue(w);
	}
	OK(!getrlimit(RLIMIT_SIGPENDING, &limit));
	none = (struct rlimit){ 0, limit.rlim_max };
	OK(!setrlimit(RLIMIT_SIGPENDING, &none));
	for (const struct waiting *w = all; w < all + N; w++) {
		if (!w->told)
			queue(w);
	}
}

/* The lines of status that tell what waits, is blocked and held. */
static void look(pid_t tid, char ret[256])
{
	char path[64], line[256];
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "SigPnd:", 7) || !strncmp(line, "ShdPnd:", 7) ||
		    !strncmp(line, "SigBlk:", 7))
			len += snprintf(ret + len, 256 - len, "%.60s", line);
	}
	if (f)
		fclose(f);
}

static void take(const struct waiting *w)
{
	const struct timespec none = { 0, 0 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, w->sig);
	/* the C library makes SI_USER of SI_TKILL */
	OK(syscall(SYS_rt_sigtimedwait, &set, &info, &none, 8) == w->sig);
	if (info.si_code != w->code || info.si_pid != (w->told ? getpid() : 0)) {
		printf("signal %d: code %d from %d\n", w->sig, info.si_code, info.si_pid);
		wrong++;
	}
	if (w->value)
		OK(info.si_value.sival_int == w->value);
}

/* Those of this thread; then nothing of it is left. */
static void take_all(int thread)
{
	char now[256];

	look(tids[thread], now);
	if (strcmp(now, before[thread])) {
		printf("thread %d: %s instead of %s", thread, now, before[thread]);
		wrong++;
	}
	pthread_barrier_wait(&step);
	for (const struct waiting *w = all; w < all + N; w++) {
		if (w->thread == thread || (w->thread < 0 && !thread))
			take(w);
	}
	pthread_barrier_wait(&step);
	look(tids[thread], now);
	OK(strstr(now, "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n"));
}

static void *other(void *arg)
{
	tids[1] = syscall(SYS_gettid);
	pthread_barrier_wait(&step);
	pthread_barrier_wait(&step);
	take_all(1);
	return arg;
}

static volatile sig_atomic_t went_off[3];

static void count(int sig)
{
	went_off[sig == SIGALRM ? ITIMER_REAL : sig == SIGVTALRM ? ITIMER_VIRTUAL : ITIMER_PROF]++;
}

/*
 * None of them is due while it is captured, which uses some of what the kernel's time for it is, in
 * an emulated machine more than a second; that of real time goes off once a second after it.
 */
static const struct itimerval timers[3] = {
	[ITIMER_REAL] = { { 1, 0 }, { 300, 0 } },
	[ITIMER_VIRTUAL] = { { 0, 50000 }, { 1, 200000 } },
	[ITIMER_PROF] = { { 0, 0 }, { 6, 0 } },
};

static void start_timers(void)
{
	signal(SIGALRM, count);
	signal(SIGVTALRM, count);
	signal(SIGPROF, count);
	for (int i = 0; i < 3; i++)
		OK(!setitimer(i, &timers[i], NULL));
}

static double seconds(const struct timeval *t)
{
	return t->tv_sec + t->tv_usec / 1e6;
}

/* Those of processor time go off when that much was used. */
static void check_timers(void)
{
	struct itimerval now[3];

	for (int i = 0; i < 3; i++) {
		OK(!getitimer(i, &now[i]));
		OK(seconds(&now[i].it_interval) == seconds(&timers[i].it_interval));
		OK(seconds(&now[i].it_value) <= seconds(&timers[i].it_value) + 0.02);
		OK(!went_off[i]);
	}
	OK(seconds(&now[ITIMER_REAL].it_value) > 100);
	OK(seconds(&now[ITIMER_VIRTUAL].it_value) > 0.3);
	OK(seconds(&now[ITIMER_PROF].it_value) > 0.3);
	while (!went_off[ITIMER_PROF] || went_off[ITIMER_VIRTUAL] < 2)
		;
	OK(!getitimer(ITIMER_PROF, &now[0]) && !seconds(&now[0].it_value));
	OK(went_off[ITIMER_PROF] == 1 && !went_off[ITIMER_REAL]);
}

int main(void)
{
	pthread_t thread;
	sigset_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	tids[0] = syscall(SYS_gettid);
	sigemptyset(&set);
	for (const struct waiting *w = all; w < all + N; w++)
		sigaddset(&set, w->sig);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* one that is ignored by default would not wait */
	signal(SIGWINCH, count);
	signal(SIGURG, count);
	pthread_barrier_init(&step, NULL, 2);
	MUST(-pthread_create(&thread, NULL, other, NULL));
	pthread_barrier_wait(&step);
	queue_all();
	look(tids[0], before[0]);
	look(tids[1], before[1]);
	start_timers();
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);
	check_timers();
	pthread_barrier_wait(&step);
	take_all(0);
	pthread_join(thread, NULL);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
