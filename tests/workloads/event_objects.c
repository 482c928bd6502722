// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that waits for things by descriptors: eventfds, timerfds, signalfds, epolls
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ok.h"

#define HOUR 3600

static uint64_t take(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void give(int fd, uint64_t n)
{
	if (write(fd, &n, sizeof(n)) != sizeof(n))
		exit(1);
}

/* --- eventfds --- */

static int counter, semaphore, empty, empty_semaphore, full, shared;

static void make_eventfds(void)
{
	counter = MUST(eventfd(5, EFD_NONBLOCK));
	semaphore = MUST(eventfd(3, EFD_NONBLOCK | EFD_SEMAPHORE));
	empty = MUST(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	empty_semaphore = MUST(eventfd(0, EFD_SEMAPHORE));
	full = MUST(eventfd(0, EFD_NONBLOCK));
	give(full, UINT64_MAX - 1);
	shared = MUST(eventfd(1, EFD_NONBLOCK));
}

static void check_eventfds(void)
{
	const uint64_t one = 1;

	OK(take(counter) == 5 && !take(counter));
	OK(take(semaphore) == 1 && take(semaphore) == 1 && take(semaphore) == 1);
	OK(!take(semaphore) && errno == EAGAIN);
	OK(!take(empty) && errno == EAGAIN);
	OK(fcntl(empty, F_GETFD) == FD_CLOEXEC && fcntl(full, F_GETFD) == 0);
	OK(write(full, &one, sizeof(one)) < 0 && errno == EAGAIN);
	OK(take(full) == UINT64_MAX - 1);
	OK(!(fcntl(empty_semaphore, F_GETFL) & O_NONBLOCK));
	give(empty_semaphore, 2);
	OK(take(empty_semaphore) == 1 && take(empty_semaphore) == 1);
}

/* --- timerfds --- */

static int far_off, ticking, expired, unset, of_day;
static uint64_t ticked;
static time_t day_end;

static int timer(int clock, int flags, time_t value_s, long value_ns, long interval_ns)
{
	const struct itimerspec spec = {
		.it_value = { value_s, value_ns }, .it_interval = { 0, interval_ns },
	};
	int fd = MUST(timerfd_create(clock, TFD_NONBLOCK));

	MUST(timerfd_settime(fd, flags, &spec, NULL));
	return fd;
}

static void make_timerfds(void)
{
	far_off = timer(CLOCK_MONOTONIC, 0, HOUR, 0, 0);
	ticking = timer(CLOCK_BOOTTIME, 0, 0, 1000000, 20000000);
	expired = timer(CLOCK_MONOTONIC, 0, 0, 1000000, 0);
	unset = timer(CLOCK_REALTIME, 0, 0, 0, 0);
	day_end = time(NULL) + HOUR;
	of_day = timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME, day_end, 0, 0);
	usleep(50000);
	ticked = take(ticking);
}

static void check_timerfds(void)
{
	struct itimerspec left;
	struct timespec now;
	int i;

	MUST(timerfd_gettime(far_off, &left));
	OK(left.it_value.tv_sec < HOUR && left.it_value.tv_sec > HOUR - 120);
	OK(!take(far_off) && errno == EAGAIN);
	MUST(timerfd_gettime(of_day, &left));
	/* time() lags behind the clock of the timer by a tick, into another second at times */
	MUST(clock_gettime(CLOCK_REALTIME, &now));
	OK(labs(now.tv_sec + left.it_value.tv_sec - day_end) <= 1);
	OK(take(expired) == 1 && !take(expired));
	MUST(timerfd_gettime(unset, &left));
	OK(!left.it_value.tv_sec && !left.it_value.tv_nsec);
	OK(ticked >= 2);
	for (i = 0; i < 100 && !take(ticking); i++)
		usleep(10000);
	OK(i < 100);
	MUST(timerfd_gettime(ticking, &left));
	OK(left.it_interval.tv_nsec == 20000000);
}

/* --- signals --- */

static int signals;

static void make_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 3);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signals = MUST(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
	raise(SIGUSR1);
}

