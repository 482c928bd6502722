// SPDX-License-Identifier: GPL-2.0-or-later
/* Who gets the signals of a descriptor: kept over a restore, or refused. Natively as root. */
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "proc/read.h"

static void own(int fd, int type, pid_t pid)
{
	const struct f_owner_ex owner = { type, pid };

	if (fcntl(fd, F_SETOWN_EX, &owner))
		_exit(1);
}

/* Of one in which nobody makes a file, for the signal ends the process. */
static void notify_of_directory(void)
{
	if (fcntl(open("/usr", O_RDONLY), F_NOTIFY, DN_CREATE | DN_MULTISHOT))
		proc_group_lacks(0);
}

static void own_for_outside(void)
{
	int ends[2];

	if (pipe(ends))
		_exit(1);
	own(ends[1], F_OWNER_PID, 1);
}

/* Its master is in the process of the test. */
static int outer_number;

static void own_terminal(void)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/pts/%d", outer_number);
	fd = open(path, O_RDWR | O_NOCTTY);
	if (fd < 0 || dup2(fd, 1) != 1 || close(fd))
		_exit(1);
	own(1, F_OWNER_PID, getpid());
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ notify_of_directory, "a directory, as F_NOTIFY does" },
		{ own_for_outside, "to somebody who is not in the tree" },
		{ own_terminal, "descriptor 1 (F_SETOWN, F_SETSIG), which leads out of the tree" },
	};

	const int off = 0;
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	(void)state;
	assert_int_equal(ioctl(master, TIOCSPTLCK, &off), 0);
	assert_int_equal(ioctl(master, TIOCGPTN, &outer_number), 0);
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	close(master);
}

static void become_nobody(void)
{
	if (syscall(SYS_setresuid, 1234, 1234, 1234))
		_exit(1);
}

/* Who may trace the process may borrow; without that right nobody is told that it failed. */
static void refuses_without_the_right_to_look(void **state)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	struct ckpt_file f = { .capture_pid = proc_group_spawn(NULL, become_nobody) };
	int status;
	pid_t pid;

	(void)state;
	assert_true(f.capture_pid > 0);
	pid = fork();
	if (!pid) {
		struct ckpt_err err = CKPT_ERR_INIT;

		if (close(ckpt_borrow_fd(&f, &err)) || syscall(SYS_capget, &head, data))
			_exit(2);
		data[0].effective &= ~(1u << CAP_SYS_PTRACE);
		if (syscall(SYS_capset, &head, data) || ckpt_borrow_fd(&f, &err) >= 0)
			_exit(3);
		_exit(err.status != CKPT_REFUSED ||
		      !strstr(err.text, "has no permission to look at descriptor 0 of pid"));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	kill(f.capture_pid, SIGKILL);
	waitpid(f.capture_pid, NULL, 0);
}

static int late_end;

static void own_now(int sig)
{
	(void)sig;
	own(late_end, F_OWNER_PID, 1);
	if (chdir("/usr"))
		_exit(1);
}

static void own_when_told(void)
{
	int ends[2];

	if (pipe(ends) || signal(SIGUSR1, own_now) == SIG_ERR)
		_exit(1);
	late_end = ends[1];
}

static bool lives_in(pid_t pid, const char *dir)
{
	char path[64], at[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	return readlink(path, at, sizeof(at) - 1) > 0 && !strcmp(at, dir);
}

/* Between the look at the running tree and the stop. */
static void sees_what_was_set_late(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, own_when_told) };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	struct ckpt_image image;

	(void)state;
	assert_true(params.pid > 0);
	cycle_check(ckpt_stop_open(&params, &stop, &err), &err);
	kill(params.pid, SIGUSR1);
	for (int i = 0; i < 5000 && !lives_in(params.pid, "/usr"); i++)
		usleep(1000);
	cycle_check(ckpt_stop_begin(stop, &err), &err);
	assert_int_equal(ckpt_stop_collect(stop, &image, &err), -1);
	ckpt_stop_close(stop);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, "to somebody who is not in the tree"))
		fail_msg("\"%s\"", err.text);
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static const char program[] =
	"import fcntl, os, signal, socket, struct, threading, time\n"
	"TID, PID, PGRP = 0, 1, 2\n"
	"SETSIG, GETSIG, SETOWN_EX, GETOWN_EX = 10, 11, 15, 16\n"
	"def show():\n"
	"    return [(fcntl.fcntl(fd, GETOWN_EX, bytes(8)), fcntl.fcntl(fd, GETSIG),\n"
	"             fcntl.fcntl(fd, 17, bytes(8))) for fd in fds]\n"
	"def own(fd, type, pid): fcntl.fcntl(fd, SETOWN_EX, struct.pack('ii', type, pid))\n"
	"caught = []\n"
	"signal.signal(signal.SIGUSR1, lambda sig, frame: caught.append(sig))\n"
	"go = threading.Event()\n"
	"t = threading.Thread(target=go.wait); t.start()\n"
	"child = os.fork()\n"
	"if not child:\n"
	"    signal.pause()\n"
	"pipes = [os.pipe() for i in range(6)]\n"
	"os.mkfifo('fifo'); fifo = os.open('fifo', os.O_RDWR)\n"
	"a, b = socket.socketpair()\n"
	"fds = [r for r, w in pipes] + [fifo, a.fileno()]\n"
	"own(fds[0], PID, os.getpid())\n"
	"fcntl.fcntl(fds[0], SETSIG, signal.SIGUSR1)\n"
	"own(fds[1], TID, t.native_id)\n"
	"own(fds[2], PGRP, os.getpgrp())\n"
	"fcntl.fcntl(fds[3], SETSIG, 40)\n"
	"own(fds[4], PID, child)\n"
	"own(fifo, PID, os.getpid())\n"
	"def arm(fd): fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)\n"
	"signal.signal(44, lambda sig, frame: caught.append(sig))\n"
	"own(a.fileno(), TID, threading.get_native_id())\n"
	"fcntl.fcntl(a.fileno(), SETSIG, 44)\n"
	"arm(a.fileno())\n"
	"os.setresuid(1234, 4321, 0)\n"
	"own(fds[5], PID, os.getpid())\n"
	"os.setresuid(0, 0, 0)\n"
	"arm(fds[4])\n"
	"copy = os.dup(fds[0])\n"
	"before = show()\n"
	"print('ready', flush=True)\n"
	"while not os.path.exists('go'): time.sleep(0.02)\n"
	"assert show() == before, (before, show())\n"
	"flags = [fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ASYNC for fd in fds]\n"
	"assert flags == [0, 0, 0, 0, os.O_ASYNC, 0, 0, os.O_ASYNC], flags\n"
	"b.send(b'x')\n"
	"time.sleep(0.01)\n"
	"assert caught == [44], caught\n"
	"caught.clear()\n"
	"arm(copy)\n"
	"os.write(pipes[0][1], b'x')\n"
	"time.sleep(0.01)\n"
	"assert caught == [signal.SIGUSR1], caught\n"
	"os.kill(child, signal.SIGKILL); os.wait()\n"
	"go.set(); t.join()\n"
	"print('all well', flush=True)\n";

static void comes_back(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *argv[] = { "/usr/bin/python3", "-c", (char *)program, NULL };

	(void)state;
	cycle_start_and_save(argv, true, "ready", &s);
	cycle_go_on(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(refuses_without_the_right_to_look),
		cmocka_unit_test(sees_what_was_set_late),
		cmocka_unit_test(comes_back),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
