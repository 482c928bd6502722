// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that locks files: of a description, of a process, has leases, and waits for locks
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
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

static int file(const char *name)
{
	return MUST(open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static int range(int fd, int op, short type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_start = start, .l_len = len };

	return fcntl(fd, op, &l);
}

/* What is in the way of a lock of all that we want; F_UNLCK: nothing. */
static struct flock in_the_way(int fd, int op, short type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_start = start, .l_len = len };

	MUST(fcntl(fd, op, &l));
	return l;
}

static bool is(struct flock l, short type, off_t start, off_t len, pid_t pid)
{
	if (l.l_type == type && l.l_start == start && l.l_len == len && l.l_pid == pid)
		return true;
	printf("lock %d %ld %ld of %d\n", l.l_type, (long)l.l_start, (long)l.l_len, l.l_pid);
	return false;
}

/* --- of descriptions, all of a file --- */

static int exclusive, shared, lent, directory, gone, given;

static void make_flocks(void)
{
	int status;
	pid_t pid;

	exclusive = file("exclusive");
	MUST(flock(exclusive, LOCK_EX));
	shared = MUST(open("shared", O_RDONLY | O_CREAT, 0600));
	MUST(flock(shared, LOCK_SH));
	lent = MUST(dup(exclusive));
	directory = MUST(open(".", O_RDONLY | O_DIRECTORY));
	MUST(flock(directory, LOCK_EX));
	gone = file("gone");
	MUST(flock(gone, LOCK_EX));
	MUST(unlink("gone"));
	/* made by a process that has ended, as flock(1) does */
	given = file("given");
	pid = MUST(fork());
	if (!pid)
		_exit(flock(given, LOCK_EX) != 0);
	MUST(waitpid(pid, &status, 0) == pid && !status ? 0 : -1);
}

static bool is_locked(const char *name, int how)
{
	int fd = MUST(open(name, O_RDONLY));
	bool locked = flock(fd, how | LOCK_NB) && errno == EWOULDBLOCK;

	close(fd);
	return locked;
}

static bool is_locked_by(int own, int how)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
	return is_locked(path, how);
}

static void check_flocks(void)
{
	OK(is_locked("exclusive", LOCK_SH));
	OK(is_locked("shared", LOCK_EX) && !is_locked("shared", LOCK_SH));
	OK(is_locked(".", LOCK_SH));
	OK(is_locked("given", LOCK_SH));
	OK(is_locked_by(gone, LOCK_SH));
	close(exclusive);
	OK(is_locked("exclusive", LOCK_SH));
	OK(!flock(lent, LOCK_UN) && !is_locked("exclusive", LOCK_EX));
	OK(!flock(given, LOCK_UN) && !is_locked("given", LOCK_EX));
	OK(!flock(gone, LOCK_UN) && !is_locked_by(gone, LOCK_EX));
}

/* --- of bytes: of this process, of a description --- */

static int database, other, ofd, ofd_other;

static void make_ranges(void)
{
	database = file("database");
	other = file("database");
	MUST(range(database, F_SETLK, F_RDLCK, 1 << 30, 510));
	MUST(range(database, F_SETLK, F_WRLCK, 100, 1));
	MUST(range(database, F_SETLK, F_RDLCK, 101, 9));
	MUST(range(other, F_SETLK, F_WRLCK, 200, 100));
	MUST(range(other, F_SETLK, F_RDLCK, (off_t)1 << 40, 0));
	/* in two parts by now */
	MUST(range(database, F_SETLK, F_UNLCK, 250, 1));
	ofd = file("ofd");
	ofd_other = file("ofd");
	MUST(range(ofd, F_OFD_SETLK, F_WRLCK, 5, 5));
	MUST(range(ofd_other, F_OFD_SETLK, F_RDLCK, 20, 0));
}

static void child_looks(int fd, pid_t owner)
{
	OK(is(in_the_way(fd, F_GETLK, F_WRLCK, 1 << 30, 1), F_RDLCK, 1 << 30, 510, owner));
	OK(in_the_way(fd, F_GETLK, F_RDLCK, 1 << 30, 1).l_type == F_UNLCK);
	OK(is(in_the_way(fd, F_GETLK, F_RDLCK, 0, 200), F_WRLCK, 100, 1, owner));
	OK(is(in_the_way(fd, F_GETLK, F_WRLCK, 101, 10), F_RDLCK, 101, 9, owner));
	OK(is(in_the_way(fd, F_GETLK, F_WRLCK, 200, 1), F_WRLCK, 200, 50, owner));
	OK(in_the_way(fd, F_GETLK, F_WRLCK, 250, 1).l_type == F_UNLCK);
	OK(is(in_the_way(fd, F_GETLK, F_WRLCK, 251, 1), F_WRLCK, 251, 49, owner));
	OK(is(in_the_way(fd, F_GETLK, F_WRLCK, (off_t)1 << 41, 1), F_RDLCK, (off_t)1 << 40, 0,
	      owner));
	OK(in_the_way(fd, F_GETLK, F_WRLCK, 400, 100).l_type == F_UNLCK);
}

