// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that watches processes by pidfds, and files and directories by inotifies
 *
 * Usage: watchers [DIRECTORY]; that one is watched for all that happens to it, and nobody else
 * may look at it meanwhile.
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
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

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

/* Before Linux 6.9 there are no pidfds of threads; from there on a kernel has them. */
static bool lacks_threads(void)
{
	struct utsname u;
	unsigned int major, minor;

	return !uname(&u) && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 6 || (major == 6 && minor < 9));
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
	else if (lacks_threads())
		puts("pidfds of threads are left out: this kernel has none");
	else
		OK(of_thread >= 0);
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

/* --- files --- */

#define ALL (IN_ALL_EVENTS | IN_EXCL_UNLINK)

static const char *quiet;
static int some, many, none, everything, waited_for, seen_by, busy;
static int wd_dir, wd_file, wd_link, wd_once, wd_moved, wd_twice, wd_all, wd_last;
static int shared_wd, asks[2], answers[2];
static pid_t files_child;
static pthread_t watcher, counter;
static volatile int made, lost;
static volatile uint32_t told_mask;
static char told_name[32];

/* The next event of an inotify that does not block: its mask, 0 when there is none. */
static uint32_t next(int fd, int *ret_wd, char name[32])
{
	static struct {
		char data[4096] __attribute__((aligned(8)));
		ssize_t len, at;
	} got[64];
	struct inotify_event *e;

	if (got[fd].at == got[fd].len) {
		got[fd].at = 0;
		got[fd].len = read(fd, got[fd].data, sizeof(got[fd].data));
		if (got[fd].len <= 0) {
			got[fd].len = 0;
			return 0;
		}
	}
	e = (struct inotify_event *)&got[fd].data[got[fd].at];
	got[fd].at += sizeof(*e) + e->len;
	if (ret_wd)
		*ret_wd = e->wd;
	if (name)
		snprintf(name, 32, "%.31s", e->len ? e->name : "");
	return e->mask;
}

static bool is_next(int fd, int wd, uint32_t mask, const char *name)
{
	char got[32];
	int got_wd;
	uint32_t got_mask = next(fd, &got_wd, got);

	return got_mask == mask && got_wd == wd && !strcmp(got, name);
}

static void make_file(const char *path)
{
	close(MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
}

static void write_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	OK(fd >= 0 && write(fd, "x", 1) == 1 && !close(fd));
}

static void *wait_for_files(void *arg)
{
	char data[256] __attribute__((aligned(8)));
	struct inotify_event *e = (struct inotify_event *)data;

	if (read(waited_for, data, sizeof(data)) > 0) {
		snprintf(told_name, sizeof(told_name), "%.31s", e->name);
		told_mask = e->mask;
	}
	return arg;
}

/* Reads all that it is told at once, of who looks at the directory as well. */
static void *count_files(void *arg)
{
	char data[4096] __attribute__((aligned(8)));
	ssize_t len, at;

	while ((len = read(busy, data, sizeof(data))) > 0) {
		for (at = 0; at < len;) {
			struct inotify_event *e = (struct inotify_event *)(data + at);

			made += (e->mask & IN_CREATE) != 0;
			lost += (e->mask & (IN_IGNORED | IN_Q_OVERFLOW | IN_DELETE)) != 0;
			at += sizeof(*e) + e->len;
		}
	}
	return arg;
}

/* Reads, when it is asked, what its parent watches as well. */
static pid_t child_that_reads(void)
{
	pid_t pid = MUST(fork());
	char byte;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(asks[0], &byte, 1) != 1 || !(next(many, NULL, NULL) & IN_ATTRIB))
		byte = 'n';
	_exit(write(answers[1], &byte, 1) != 1);
}

static void make_watches(void)
{
	struct epoll_event e;
	char path[32];
	int i, old;

	OK(!system("rm -rf dir many busy file link moved 'a name with space'"));
	MUST(mkdir("dir", 0755));
	MUST(mkdir("many", 0755));
	MUST(mkdir("a name with space", 0755));
	make_file("file");
	make_file("dir/before");
	MUST(symlink("file", "link"));
	some = MUST(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	old = MUST(inotify_add_watch(some, "many", IN_CREATE));
	wd_dir = MUST(inotify_add_watch(some, "dir", IN_CREATE | IN_DELETE | IN_MOVE));
	MUST(inotify_rm_watch(some, old));
	wd_file = MUST(inotify_add_watch(some, "file", IN_MODIFY | IN_EXCL_UNLINK));
	wd_link = MUST(inotify_add_watch(some, "link", IN_DONT_FOLLOW | IN_ATTRIB));
	wd_once = MUST(inotify_add_watch(some, "a name with space", IN_CREATE | IN_ONESHOT));
	make_file("moves");
	wd_moved = MUST(inotify_add_watch(some, "moves", IN_MODIFY));
	MUST(rename("moves", "moved"));
	while (next(some, NULL, NULL))
		;
	wd_last = wd_moved;
	none = MUST(inotify_init1(0));
	MUST(fcntl(none, F_SETOWN, getpid()));
	MUST(fcntl(none, F_SETSIG, SIGUSR2));
	everything = MUST(inotify_init1(IN_NONBLOCK));
	if (mkdir(quiet, 0755) && errno != EEXIST)
		MUST(-1);
	wd_all = MUST(inotify_add_watch(everything, quiet, ALL));
	wd_twice = MUST(inotify_add_watch(everything, "file", IN_CLOSE_WRITE));
	many = MUST(inotify_init1(IN_NONBLOCK));
	for (i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "many/%d", i);
		make_file(path);
		shared_wd = MUST(inotify_add_watch(many, path, IN_ATTRIB));
	}
	MUST(mkdir("busy", 0755));
	busy = MUST(inotify_init1(0));
	MUST(inotify_add_watch(busy, "busy", IN_ALL_EVENTS));
	waited_for = MUST(inotify_init1(0));
	MUST(inotify_add_watch(waited_for, "dir", IN_CREATE));
	seen_by = MUST(epoll_create1(0));
	watch(seen_by, some, EPOLLIN, 5);
	MUST(epoll_wait(seen_by, &e, 1, 0));
	MUST(pipe(asks));
	MUST(pipe(answers));
	files_child = child_that_reads();
	pthread_create(&watcher, NULL, wait_for_files, NULL);
	pthread_create(&counter, NULL, count_files, NULL);
}

