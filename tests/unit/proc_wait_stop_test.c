// SPDX-License-Identifier: GPL-2.0-or-later
/* Waits that go on after a stop: what comes to them meanwhile, and what is left behind of it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/due.h"
#include "proc/procfs.h"
#include "proc/stop.h"

#define MS 1000000ull
#define SLACK_MS 600	/* of a busy machine */

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static int ends[2];	/* the tree has the first, we the other */
static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	volatile char frame[4096];

	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = 0x7f;
	handled = sig;
}

static unsigned int since(uint64_t start)
{
	return (ckpt_now_ns() - start) / MS;
}

static bool about(unsigned int ms, unsigned int wanted)
{
	return ms + 2 >= wanted && ms <= wanted + SLACK_MS;
}

static void limit(int name, unsigned int ms)
{
	const struct timeval t = { ms / 1000, ms % 1000 * 1000 };

	setsockopt(ends[0], SOL_SOCKET, name, &t, sizeof(t));
}

/* A process whose body says by its status how it went: 0, or what was wrong. */
static pid_t start(int (*body)(void))
{
	struct ckpt_due due;
	pid_t pid;

	/* where nobody knows what is left there is nothing to see */
	if (ckpt_due_open(&due))
		skip();
	ckpt_due_close(&due);
	pid = fork();
	if (!pid) {
		int fd = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setsid();
		for (int k = 0; k < 3; k++)
			dup2(fd, k);
		dup2(ends[0], 3);
		ends[0] = 3;
		syscall(SYS_close_range, 4, ~0u, 0);
		_exit(body());
	}
	assert_true(pid > 0);
	return pid;
}

static void check(int failed, const struct ckpt_err *err)
{
	if (failed)
		fail_msg("%s", err->text);
}

/* Stopped after some time, and read if it is to be. */
static struct ckpt_stop *stopped(pid_t pid, unsigned int after, bool collect)
{
	const struct ckpt_stop_params params = { .pid = pid, .freeze_ms = 5000 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	struct ckpt_image image = { 0 };

	check(ckpt_stop_open(&params, &stop, &err), &err);
	usleep(after * 1000);
	check(ckpt_stop_begin(stop, &err), &err);
	check(collect && ckpt_stop_collect(stop, &image, &err), &err);
	ckpt_image_done(&image);
	return stop;
}

static void go_on(struct ckpt_stop *stop)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	check(ckpt_stop_release(stop, NULL, &err), &err);
}

