// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that watches processes by pidfds
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ok.h"

#define MUST(call) ({ \
	int must_ = (call); \
	if (must_ < 0) { \
		printf("line %d: %s (errno %d)\n", __LINE__, #call, errno); \
		exit(1); \
	} \
	must_; \
})

/* --- processes --- */

#define OF_THREAD O_EXCL	/* PIDFD_THREAD */

static pid_t live, watched, zombie, gone, killed;
static int self, of_live, again, of_watched, of_zombie, of_gone, gone_again, of_killed;
static int of_leader = -1, of_thread = -1, tell[2];
static int sees, seen_once;
static pthread_t waiter, mortal;
static volatile pid_t mortal_tid;
static volatile int die;
static volatile short woken;

static int open_pid(pid_t pid, unsigned int flags)
{
	return MUST(syscall(SYS_pidfd_open, pid, flags));
}

static int send(int fd, int sig)
{
	return syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
}

static short polled(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) < 0 ? -1 : p.revents;
}

static pid_t child(int code)
{
	pid_t pid = MUST(fork());

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (code >= 0)
		_exit(code);
	for (;;)
		pause();
}

/* Its sibling by a descriptor that it has inherited, and has moved. */
static pid_t child_that_tells(void)
{
	pid_t pid = MUST(fork());
	char byte = 'n';

	if (pid)
		return pid;
	if (dup2(of_live, 200) != 200 || close(of_live) || polled(200, 0))
		_exit(2);
	if (polled(200, -1) & POLLIN)
		byte = 'y';
	_exit(write(tell[1], &byte, 1) != 1);
}

static void *wait_for_watched(void *arg)
{
	woken = polled(of_watched, -1);
	return arg;
}

static void *wait_to_die(void *arg)
{
	mortal_tid = syscall(SYS_gettid);
	while (!die)
		usleep(1000);
	return arg;
}

/* Exit code of a process that has been waited for, -1: this kernel does not tell. */
static int told_code(int fd)
{
	struct {
		uint64_t mask, cgroup;
		uint32_t ids[11];
		int32_t code;
	} info = { .mask = 1 << 3 };

	return ioctl(fd, _IOWR(0xff, 11, info), &info) || !(info.mask & 1 << 3) ? -1 : info.code;
}

static ino_t inode(int fd)
{
	struct stat st;

	MUST(fstat(fd, &st));
	return st.st_ino;
}

static void watch(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = { .events = events, .data.u64 = data };

	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
}

static int code_was;

static void make_processes(void)
{
	struct epoll_event e;

	self = MUST(syscall(SYS_pidfd_open, getpid(), 0));
	live = child(-1);
	of_live = open_pid(live, 0);
	again = open_pid(live, O_NONBLOCK);
	MUST(fcntl(again, F_SETFD, 0));
	MUST(pipe(tell));
	child_that_tells();
	watched = child(-1);
	of_watched = open_pid(watched, 0);
	zombie = child(5);
	of_zombie = open_pid(zombie, 0);
	gone = child(7);
	of_gone = open_pid(gone, 0);
	gone_again = open_pid(gone, O_NONBLOCK);
	MUST(waitpid(gone, NULL, 0));
	killed = child(-1);
	of_killed = open_pid(killed, 0);
	MUST(send(of_killed, SIGTERM));
	MUST(waitpid(killed, NULL, 0));
	code_was = told_code(of_gone);
	MUST(polled(of_zombie, -1) & POLLIN ? 0 : -1);
	pthread_create(&waiter, NULL, wait_for_watched, NULL);
	pthread_create(&mortal, NULL, wait_to_die, NULL);
	while (!mortal_tid)
		usleep(1000);
	of_thread = syscall(SYS_pidfd_open, mortal_tid, OF_THREAD);
	if (of_thread >= 0)
		of_leader = open_pid(getpid(), OF_THREAD);
	sees = MUST(epoll_create1(0));
	seen_once = MUST(epoll_create1(EPOLL_CLOEXEC));
	watch(sees, of_live, EPOLLIN, 1);
	watch(sees, of_zombie, EPOLLIN | EPOLLET, 2);
	MUST(epoll_wait(sees, &e, 1, 0) == 1 && e.data.u64 == 2 ? 0 : -1);
	watch(seen_once, of_gone, EPOLLIN | EPOLLONESHOT, 3);
	MUST(epoll_wait(seen_once, &e, 1, 0) == 1 ? 0 : -1);
}

static void check_gone(int fd, int code)
{
	siginfo_t info;

	OK(send(fd, 0) < 0 && errno == ESRCH);
	OK(polled(fd, 0) & POLLIN);
	OK(waitid(P_PIDFD, fd, &info, WEXITED) < 0 && errno == ECHILD);
	OK(told_code(fd) == (code_was < 0 ? -1 : code));
}

static void check_threads(void)
{
	if (of_thread < 0)
		return;
	OK(fcntl(of_thread, F_GETFL) == (O_RDWR | OF_THREAD));
	OK(fcntl(of_leader, F_GETFL) == (O_RDWR | OF_THREAD));
	OK(!polled(of_leader, 0) && !polled(of_thread, 0));
	OK(!send(of_thread, 0));
	die = 1;
	OK(polled(of_thread, 10000) & POLLIN);
}

static void check_zombie(void)
{
	siginfo_t info = { 0 };

	OK(polled(of_zombie, 0) & POLLIN);
	OK(!waitid(P_PIDFD, of_zombie, &info, WEXITED));
	OK(info.si_pid == zombie && info.si_code == CLD_EXITED && info.si_status == 5);
	check_gone(of_zombie, 5 << 8);
}

static void check_live(void)
{
	struct epoll_event e[4];
	char byte = 0;
	int n;

	OK(!send(self, 0) && !send(of_live, 0) && !polled(of_live, 0));
	OK(fcntl(self, F_GETFD) == FD_CLOEXEC && !fcntl(again, F_GETFD));
	OK(fcntl(of_live, F_GETFL) == O_RDWR && fcntl(again, F_GETFL) == (O_RDWR | O_NONBLOCK));
	OK(waitid(P_PIDFD, again, NULL, WEXITED) < 0 && errno == EAGAIN);
	OK(inode(of_live) == inode(again));
	/* an edge may be told again */
	n = epoll_wait(sees, e, 4, 0);
	OK(!n || (n == 1 && e[0].data.u64 == 2));
	OK(!epoll_wait(seen_once, e, 4, 0));
	OK(!woken && !send(of_watched, SIGTERM));
	pthread_join(waiter, NULL);
	OK(woken & POLLIN);
	OK(!send(again, SIGKILL));
	OK(epoll_wait(sees, e, 4, 10000) == 1 && e[0].data.u64 == 1);
	OK(read(tell[0], &byte, 1) == 1 && byte == 'y');
}

static void check_processes(void)
{
	OK(inode(of_gone) == inode(gone_again));
	check_gone(of_gone, 7 << 8);
	check_gone(gone_again, 7 << 8);
	check_gone(of_killed, SIGTERM);
	OK(fcntl(gone_again, F_GETFL) == (O_RDWR | O_NONBLOCK));
	check_zombie();
	check_live();
	check_threads();
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	make_processes();
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);
	check_processes();
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
