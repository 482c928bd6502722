// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with POSIX timers in every state
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ok.h"

#define HOUR 3600
#define NS_PER_S 1000000000ll
#define TICK_NS 20000000
#define LATE 4		/* how often one has expired too late */

#define SIG_WAITS (SIGRTMIN + 1)
#define SIG_AIMED (SIGRTMIN + 2)
#define SIG_TICK (SIGRTMIN + 3)
#define SIG_LATE (SIGRTMIN + 4)

static int64_t now_ns(int clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static struct timespec time_of(int64_t ns)
{
	return (struct timespec){ ns / NS_PER_S, ns % NS_PER_S };
}

/* By the system call: the id is the kernel's. */
static int make(int clock, int notify, int signo, void *value, pid_t tid)
{
	struct sigevent e = { .sigev_notify = notify, .sigev_signo = signo,
			      .sigev_value.sival_ptr = value };
	int id;

	e._sigev_un._tid = tid;
	MUST(syscall(SYS_timer_create, clock, &e, &id));
	return id;
}

static void set(int id, int flags, int64_t value, int64_t interval)
{
	const struct itimerspec spec = { time_of(interval), time_of(value) };

	MUST(syscall(SYS_timer_settime, id, flags, &spec, NULL));
}

static int64_t left(int id, int64_t *ret_interval)
{
	struct itimerspec spec;

	MUST(syscall(SYS_timer_gettime, id, &spec));
	if (ret_interval)
		*ret_interval = spec.it_interval.tv_sec * NS_PER_S + spec.it_interval.tv_nsec;
	return spec.it_value.tv_sec * NS_PER_S + spec.it_value.tv_nsec;
}

/* Handlers of the other timers end the waiting. */
static int await(const sigset_t *signals, siginfo_t *info)
{
	int sig;

	do
		sig = sigwaitinfo(signals, info);
	while (sig < 0 && errno == EINTR);
	return sig;
}

static long overrun(int id)
{
	return syscall(SYS_timer_getoverrun, id);
}

static volatile int ticks, late_again, tick_value, ended_alarms;

static void on_tick(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIG_TICK) {
		ticks++;
		tick_value = info->si_value.sival_int;
	} else {
		late_again++;
	}
}

static void on_alarm(union sigval value)
{
	ended_alarms += value.sival_int;
}

static int far_off, of_day, unset, over, waits, silent, silent_tick, ticking, aimed, late;
static int64_t day_end, late_interval;
static timer_t called;
static pid_t aim;
static volatile int aimed_at;

/* Gets the signals of one timer by waiting for them. */
static void *waiter(void *arg)
{
	sigset_t all, own;
	siginfo_t info;

	/* no handler may run in it: that would end its waiting */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	sigemptyset(&own);
	sigaddset(&own, SIG_AIMED);
	aim = gettid();
	for (;;) {
		if (sigwaitinfo(&own, &info) == SIG_AIMED && info.si_code == SI_TIMER &&
		    info.si_timerid == aimed)
			aimed_at++;
		else if (errno == EINTR)
			aimed_at += 1000000;
	}
	return arg;
}

/* One whose signal was taken after it had expired again; it goes on in a while. */
static void make_late(void)
{
	int64_t now = now_ns(CLOCK_MONOTONIC);
	siginfo_t info;
	sigset_t signals;

	late_interval = now / (LATE + 2) < 60 * NS_PER_S ? now / (LATE + 2) : 60 * NS_PER_S;
	late = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIG_LATE, NULL, 0);
	sigemptyset(&signals);
	sigaddset(&signals, SIG_LATE);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	set(late, TIMER_ABSTIME, now - LATE * late_interval - late_interval / 100, late_interval);
	MUST(await(&signals, &info));
	MUST(overrun(late) == LATE ? 0 : -1);
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