static void check_signals(void)
{
	struct signalfd_siginfo info;

	OK(read(signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGUSR1);
	OK(read(signals, &info, sizeof(info)) < 0 && errno == EAGAIN);
	raise(SIGRTMIN + 3);
	OK(read(signals, &info, sizeof(info)) == sizeof(info));
	OK(info.ssi_signo == (uint32_t)SIGRTMIN + 3);
}

/* --- epolls --- */

static int plain, outer, alone, in_pipe[2], moved[2], moved_to, fired[2], armed[2];

static void watch(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = { .events = events, .data.u64 = data };

	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
}

static void make_epolls(void)
{
	struct epoll_event e;

	plain = MUST(epoll_create1(EPOLL_CLOEXEC));
	outer = MUST(epoll_create1(0));
	alone = MUST(epoll_create1(0));
	MUST(pipe2(in_pipe, O_NONBLOCK));
	MUST(pipe(moved));
	MUST(pipe(fired));
	MUST(pipe(armed));
	watch(plain, in_pipe[0], EPOLLIN, 1);
	watch(plain, counter, EPOLLIN | EPOLLET, 2);
	/* known to the epoll by a number that leads to another file by now */
	watch(plain, moved[0], EPOLLIN | EPOLLRDHUP, 0x123456789abcdef0);
	moved_to = MUST(dup(moved[0]));
	MUST(dup2(in_pipe[0], moved[0]));
	watch(plain, moved[0], EPOLLIN, 4);
	watch(outer, plain, EPOLLIN, 5);
	watch(outer, far_off, EPOLLIN, 6);
	watch(alone, fired[1], EPOLLOUT | EPOLLONESHOT, 7);
	MUST(epoll_wait(alone, &e, 1, 0) == 1 ? 0 : -1);
	watch(alone, armed[0], EPOLLIN | EPOLLONESHOT, 8);
	/* all that is told once is told */
	MUST(epoll_wait(plain, &e, 1, 0) == 1 && e.data.u64 == 2 ? 0 : -1);
}

/* What an epoll tells within a while, as bits of small data; @odd: the one that is not small. */
static unsigned int tells(int epoll, bool *odd)
{
	struct epoll_event e[8];
	unsigned int told = 0;
	int i, n = epoll_wait(epoll, e, 8, 100);

	*odd = false;
	for (i = 0; i < n; i++) {
		if (e[i].data.u64 < 32)
			told |= 1u << e[i].data.u64;
		else
			*odd |= e[i].data.u64 == 0x123456789abcdef0;
	}
	return told;
}

static void check_epolls(void)
{
	struct epoll_event e = { .events = EPOLLOUT | EPOLLONESHOT, .data.u64 = 9 };
	bool odd;

	/* an edge may be told again */
	OK(!(tells(plain, &odd) & ~4u) && !odd);
	OK(!tells(alone, &odd));
	OK(write(armed[1], "x", 1) == 1);
	OK(tells(alone, &odd) == 1 << 8 && !tells(alone, &odd));
	OK(!epoll_ctl(alone, EPOLL_CTL_MOD, fired[1], &e));
	OK(tells(alone, &odd) == 1 << 9);
	OK(write(in_pipe[1], "x", 1) == 1);
	OK(tells(outer, &odd) == 1 << 5);
	OK((tells(plain, &odd) & ~4u) == (1 << 1 | 1 << 4) && !odd);
	OK(write(moved[1], "x", 1) == 1);
	OK((tells(plain, &odd) & ~4u) == (1 << 1 | 1 << 4) && odd);
	OK(!epoll_ctl(plain, EPOLL_CTL_DEL, moved[0], NULL));
	OK((tells(plain, &odd) & ~4u) == 1 << 1 && odd);
	OK(take(counter) == 0);
	give(counter, 1);
	OK(tells(plain, &odd) & 4);
}

/* --- who waits meanwhile --- */

static int wake_reader, wake_poller, poller;
static volatile uint64_t reader_got, poller_got;

static void *reader(void *arg)
{
	reader_got = take(wake_reader);
	return arg;
}

static void *waiter(void *arg)
{
	struct epoll_event e;

	/* EINTR would end it */
	poller_got = epoll_wait(poller, &e, 1, -1) == 1 ? e.data.u64 : 99;
	return arg;
}

static void child(int go, int answer)
{
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(1);
	/* the parent has put one in, and takes what is put in here */
	_exit(take(shared) == 8 && write(answer, "y", 1) == 1 ? 0 : 2);
}

int main(void)
{
	int go[2], answer[2], status = -1;
	pthread_t threads[2];
	char byte;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	make_eventfds();
	make_timerfds();
	make_signals();
	make_epolls();
	wake_reader = MUST(eventfd(0, 0));
	wake_poller = MUST(eventfd(0, 0));
	poller = MUST(epoll_create1(0));
	watch(poller, wake_poller, EPOLLIN, 3);
	MUST(pipe(go));
	MUST(pipe(answer));
	pid = MUST(fork());
	if (!pid)
		child(go[0], answer[1]);
	pthread_create(&threads[0], NULL, reader, NULL);
	pthread_create(&threads[1], NULL, waiter, NULL);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_eventfds();
	check_timerfds();
	check_signals();
	check_epolls();
	OK(!reader_got && !poller_got);
	give(wake_reader, 11);
	give(wake_poller, 1);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	OK(reader_got == 11 && poller_got == 3);
	give(shared, 7);
	OK(write(go[1], "x", 1) == 1 && read(answer[0], &byte, 1) == 1);
	OK(waitpid(pid, &status, 0) == pid && !status);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