static void check_ranges(void)
{
	pid_t owner = getpid();
	int status = -1;
	pid_t pid = MUST(fork());

	if (!pid) {
		wrong = 0;
		child_looks(database, owner);
		_exit(wrong != 0);
	}
	OK(waitpid(pid, &status, 0) == pid && !status);
	OK(is(in_the_way(ofd_other, F_OFD_GETLK, F_RDLCK, 0, 0), F_WRLCK, 5, 5, -1));
	OK(is(in_the_way(ofd, F_OFD_GETLK, F_WRLCK, 0, 0), F_RDLCK, 20, 0, -1));
	/* a close of any descriptor takes them all */
	close(other);
	pid = MUST(fork());
	if (!pid)
		_exit(in_the_way(database, F_GETLK, F_WRLCK, 0, 0).l_type != F_UNLCK);
	OK(waitpid(pid, &status, 0) == pid && !status);
}

/* --- leases: one to be told when somebody wants to write, one for any open --- */

static int lease_read, lease_write, lease_owned;
static volatile sig_atomic_t told_fd = -1;

static void be_told(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	told_fd = info->si_fd;
}

static void make_leases(void)
{
	const struct sigaction told = { .sa_sigaction = be_told, .sa_flags = SA_SIGINFO };
	pid_t nobody = MUST(fork());

	if (!nobody)
		_exit(0);
	MUST(sigaction(SIGUSR2, &told, NULL));
	lease_read = MUST(open("lease_read", O_RDONLY | O_CREAT, 0600));
	MUST(fcntl(lease_read, F_SETLEASE, F_RDLCK));
	MUST(fcntl(lease_read, F_SETSIG, SIGUSR2));
	lease_write = file("lease_write");
	MUST(write(lease_write, "text", 4));
	MUST(fcntl(lease_write, F_SETSIG, SIGUSR2));
	MUST(fcntl(lease_write, F_SETLEASE, F_WRLCK));
	/* its signals go to nobody */
	lease_owned = file("lease_owned");
	MUST(fcntl(lease_owned, F_SETLEASE, F_WRLCK));
	MUST(fcntl(lease_owned, F_SETOWN, nobody));
	MUST(waitpid(nobody, NULL, 0));
}

static bool is_told(int own, const char *name, int flags, int left)
{
	told_fd = -1;
	return open(name, flags | O_NONBLOCK) < 0 && errno == EWOULDBLOCK && told_fd == own &&
	       fcntl(own, F_GETLEASE) == left && !fcntl(own, F_SETLEASE, left);
}

static void check_leases(void)
{
	OK(fcntl(lease_read, F_GETLEASE) == F_RDLCK && fcntl(lease_read, F_GETSIG) == SIGUSR2);
	OK(fcntl(lease_read, F_GETFL) & O_ASYNC);
	OK(fcntl(lease_write, F_GETLEASE) == F_WRLCK);
	OK(lseek(lease_write, 0, SEEK_CUR) == 4);
	OK(fcntl(lease_owned, F_GETLEASE) == F_WRLCK && !fcntl(lease_owned, F_GETOWN));
	OK(is_told(lease_read, "lease_read", O_WRONLY, F_UNLCK));
	OK(!(fcntl(lease_read, F_GETFL) & O_ASYNC));
	OK(is_told(lease_write, "lease_write", O_WRONLY, F_UNLCK));
	OK(open("lease_owned", O_RDONLY | O_NONBLOCK) < 0 && told_fd == lease_write);
}

/* --- who waits --- */

static int busy, busy_again, turn;
static volatile int flock_came, flock_value;

static void *wait_for_flock(void *arg)
{
	flock_value = flock(busy_again, LOCK_EX);
	flock_came = 1;
	return arg;
}

/* Holds bytes of its own, waits for others, and says when it got them. */
static void child(int say)
{
	int fd = file("turn");

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (range(fd, F_SETLK, F_WRLCK, 10, 10) || write(say, "1", 1) != 1)
		_exit(1);
	if (range(fd, F_SETLKW, F_WRLCK, 0, 5) || write(say, "2", 1) != 1)
		_exit(2);
	pause();
}

static char next_word(int fd)
{
	char c = 0;

	return read(fd, &c, 1) == 1 ? c : 0;
}

int main(void)
{
	pthread_t thread;
	int say[2];
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	make_flocks();
	make_ranges();
	make_leases();
	turn = file("turn");
	MUST(range(turn, F_SETLK, F_WRLCK, 0, 5));
	MUST(pipe(say));
	pid = MUST(fork());
	if (!pid)
		child(say[1]);
	MUST(next_word(say[0]) == '1' ? 0 : -1);
	busy = file("busy");
	busy_again = file("busy");
	MUST(flock(busy, LOCK_EX));
	pthread_create(&thread, NULL, wait_for_flock, NULL);
	usleep(50000);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_flocks();
	check_ranges();
	check_leases();
	OK(!flock_came);
	OK(!flock(busy, LOCK_UN));
	pthread_join(thread, NULL);
	OK(flock_came && !flock_value && is_locked_by(busy, LOCK_SH));
	MUST(fcntl(say[0], F_SETFL, O_NONBLOCK));
	OK(!next_word(say[0]) && errno == EAGAIN);
	MUST(fcntl(say[0], F_SETFL, 0));
	OK(is(in_the_way(turn, F_GETLK, F_WRLCK, 10, 5), F_WRLCK, 10, 10, pid));
	OK(!range(turn, F_SETLK, F_UNLCK, 0, 5));
	OK(next_word(say[0]) == '2');
	OK(is(in_the_way(turn, F_GETLK, F_WRLCK, 0, 1), F_WRLCK, 0, 5, pid));
	kill(pid, SIGKILL);
	OK(waitpid(pid, NULL, 0) == pid);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