static void check_some(void)
{
	struct epoll_event e;

	OK(!next(some, NULL, NULL) && errno == EAGAIN);
	OK(!epoll_wait(seen_by, &e, 1, 0));
	make_file("dir/new");
	OK(epoll_wait(seen_by, &e, 1, 0) == 1 && e.data.u64 == 5);
	OK(is_next(some, wd_dir, IN_CREATE, "new"));
	write_file("dir/new");
	OK(!rename("dir/new", "dir/newer") && !unlink("dir/before"));
	OK(is_next(some, wd_dir, IN_MOVED_FROM, "new"));
	OK(is_next(some, wd_dir, IN_MOVED_TO, "newer"));
	OK(is_next(some, wd_dir, IN_DELETE, "before"));
	write_file("file");
	OK(is_next(some, wd_file, IN_MODIFY, ""));
	OK(!lchown("link", getuid(), -1));
	OK(is_next(some, wd_link, IN_ATTRIB, ""));
	write_file("moved");
	OK(is_next(some, wd_moved, IN_MODIFY, ""));
	make_file("a name with space/1");
	make_file("a name with space/2");
	OK(is_next(some, wd_once, IN_CREATE, "1"));
	OK(is_next(some, wd_once, IN_IGNORED, ""));
	OK(!inotify_rm_watch(some, wd_file));
	OK(is_next(some, wd_file, IN_IGNORED, ""));
	OK(inotify_add_watch(some, "file", IN_MODIFY) == wd_last + 1);
	OK(!next(some, NULL, NULL));
}

static void check_everything(void)
{
	OK(is_next(everything, wd_twice, IN_CLOSE_WRITE, ""));
	OK(!next(everything, NULL, NULL));
	OK(inotify_add_watch(everything, quiet, IN_OPEN | IN_MASK_ADD) == wd_all);
	close(open(quiet, O_RDONLY));
	OK(is_next(everything, wd_all, IN_OPEN | IN_ISDIR, ""));
	OK(is_next(everything, wd_all, IN_CLOSE_NOWRITE | IN_ISDIR, ""));
	OK(!next(everything, NULL, NULL));
}

static void check_busy(void)
{
	OK(!made && !lost);
	make_file("busy/1");
	make_file("busy/2");
	for (int i = 0; i < 100 && made < 2; i++)
		usleep(10000);
	OK(made == 2 && !lost);
}

static void check_watches(void)
{
	int status = -1;
	char byte = 'y';

	OK(fcntl(some, F_GETFD) == FD_CLOEXEC && fcntl(some, F_GETFL) & O_NONBLOCK);
	OK(!fcntl(none, F_GETFD) && !(fcntl(none, F_GETFL) & O_NONBLOCK));
	OK(fcntl(none, F_GETOWN) == getpid() && fcntl(none, F_GETSIG) == SIGUSR2);
	OK(!told_mask);
	check_some();
	check_everything();
	check_busy();
	OK(inotify_add_watch(none, "dir", IN_CREATE) == 1);
	pthread_join(watcher, NULL);
	OK(told_mask == IN_CREATE && !strcmp(told_name, "new"));
	OK(!next(many, NULL, NULL));
	OK(!chmod("many/99", 0600) && !chmod("many/7", 0600));
	OK(is_next(many, shared_wd, IN_ATTRIB, ""));
	/* two events at once: the second was read here as well */
	OK(is_next(many, 8, IN_ATTRIB, ""));
	OK(!chmod("many/50", 0600));
	OK(write(asks[1], "y", 1) == 1 && read(answers[0], &byte, 1) == 1 && byte == 'y');
	OK(waitpid(files_child, &status, 0) == files_child && !status);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	quiet = argc > 1 ? argv[1] : "quiet";
	make_processes();
	make_watches();
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);
	check_watches();
	check_processes();
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
