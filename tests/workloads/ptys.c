// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with pseudo terminals in every state, and a session that is controlled by one
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#define _GNU_SOURCE
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

static const int on = 1, off;

static int number_of(int master)
{
	int n = -1;

	MUST(ioctl(master, TIOCGPTN, &n));
	return n;
}

static int make_master(int flags)
{
	int fd = MUST(open("/dev/ptmx", O_RDWR | O_NOCTTY | flags));

	MUST(ioctl(fd, TIOCSPTLCK, &off));
	return fd;
}

static int open_slave(int master, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/pts/%d", number_of(master));
	return MUST(open(path, O_NOCTTY | flags));
}

/* Does exactly this come out of @fd? */
static bool comes(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = strlen(text), n = 0;
	char got[256] = "";

	while (n < len && poll(&p, 1, 2000) == 1) {
		ssize_t part = read(fd, got + n, len - n);

		if (part <= 0)
			break;
		n += part;
	}
	if (n == len && !memcmp(got, text, len))
		return true;
	printf("'%s' instead of '%s'\n", got, text);
	return false;
}

static bool put(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* --- settings --- */

static int raw_master, raw_slave, raw_again, raw_number;
static struct termios2 raw_termios;
static const struct winsize raw_size = { 51, 133, 1024, 768 };

static void make_raw(void)
{
	raw_master = make_master(O_NONBLOCK);
	raw_number = number_of(raw_master);
	raw_slave = open_slave(raw_master, O_RDWR);
	raw_again = MUST(ioctl(raw_master, TIOCGPTPEER, O_WRONLY | O_NOCTTY | O_NONBLOCK));
	MUST(ioctl(raw_slave, TCGETS2, &raw_termios));
	raw_termios.c_iflag = IXON | IUTF8;
	raw_termios.c_oflag = 0;
	raw_termios.c_lflag = IEXTEN;
	raw_termios.c_cflag = (raw_termios.c_cflag & ~CBAUD) | BOTHER | HUPCL;
	raw_termios.c_ispeed = raw_termios.c_ospeed = 12345;
	raw_termios.c_cc[VMIN] = 3;
	raw_termios.c_cc[VTIME] = 0;
	raw_termios.c_cc[VSTART] = 'q';
	MUST(ioctl(raw_slave, TCSETS2, &raw_termios));
	MUST(ioctl(raw_slave, TCGETS2, &raw_termios));
	MUST(ioctl(raw_slave, TIOCSWINSZ, &raw_size));
	MUST(fchown(raw_slave, 12, 34));
	MUST(fchmod(raw_slave, 0642));
	MUST(ioctl(raw_master, TIOCPKT, &on));
}

static void check_raw(void)
{
	struct termios2 t;
	struct winsize size;
	struct stat st;
	int value = -1;
	char byte[9];

	OK(number_of(raw_master) == raw_number);
	OK(!ioctl(raw_slave, TCGETS2, &t) && !memcmp(&t, &raw_termios, sizeof(t)));
	OK(t.c_ospeed == 12345 && t.c_cc[VSTART] == 'q' && t.c_cflag & HUPCL);
	OK(!ioctl(raw_again, TIOCGWINSZ, &size) && !memcmp(&size, &raw_size, sizeof(size)));
	OK(!fstat(raw_slave, &st) && st.st_uid == 12 && st.st_gid == 34);
	OK((st.st_mode & 07777) == 0642 && (int)minor(st.st_rdev) == raw_number);
	OK(!ioctl(raw_master, TIOCGPKT, &value) && value == 1);
	OK(fcntl(raw_master, F_GETFL) & O_NONBLOCK && !(fcntl(raw_slave, F_GETFL) & O_NONBLOCK));
	OK((fcntl(raw_again, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_WRONLY | O_NONBLOCK));
	/* nothing is there to begin with */
	OK(read(raw_master, byte, sizeof(byte)) < 0 && errno == EAGAIN);
	OK(put(raw_again, "out\n"));
	OK(read(raw_master, byte, 5) == 5 && !memcmp(byte, "\0out\n", 5));
	OK(!ioctl(raw_slave, TCFLSH, TCIFLUSH));
	OK(read(raw_master, byte, 5) == 1 && byte[0] == TIOCPKT_FLUSHREAD);
	OK(put(raw_master, "abc") && comes(raw_slave, "abc"));
}

/* --- locked and exclusive --- */

static int lock_master, lock_slave;

static void make_locked(void)
{
	lock_master = make_master(O_CLOEXEC);
	lock_slave = open_slave(lock_master, O_RDWR);
	MUST(ioctl(lock_slave, TIOCEXCL));
	MUST(ioctl(lock_master, TIOCEXCL));
	MUST(ioctl(lock_master, TIOCSPTLCK, &on));
}

static void check_locked(void)
{
	int value = -1;

	OK(fcntl(lock_master, F_GETFD) == FD_CLOEXEC);
	OK(!ioctl(lock_master, TIOCGPTLCK, &value) && value == 1);
	OK(!ioctl(lock_slave, TIOCGEXCL, &value) && value);
	OK(!ioctl(lock_master, TIOCGEXCL, &value) && value);
	OK(!ioctl(raw_slave, TIOCGEXCL, &value) && !value);
	/* the settings of the beginning: echo, lines */
	OK(put(lock_master, "line\n") && comes(lock_master, "line\r\n"));
	OK(comes(lock_slave, "line\n"));
	OK(put(lock_slave, "answer\n") && comes(lock_master, "answer\r\n"));
	/* last, for it fails those that are open as well */
	OK(ioctl(lock_master, TIOCGPTPEER, O_RDWR | O_NOCTTY) < 0 && errno == EIO);
}

/* --- one side closed --- */

static int hung_slave, hung_again, left_master;

static void make_halves(void)
{
	int master = make_master(0);
	int slave;

	hung_slave = open_slave(master, O_RDWR);
	hung_again = MUST(ioctl(master, TIOCGPTPEER, O_RDONLY | O_NOCTTY));
	close(master);
	left_master = make_master(0);
	slave = open_slave(left_master, O_RDWR);
	close(slave);
}

static void check_halves(void)
{
	struct termios2 t;
	char byte;
	int slave;

	OK(read(hung_slave, &byte, 1) == 0 && write(hung_slave, "x", 1) < 0 && errno == EIO);
	OK(ioctl(hung_slave, TCGETS2, &t) < 0 && errno == EIO);
	OK(read(hung_again, &byte, 1) == 0);
	OK(read(left_master, &byte, 1) < 0 && errno == EIO);
	slave = open_slave(left_master, O_RDWR);
	OK(put(slave, "back\n") && comes(left_master, "back\r\n"));
	close(slave);
}

/* --- a session whose terminal is gone --- */

static int lost_order[2];

static void lose(int slave, int ready)
{
	char byte;
	int tty;

	signal(SIGHUP, SIG_IGN);
	MUST(setsid());
	MUST(ioctl(slave, TIOCSCTTY, 0));
	tty = MUST(open("/dev/tty", O_RDWR));
	close(slave);
	OK(write(ready, "x", 1) == 1 && read(lost_order[0], &byte, 1) == 1);
	OK(read(tty, &byte, 1) == 0 && write(tty, "x", 1) < 0 && errno == EIO);
	OK(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO);
	exit(wrong);
}

static pid_t make_lost(void)
{
	int master = make_master(0), slave = open_slave(master, O_RDWR), ready[2];
	char byte;
	pid_t pid;

	MUST(pipe(lost_order));
	MUST(pipe(ready));
	pid = MUST(fork());
	if (!pid) {
		close(master);
		lose(slave, ready[1]);
	}
	OK(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	close(slave);
	close(master);
	return pid;
}

static void check_lost(pid_t pid)
{
	int status = -1;

	OK(write(lost_order[1], "x", 1) == 1 && waitpid(pid, &status, 0) == pid && !status);
}

/* --- a session --- */

static int control_master, session_number;
static int order[2], answers[2];
static volatile sig_atomic_t interrupted, resized, stopped;

static void on_signal(int sig)
{
	if (sig == SIGINT)
		interrupted++;
	if (sig == SIGWINCH)
		resized++;
}

static void catch(int sig)
{
	const struct sigaction action = { .sa_handler = on_signal };

	MUST(sigaction(sig, &action, NULL));
}

static void say_done(void)
{
	exit(write(answers[1], wrong ? "n" : "y", 1) != 1);
}

/* Wait for a word of the parent; every child has a pipe of its own to be told by. */
static void wait_order(int fd)
{
	char byte;

	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
}

/* A group of its own, in the foreground. */
static void foreground(int go)
{
	pid_t group = -1;

	MUST(setpgid(0, 0));
	catch(SIGINT);
	catch(SIGWINCH);
	wait_order(go);
	OK(!interrupted && !resized);
	OK(!ioctl(STDIN_FILENO, TIOCGPGRP, &group) && group == getpid());
	/* the parent sends ^C, then a new size */
	OK(write(answers[1], "r", 1) == 1);
	for (int i = 0; i < 200 && !(interrupted && resized); i++)
		usleep(10000);
	OK(interrupted == 1 && resized == 1);
	OK(put(STDOUT_FILENO, "F"));
	say_done();
}

/* It has no terminal any more, like a daemon that stays in its session. */
static void without(int go)
{
	MUST(ioctl(STDIN_FILENO, TIOCNOTTY));
	wait_order(go);
	OK(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO);
	say_done();
}

/* In the background: reads and is stopped, and once more when it goes on. */
static void background(int go)
{
	char line[16] = "";

	(void)go;
	MUST(setpgid(0, 0));
	OK(read(STDIN_FILENO, line, sizeof(line)) == 5 && !strcmp(line, "mine\n"));
	say_done();
}

static int pipe_to[3];
static pid_t members[3];

static void member(int i, void (*body)(int))
{
	int ends[2];

	MUST(pipe(ends));
	members[i] = MUST(fork());
	if (!members[i])
		body(ends[0]);
	pipe_to[i] = ends[1];
}

static bool is_stopped(pid_t pid)
{
	int status;

	for (int i = 0; i < 200; i++) {
		if (waitpid(pid, &status, WUNTRACED | WNOHANG) == pid)
			return WIFSTOPPED(status);
		usleep(10000);
	}
	return false;
}

static void check_members(int tty)
{
	pid_t group = -1, session = -1;
	char line[16] = "";
	int status;

	OK(!ioctl(STDIN_FILENO, TIOCGPGRP, &group) && group == members[0]);
	OK(!ioctl(tty, TIOCGSID, &session) && session == getpid());
	OK(write(pipe_to[1], "x", 1) == 1 && waitpid(members[1], &status, 0) == members[1]);
	OK(!status);
	OK(write(pipe_to[0], "x", 1) == 1 && waitpid(members[0], &status, 0) == members[0]);
	OK(!status && !interrupted);
	/* as a shell does it: the terminal to the job, then the job goes on */
	OK(!kill(-members[2], SIGCONT) && is_stopped(members[2]));
	OK(!ioctl(tty, TIOCSPGRP, &members[2]) && !kill(-members[2], SIGCONT));
	OK(write(answers[1], "l", 1) == 1);
	OK(waitpid(members[2], &status, 0) == members[2] && !status);
	OK(!ioctl(tty, TIOCSPGRP, &(pid_t){ getpid() }));
	(void)line;
}

static void lead(void)
{
	int slave = open_slave(control_master, O_RDWR);
	char path[32];
	int tty;

	close(control_master);
	MUST(setsid());
	MUST(ioctl(slave, TIOCSCTTY, 0));
	dup2(slave, STDIN_FILENO);
	dup2(slave, STDOUT_FILENO);
	signal(SIGTTOU, SIG_IGN);
	catch(SIGINT);
	tty = MUST(open("/dev/tty", O_RDWR | O_CLOEXEC));
	member(0, foreground);
	member(1, without);
	member(2, background);
	usleep(100000);
	MUST(ioctl(tty, TIOCSPGRP, &members[0]));
	OK(is_stopped(members[2]));
	OK(write(answers[1], wrong ? "n" : "s", 1) == 1);
	wait_order(order[0]);
	snprintf(path, sizeof(path), "/dev/pts/%d", session_number);
	OK(ttyname(STDIN_FILENO) && !strcmp(ttyname(STDIN_FILENO), path));
	OK(ttyname(tty) && !strcmp(ttyname(tty), "/dev/tty"));
	check_members(tty);
	OK(put(tty, "L"));
	say_done();
}

static char answer(void)
{
	char byte = 0;

	while (read(answers[0], &byte, 1) < 0 && errno == EINTR)
		;
	return byte;
}

static pid_t make_session(void)
{
	pid_t pid;

	control_master = make_master(0);
	session_number = number_of(control_master);
	MUST(pipe(order));
	MUST(pipe(answers));
	pid = MUST(fork());
	if (!pid) {
		/* what is said about it goes where it does not disturb */
		dup2(STDOUT_FILENO, STDERR_FILENO);
		lead();
	}
	if (answer() != 's')
		exit(1);
	return pid;
}

static void check_session(pid_t pid)
{
	struct winsize size = { .ws_row = 7 };
	pid_t group = -1, session = -1;
	int status = -1;

	OK(number_of(control_master) == session_number);
	OK(!ioctl(control_master, TIOCGSID, &session) && session == pid);
	OK(!ioctl(control_master, TIOCGPGRP, &group) && group > 0 && group != pid);
	OK(write(order[1], "x", 1) == 1);
	OK(answer() == 'y');	/* who gave it up */
	OK(answer() == 'r' && put(control_master, "\003"));
	OK(!ioctl(control_master, TIOCSWINSZ, &size) && comes(control_master, "^CF"));
	OK(answer() == 'y');
	OK(answer() == 'l' && put(control_master, "mine\n") && comes(control_master, "mine\r\n"));
	OK(answer() == 'y' && comes(control_master, "L"));
	OK(answer() == 'y');
	OK(waitpid(pid, &status, 0) == pid && !status);
}

int main(void)
{
	pid_t leader, lost;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTTOU, SIG_DFL);
	leader = make_session();
	make_raw();
	make_locked();
	make_halves();
	lost = make_lost();
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_raw();
	check_locked();
	check_halves();
	check_lost(lost);
	check_session(leader);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