/* What it ended with, or -1 when that takes longer. */
static int end_of(pid_t pid, unsigned int ms)
{
	const uint64_t began = ckpt_now_ns();
	int status;

	while (since(began) < ms) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
		usleep(5000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -1;
}

static unsigned long padding;

/* epoll_pwait2 with the stack so much lower. */
static long wait_lower(int epoll, struct epoll_event *e, const struct timespec *t, sigset_t *set)
{
	register const struct timespec *r10 __asm__("r10") = t;
	register sigset_t *r8 __asm__("r8") = set;
	register long r9 __asm__("r9") = 8;
	long n = SYS_epoll_pwait2;

	__asm__ volatile("sub %[pad], %%rsp; syscall; add %[pad], %%rsp"
			 : "+a"(n)
			 : "D"((long)epoll), "S"(e), "d"(1l), "r"(r10), "r"(r8), "r"(r9),
			   [pad] "b"(padding)
			 : "rcx", "r11", "memory", "cc");
	return n;
}

static int wait_masked(void)
{
	const stack_t no_stack = { .ss_flags = SS_DISABLE };
	const struct timespec t = { 3, 0 };
	const uint64_t began = ckpt_now_ns();
	struct epoll_event e;
	sigset_t set;
	long n;

	sigaltstack(&no_stack, NULL);
	close(ends[0]);
	signal(SIGUSR1, on_signal);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	n = wait_lower(epoll_create1(0), &e, &t, &set);
	if (n)
		return 1;
	return !handled ? 2 : since(began) > 3000 + SLACK_MS ? 3 : t.tv_sec != 3 || t.tv_nsec;
}

/*
 * Its own mask holds a signal back, whose handler runs where its time would be.  The frame is
 * aligned to more than the stack is: what it leaves free at its end is not the same everywhere.
 */
static void goes_on_behind_a_handler(void **state)
{
	(void)state;
	for (padding = 0; padding < 64; padding += 16) {
		pid_t pid = start(wait_masked);
		struct ckpt_stop *stop;

		usleep(100000);
		kill(pid, SIGUSR1);
		stop = stopped(pid, 100, true);
		go_on(stop);
		assert_int_equal(end_of(pid, 5000), 0);
		ckpt_stop_close(stop);
	}
}

static int wait_sticky(void)
{
	const uint64_t began = ckpt_now_ns();
	struct timeval t = { 2, 0 };
	long n;

	personality(STICKY_TIMEOUTS);
	n = syscall(SYS_select, 0, NULL, NULL, NULL, &t);
	if (n || !about(since(began), 2000))
		return 1;
	return t.tv_sec != 2 || t.tv_usec ? 2 : 0;
}

static void leaves_a_time_alone(void **state)
{
	pid_t pid = start(wait_sticky);
	struct ckpt_stop *stop = stopped(pid, 500, false);

	(void)state;
	go_on(stop);
	assert_int_equal(end_of(pid, 5000), 0);
	ckpt_stop_close(stop);
}

static char shared_stack[8192];

static void *wait_on_shared(void *arg)
{
	const struct timespec t = { arg ? 300 : 2, 0 };
	const stack_t stack = { .ss_sp = shared_stack, .ss_size = sizeof(shared_stack) };
	const uint64_t began = ckpt_now_ns();
	struct epoll_event e;

	sigaltstack(&stack, NULL);
	if (syscall(SYS_epoll_pwait2, epoll_create1(0), &e, 1, &t, NULL, 8))
		_exit(1);
	_exit(about(since(began), 2000) ? 0 : 2);
}

/* For as long as no two signals come at once, one stack does for all threads. */
static int wait_with_one_stack(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, wait_on_shared, shared_stack))
		return 3;
	wait_on_shared(NULL);
	return 4;
}

static void lends_to_each_its_own(void **state)
{
	pid_t pid = start(wait_with_one_stack);
	struct ckpt_stop *stop = stopped(pid, 500, false);

	(void)state;
	go_on(stop);
	assert_int_equal(end_of(pid, 5000), 0);
	ckpt_stop_close(stop);
}

static int wait_and_close(void)
{
	char c;

	limit(SO_RCVTIMEO, 1000);
	if (recv(ends[0], &c, 1, 0) != -1 || errno != EAGAIN)
		return 1;
	close(ends[0]);
	pause();
	return 0;
}

static pid_t keeper_of_ours(void)
{
	char path[64], name[32];

	for (pid_t pid = getpid(); pid < 1 << 22; pid++) {
		cleanup_fclose FILE *f = NULL;
		int parent;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f = fopen(path, "re");
		if (f && fscanf(f, "%*d (%31[^)]) %*c %d", name, &parent) == 2 &&
		    parent == getpid() && !strcmp(name, "ckpt-keeper"))
			return pid;
	}
	fail_msg("no keeper");
	return 0;
}

/* Descriptors of a process that lead to something of such a name. */
static size_t count_of(pid_t pid, const char *kind)
{
	char path[64], to[64];
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		len = readlink(path, to, sizeof(to) - 1);
		to[len < 0 ? 0 : len] = 0;
		n += !strncmp(to, kind, strlen(kind));
	}
	return n;
}