static void handle(void)
{
	const struct sigaction action = { .sa_sigaction = on_tick,
					  .sa_flags = SA_SIGINFO | SA_RESTART };
	sigset_t set;

	MUST(sigaction(SIG_TICK, &action, NULL));
	MUST(sigaction(SIG_LATE, &action, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIG_WAITS);
	sigaddset(&set, SIG_AIMED);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void make_timers(void)
{
	struct sigevent e = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_alarm,
			      .sigev_value.sival_int = 7 };
	pthread_t thread;
	int gap;

	unset = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGALRM, NULL, 0);
	gap = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, NULL, 0);
	/* as timeout(1) does */
	far_off = make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGALRM, NULL, 0);
	set(far_off, 0, HOUR * NS_PER_S, 0);
	of_day = make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGALRM, NULL, 0);
	day_end = now_ns(CLOCK_REALTIME) + HOUR * NS_PER_S + 123456789;
	set(of_day, TIMER_ABSTIME, day_end, HOUR * NS_PER_S);
	MUST(syscall(SYS_timer_delete, gap));
	over = make(CLOCK_BOOTTIME, SIGEV_SIGNAL, SIGURG, NULL, 0);
	set(over, 0, 1, 0);
	waits = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIG_WAITS, (void *)0x1234567890abcdef, 0);
	set(waits, 0, 1, 0);
	silent = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, NULL, 0);
	set(silent, 0, HOUR * NS_PER_S, 0);
	silent_tick = make(CLOCK_BOOTTIME, SIGEV_NONE, 77, NULL, 0);
	set(silent_tick, 0, NS_PER_S / 2, HOUR * NS_PER_S);
	ticking = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIG_TICK, (void *)99, 0);
	set(ticking, 0, TICK_NS, TICK_NS);
	make_late();
	pthread_create(&thread, NULL, waiter, NULL);
	while (!*(volatile pid_t *)&aim)
		usleep(1000);
	aimed = make(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIG_AIMED, NULL, aim);
	set(aimed, 0, TICK_NS * 2, TICK_NS * 2);
	MUST(timer_create(CLOCK_MONOTONIC, &e, &called));
}

static void check_quiet(void)
{
	int64_t interval, before, until, after;

	OK(!left(unset, &interval) && !interval);
	OK(left(far_off, &interval) < HOUR * NS_PER_S && !interval);
	OK(left(far_off, NULL) > (HOUR - 120) * NS_PER_S);
	before = now_ns(CLOCK_REALTIME);
	until = left(of_day, &interval);
	after = now_ns(CLOCK_REALTIME);
	/* however long a busy machine has kept it from a processor in between */
	OK(before + until < day_end + 50000000 && after + until > day_end - 50000000);
	OK(interval == HOUR * NS_PER_S);
	OK(!left(over, &interval) && !interval);
	OK(left(silent, &interval) < HOUR * NS_PER_S && !interval);
	OK(left(silent, NULL) > (HOUR - 120) * NS_PER_S);
	OK(left(silent_tick, &interval) < HOUR * NS_PER_S && interval == HOUR * NS_PER_S);
}

static void check_waiting(void)
{
	const struct timespec none = { 0 };
	siginfo_t info;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIG_WAITS);
	OK(sigtimedwait(&signals, &info, &none) == SIG_WAITS);
	OK(info.si_code == SI_TIMER && info.si_timerid == waits && !info.si_overrun);
	OK(info.si_value.sival_ptr == (void *)0x1234567890abcdef);
	OK(sigtimedwait(&signals, &info, &none) < 0 && errno == EAGAIN);
	OK(!left(waits, NULL) && !overrun(waits));
	set(waits, 0, 1000000, 0);
	OK(await(&signals, &info) == SIG_WAITS);
}

static bool grows(volatile int *count)
{
	int before = *count;

	for (int i = 0; i < 500 && *count < before + 3; i++)
		usleep(10000);
	return *count >= before + 3;
}

static void check_running(void)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
	int64_t interval;
	long was = overrun(late);

	OK(late_again || was == LATE);
	OK(left(late, &interval) <= late_interval && interval == late_interval);
	OK(grows(&ticks) && tick_value == 99);
	OK(left(ticking, &interval) <= TICK_NS && interval == TICK_NS);
	OK(grows(&aimed_at));
	OK(aimed_at < 1000000);
	OK(!ended_alarms);
	MUST(timer_settime(called, 0, &soon, NULL));
	for (int i = 0; i < 500 && !ended_alarms; i++)
		usleep(10000);
	OK(ended_alarms == 7);
}

/* A process of its own, whose timer ends it; @made is closed once it has one. */
static void child(int made)
{
	int id;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGALRM, NULL, 0);
	set(id, 0, 60 * NS_PER_S, 0);
	close(made);
	while (access("go", F_OK))
		usleep(20000);
	if (id || left(id, NULL) > 60 * NS_PER_S || left(id, NULL) < NS_PER_S)
		_exit(1);
	set(id, 0, 1000000, 0);
	for (;;)
		pause();
}

int main(void)
{
	int status = -1, made[2];
	char byte;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	MUST(pipe(made));
	pid = MUST(fork());
	close(made[pid ? 1 : 0]);
	if (!pid)
		child(made[1]);
	MUST(read(made[0], &byte, 1));
	close(made[0]);
	handle();
	make_timers();
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_quiet();
	check_waiting();
	check_running();
	OK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
