// SPDX-License-Identifier: GPL-2.0-or-later
/* Pseudo terminals that cannot be restored: each is refused by name, and its holder runs on. */
#include <errno.h>
#include <asm/termbits.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/proc_group.h"
#include "lib/pty_ends.h"
#include "proc/restore.h"

static const int on = 1, off;
static int outer_master = -1, outer_number;
static char other_devpts[64];

/* A child that ends with its parent and does not keep the test waiting. */
static bool in_child(void)
{
	if (must(fork()))
		return false;
	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
	close(3);
	return true;
}

static void let_event_wait(void)
{
	int master = make_master(), slave = open_slave(master);

	must(ioctl(master, TIOCPKT, &on));
	must(ioctl(slave, TCFLSH, TCIFLUSH));
}

static void hold_master(void)
{
	int master = make_master();

	open_slave(master);
	must(ioctl(master, TCXONC, TCOOFF));
}

/* Until there is no room. */
static void fill(int fd)
{
	char bytes[512] = "";

	must(fcntl(fd, F_SETFL, O_NONBLOCK));
	for (int tries = 0; tries < 5; tries++) {
		while (write(fd, bytes, sizeof(bytes)) > 0)
			tries = 0;
		usleep(10000);
	}
}

static void let_echo_stick(void)
{
	int master = make_master(), slave = open_slave(master);

	fill(slave);
	put(master, "h");
	usleep(100000);
}

static void let_external_wait(void)
{
	int master = make_master();

	no_echo(open_slave(master), ICANON | EXTPROC);
	put(master, "line\n");
}

static void set_input(int slave, tcflag_t input)
{
	struct termios2 t;

	must(ioctl(slave, TCGETS2, &t));
	t.c_iflag = input;
	must(ioctl(slave, TCSETS2, &t));
}

/* What is not taken in yet is searched for it, and acts later. */
static void let_flow_wait(void)
{
	int master = make_master(), slave = open_slave(master);
	char bytes[8000] = "";

	no_echo(slave, 0);
	set_input(slave, IXON);
	bytes[7000] = '\021';
	must(write(master, bytes, sizeof(bytes)) == sizeof(bytes) ? 0 : -1);
	usleep(100000);
}

/* And nobody tells the kernel that it may go on. */
static void make_room(void)
{
	int master = make_master(), slave = open_slave(master);

	no_echo(slave, 0);
	set_input(slave, PARMRK);
	fill(master);
	set_input(slave, IXON);
}

static void never_open(void)
{
	make_master();
}

static void leave_locked(void)
{
	int master = make_master();

	close(open_slave(master));
	must(ioctl(master, TIOCSPTLCK, &on));
}

static void hold_outer(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/pts/%d", outer_number);
	must(open(path, O_RDWR | O_NOCTTY));
}

static void lock_settings(void)
{
	int slave = open_slave(make_master());
	struct termios t = { .c_lflag = ECHO };

	if (ioctl(slave, TIOCSLCKTRMIOS, &t))
		proc_group_lacks(0);
}

#define N_NULL 27

static void change_discipline(void)
{
	const int null = N_NULL;

	if (ioctl(open_slave(make_master()), TIOCSETD, &null))
		proc_group_lacks(0);
}

static void open_for_exec(void)
{
	int master = make_master();

	must(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

static void hold_other_devpts(void)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/ptmx", other_devpts);
	fd = open(path, O_RDWR | O_NOCTTY);
	if (fd < 0)
		proc_group_lacks(0);
	must(ioctl(fd, TIOCSPTLCK, &off));
	open_slave(fd);
}

static void hold_path(void)
{
	must(open("/dev/ptmx", O_PATH));
}

static void hold_console(void)
{
	if (open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_NONBLOCK) < 0)
		proc_group_lacks(ENOENT);
}

static void control(int slave)
{
	must(setsid());
	must(ioctl(slave, TIOCSCTTY, 0));
}

/* Its session belongs to one who is not in the tree, and ends with this process. */
static void control_outside(void)
{
	int slave = open_slave(make_master()), ready[2];
	pid_t self = getpid();
	char byte;

	must(pipe(ready));
	if (!must(fork())) {
		if (must(fork()))
			_exit(0);
		control(slave);
		close(3);	/* by which the test waits for the process */
		must(write(ready[1], "x", 1));
		while (!kill(self, 0))
			usleep(10000);
		_exit(0);
	}
	must(read(ready[0], &byte, 1));
	must(wait(NULL));
	close(ready[0]);
	close(ready[1]);
}

