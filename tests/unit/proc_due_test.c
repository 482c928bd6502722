// SPDX-License-Identifier: GPL-2.0-or-later
/* Due times: whose timers are noted, under which numbers. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc/due.h"
#include "proc/procfs.h"

#define S 1000000000ull

/* What a process of a test exits with. */
enum { WELL, LACKING, WRONG };

static void need(bool is, int line, const char *what)
{
	if (is)
		return;
	fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, line, what);
	_exit(WRONG);
}

#define NEED(cond) need(cond, __LINE__, #cond)

/* @deep: it is in a new pid namespace, below ours. */
static pid_t sleeper(bool deep, unsigned int seconds)
{
	const struct timespec t = { seconds, 0 };
	pid_t pid;

	NEED(!deep || !unshare(CLONE_NEWPID));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
		_exit(0);
	}
	NEED(pid > 0);
	usleep(100000);
	return pid;
}

/* As a stop does. */
static void stop(pid_t pid)
{
	int status;

	NEED(!ptrace(PTRACE_SEIZE, pid, 0, 0) && !ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	NEED(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status));
}

/* How many seconds, of about so many, are noted of a thread. */
static bool is_left(const struct ckpt_due *due, pid_t pid, uint64_t since, uint64_t seconds)
{
	struct ckpt_due_time t;
	int64_t left;

	if (!ckpt_due_of(due, pid, since, &t))
		return false;
	left = t.at_ns - ckpt_now_ns();
	return left > (int64_t)((seconds - 20) * S) && left <= (int64_t)(seconds * S);
}

static void hear(int sock)
{
	char c;

	NEED(recv(sock, &c, 1, 0) == 1);
}

static void say(int sock)
{
	NEED(send(sock, "", 1, MSG_NOSIGNAL) == 1);
}

/* Init of a namespace that is watched: the other one stops its process 2 meanwhile. */
static void watched(int sock)
{
	uint64_t since = ckpt_now_ns();
	struct ckpt_due due, none;
	struct ckpt_due_time t;
	pid_t two, three;

	if (ckpt_due_open(&due))
		_exit(LACKING);
	two = sleeper(false, 100);
	NEED(two == 2);
	NEED(!ckpt_due_of(&due, two, since, &t));
	stop(two);
	NEED(is_left(&due, two, since, 100));
	say(sock);
	hear(sock);
	NEED(is_left(&due, two, since, 100));
	NEED(!ckpt_due_of(&due, two, ckpt_now_ns(), &t));
	/* one of a namespace below ours has a number here as well */
	three = sleeper(true, 200);
	NEED(three == 3);
	stop(three);
	NEED(is_left(&due, three, since, 200));
	none = due;
	none.map = -1;
	NEED(!ckpt_due_of(&none, two, since, &t));
	ckpt_due_close(&due);
	_exit(WELL);
}

static void other(int sock)
{
	pid_t two = sleeper(false, 300);

	NEED(two == 2);
	hear(sock);
	stop(two);
	say(sock);
	_exit(WELL);
}

static pid_t init_of_new(void (*body)(int sock), int sock)
{
	pid_t maker = fork(), pid;
	int status;

	/* whoever unshares it has its later children there, so it is a process of its own */
	if (!maker) {
		NEED(!unshare(CLONE_NEWPID));
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			body(sock);
		}
		NEED(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		_exit(WEXITSTATUS(status));
	}
	return maker;
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void notes_those_of_our_namespace_alone(void **state)
{
	int ends[2], status;
	pid_t one, two;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	one = init_of_new(watched, ends[0]);
	two = init_of_new(other, ends[1]);
	close(ends[0]);
	close(ends[1]);
	status = end_of(one);
	if (status == LACKING) {
		end_of(two);
		skip();
	}
	assert_int_equal(end_of(two), WELL);
	assert_int_equal(status, WELL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_those_of_our_namespace_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