/* When the tree goes on, the keeper has nothing of it any more, and watches nobody. */
static void keeps_no_socket(void **state)
{
	pid_t pid = start(wait_and_close), keeper;
	struct ckpt_stop *stop = stopped(pid, 500, false);
	struct pollfd p = { .fd = ends[1], .events = POLLIN };

	(void)state;
	close(ends[0]);
	keeper = keeper_of_ours();
	assert_true(count_of(keeper, "anon_inode:bpf") > 0);
	go_on(stop);
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_true(p.revents & POLLHUP);
	assert_int_equal(count_of(keeper, "anon_inode:bpf"), 0);
	ckpt_stop_close(stop);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int wait_twice(void)
{
	uint64_t began;
	char c;

	limit(SO_RCVTIMEO, 2000);
	if (recv(ends[0], &c, 1, 0) != 1)
		return 1;
	began = ckpt_now_ns();
	if (recv(ends[0], &c, 1, 0) != -1 || errno != EAGAIN)
		return 2;
	return about(since(began), 2000) ? 0 : 3;
}

/* What ends at once takes no limit: the next call is not to have it. */
static void leaves_the_limit_of_what_comes_after(void **state)
{
	pid_t pid = start(wait_twice);
	struct ckpt_stop *stop = stopped(pid, 1700, false);

	(void)state;
	assert_int_equal(send(ends[1], "", 1, 0), 1);
	go_on(stop);
	assert_int_equal(end_of(pid, 5000), 0);
	ckpt_stop_close(stop);
}

static int write_twice(void)
{
	uint64_t began;
	char c[512] = { 0 };

	limit(SO_SNDTIMEO, 2000);
	while (send(ends[0], c, sizeof(c), MSG_DONTWAIT) > 0)
		;
	if (send(ends[0], c, sizeof(c), 0) != sizeof(c))
		return 1;
	while (send(ends[0], c, sizeof(c), MSG_DONTWAIT) > 0)
		;
	began = ckpt_now_ns();
	if (send(ends[0], c, sizeof(c), 0) != -1 || errno != EAGAIN)
		return 2;
	return about(since(began), 2000) ? 0 : 3;
}

/* There is room for a little by then, of which poll does not say so. */
static void leaves_the_limit_of_what_is_written_after(void **state)
{
	pid_t pid = start(write_twice);
	struct ckpt_stop *stop = stopped(pid, 1700, false);
	struct pollfd p = { .fd = ends[0], .events = POLLOUT };
	char c[512];

	(void)state;
	assert_int_equal(recv(ends[1], c, sizeof(c), 0), sizeof(c));
	assert_int_equal(recv(ends[1], c, sizeof(c), 0), sizeof(c));
	assert_int_equal(poll(&p, 1, 0), 0);
	go_on(stop);
	assert_int_equal(end_of(pid, 5000), 0);
	ckpt_stop_close(stop);
}

static int wait_of(unsigned int late)
{
	const uint64_t began = ckpt_now_ns();
	unsigned int took;
	char c;

	if (recv(ends[0], &c, 1, 0) != -1 || errno != EAGAIN)
		return 1;
	took = since(began);
	return took + 2 < 2000 || took > 2000 + late + SLACK_MS ? 2 : 0;
}

/* Another process on the same socket, which has begun before. */
static int wait_both(void)
{
	int own, status;
	pid_t pid;

	limit(SO_RCVTIMEO, 2000);
	pid = fork();
	if (!pid)
		_exit(wait_of(500));
	usleep(500000);
	own = wait_of(0);
	return waitpid(pid, &status, 0) == pid ? own | status >> 8 : 4;
}

/* They have what is left of the longer one, and neither of them ends too early. */
static void several_on_a_socket(void **state)
{
	pid_t pid = start(wait_both);
	struct ckpt_stop *stop = stopped(pid, 1200, false);

	(void)state;
	go_on(stop);
	assert_int_equal(end_of(pid, 5000), 0);
	ckpt_stop_close(stop);
}

static int make_ends(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int close_ends(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

int main(void)
{
#define WITH_ENDS(test) cmocka_unit_test_setup_teardown(test, make_ends, close_ends)
	const struct CMUnitTest tests[] = {
		WITH_ENDS(goes_on_behind_a_handler),
		WITH_ENDS(leaves_a_time_alone),
		WITH_ENDS(lends_to_each_its_own),
		WITH_ENDS(keeps_no_socket),
		WITH_ENDS(leaves_the_limit_of_what_comes_after),
		WITH_ENDS(leaves_the_limit_of_what_is_written_after),
		WITH_ENDS(several_on_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