/* A job of a shell that has ended, and the shell does nothing about it. */
static void lose_foreground(void)
{
	int slave = open_slave(make_master()), ready[2];
	char byte;
	pid_t job;

	must(pipe(ready));
	if (in_child()) {
		control(slave);
		job = must(fork());
		if (!job) {
			pause();
			_exit(0);
		}
		must(setpgid(job, job));
		must(ioctl(slave, TIOCSPGRP, &job));
		must(kill(job, SIGKILL));
		must(waitpid(job, NULL, 0));
		must(write(ready[1], "x", 1));
		for (;;)
			pause();
	}
	must(read(ready[0], &byte, 1));
	close(ready[0]);
	close(ready[1]);
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ let_event_wait, "with packet-mode events that nobody reads" },
		{ hold_master, "which is held (^S, tcflow)" },
		{ let_echo_stick, "whose echo waits for room in its output" },
		{ let_external_wait, "where input waits in a way that cannot be made again" },
		{ let_flow_wait, "where input waits in a way that cannot be made again" },
		{ make_room, "where something is on its way all the time" },
		{ never_open, "whose slave was never opened, or is open outside the tree" },
		{ leave_locked, "whose slave was closed and cannot be opened" },
		{ hold_outer, "whose other end is outside the tree" },
		{ lock_settings, "with settings that are locked (TIOCSLCKTRMIOS)" },
		{ change_discipline, "with another line discipline than the usual one" },
		{ open_for_exec, "opened by TIOCGPTPEER with O_CLOEXEC" },
		{ hold_other_devpts, "of another devpts than that at /dev/pts" },
		{ hold_path, "a path of what has none" },
		{ hold_console, "a device descriptor" },
		{ control_outside,
		  "the controlling terminal of a session led from outside the tree" },
		{ lose_foreground, "in whose foreground is a group without processes" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

/* Something comes and is read all the time: there are moments in between. */
static void talk(void)
{
	int master = make_master(), slave = open_slave(master);
	char byte[64];

	if (in_child()) {
		for (;;)
			must(read(master, byte, sizeof(byte)));
	}
	if (in_child()) {
		for (;;) {
			put(slave, "talk\n");
			usleep(300);
		}
	}
}

static void waits_for_a_moment(void **state)
{
	struct ckpt_stop_params params = { 0 };
	pid_t pid;

	(void)state;
	pid = proc_group_spawn(NULL, talk);
	assert_true(pid > 0);
	params.pid = pid;
	for (int i = 0; i < 20; i++) {
		struct ckpt_err err = CKPT_ERR_INIT;
		struct ckpt_image image;

		if (proc_group_cycle(&params, &image, &err))
			fail_msg("%s", err.text);
		assert_int_equal(image.n_ptys, 1);
		ckpt_image_done(&image);
	}
	assert_true(proc_group_untraced(pid));
	kill(pid, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void keep_one(void)
{
	open_slave(make_master());
}

/* The number of a terminal is part of what a restore needs, and known before. */
static void refuses_a_number_in_use(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, keep_one) };
	struct ckpt_restore_params restore = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;
	char says[64];

	(void)state;
	assert_true(params.pid > 0);
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("%s", err.text);
	snprintf(says, sizeof(says), "terminal /dev/pts/%u of the checkpoint is in use",
		 image.ptys[0].number);
	/* as if it were in a pid namespace of its own, so that only the terminal is in the way */
	image.private_pidns = true;
	restore.image = &image;
	assert_int_equal(ckpt_restore_preflight(&restore, &err), -1);
	if (!strstr(err.text, says))
		fail_msg("%s", err.text);
	assert_int_equal(err.status, CKPT_REFUSED);
	ckpt_image_done(&image);
	kill(params.pid, SIGKILL);
	assert_int_equal(waitpid(params.pid, NULL, 0), params.pid);
}

static int setup(void **state)
{
	(void)state;
	outer_master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	snprintf(other_devpts, sizeof(other_devpts), "/tmp/ckpt-devpts-%d", getpid());
	if (mkdir(other_devpts, 0700) ||
	    mount("devpts", other_devpts, "devpts", 0, "ptmxmode=0666,newinstance"))
		print_message("# no devpts of our own\n");
	return ioctl(outer_master, TIOCSPTLCK, &off) ||
	       ioctl(outer_master, TIOCGPTN, &outer_number);
}

static int teardown(void **state)
{
	(void)state;
	umount2(other_devpts, MNT_DETACH);
	rmdir(other_devpts);
	return close(outer_master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(waits_for_a_moment),
		cmocka_unit_test(refuses_a_number_in_use),
	};

	return cmocka_run_group_tests_name("proc pty refuse", tests, setup, teardown);
}
