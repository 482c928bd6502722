// SPDX-License-Identifier: GPL-2.0-or-later
/* Refusals of the stop: each by name, and what was looked at runs on. */
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "lib/proc_group.h"
#include "lib/scratch.h"
#include "proc/socket.h"

static void refuses_itself(void **state)
{
	struct ckpt_stop_params params = { .pid = getpid() };
	struct ckpt_stop *stop = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	assert_int_equal(ckpt_stop_open(&params, &stop, &err), -1);
	assert_null(stop);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "ckpt-tool itself"));
}

/* A one-shot that has fired, of a pipe in which there is nothing any more. */
static void hold_fired(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };
	int ends[2], epoll = epoll_create1(0);
	char byte;

	if (pipe(ends) || write(ends[1], "x", 1) != 1 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &e) || epoll_wait(epoll, &e, 1, 0) != 1 ||
	    read(ends[0], &byte, 1) != 1)
		_exit(1);
}

static void watch_signals(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, signalfd(-1, &set, 0), &e))
		_exit(1);
}

/* An epoll that a one-shot has told of. */
static void watch_fired_epoll(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };
	int inner = epoll_create1(0), outer = epoll_create1(0);

	if (epoll_ctl(inner, EPOLL_CTL_ADD, eventfd(1, 0), &e) ||
	    epoll_ctl(outer, EPOLL_CTL_ADD, inner, &e) || epoll_wait(outer, &e, 1, 0) != 1)
		_exit(1);
}

static void hold_cancelled_timer(void)
{
	const struct itimerspec spec = { .it_value.tv_sec = 4000000000 };

	if (timerfd_settime(timerfd_create(CLOCK_REALTIME, 0),
			    TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL))
		_exit(1);
}

static void hold_path_of_epoll(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", epoll_create1(0));
	if (open(path, O_PATH) < 0)
		_exit(1);
}

static void hold_socket(void)
{
	if (socket(AF_PACKET, SOCK_RAW, 0) < 0)
		_exit(1);
}

static void hold_proc_file(void)
{
	if (open("/proc/1/status", O_RDONLY) < 0)
		_exit(1);
}

/* GNU make does so. */
static void hold_load(void)
{
	char text[64];
	int fd = open("/proc/loadavg", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
		_exit(1);
}

/* Nobody has a reason to, but the load may be open for writing. */
static void hold_load_writable(void)
{
	if (open("/proc/loadavg", O_RDWR) < 0)
		proc_group_lacks(0);
}

static void hold_messages(void)
{
	if (open("/proc/kmsg", O_RDONLY) < 0)
		proc_group_lacks(0);
}

static void hold_sysfs(void)
{
	if (open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY) < 0)
		_exit(1);
}

static void hold_queue(void)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[32];

	snprintf(name, sizeof(name), "/ckpt-test-%d", getpid());
	if (mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr) < 0)
		_exit(1);
	mq_unlink(name);
}

static void hold_cgroup_file(void)
{
	cleanup_free char *dir = NULL;
	char path[300];

	if (ckpt_cgroup_dir("/", &dir, NULL))
		_exit(1);
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	if (open(path, O_RDONLY) < 0)
		_exit(1);
}

#define NAME scratch("name")
#define LINK scratch("link")

static void hold_lost_directory(void)
{
	if (scratch_mkdir("lost") || open(scratch("lost/file"), O_RDWR | O_CREAT, 0600) < 0 ||
	    unlink(scratch("lost/file")) || rmdir(scratch("lost")))
		_exit(1);
}

/* Its name was gone and is back. */
static void hold_linked_again(void)
{
	if (open(NAME, O_RDWR | O_CREAT, 0600) < 0 || link(NAME, LINK) || unlink(NAME) ||
	    link(LINK, NAME) || unlink(LINK))
		_exit(1);
}

/* A file that was removed from a lower layer keeps its count of links. */
static bool merge_layers(void)
{
	char options[400];

	if (scratch_mkdir("layers") || mount("none", scratch("layers"), "tmpfs", 0, NULL))
		return false;
	if (scratch_mkdir("layers/l") || scratch_mkdir("layers/u") || scratch_mkdir("layers/w") ||
	    scratch_mkdir("layers/m") || scratch_touch("layers/l/file"))
		return false;
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
		 scratch("layers/l"), scratch("layers/u"), scratch("layers/w"));
	return !mount("none", scratch("layers/m"), "overlay", 0, options);
}

static void hold_lower_file(void)
{
	const char *file = scratch("layers/m/file");

	if (open(file, O_RDONLY) < 0 || unlink(file))
		_exit(1);
}

static void have_thread_keyring(void)
{
	if (syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1) < 0)
		proc_group_lacks(0);
}

static void have_process_keyring(void)
{
	if (syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) < 0)
		proc_group_lacks(0);
}

/* The kernel gives such memory a key by itself. */
static void have_secret_code(void)
{
	if (mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		_exit(1);
}

static void live_in_proc(void)
{
	if (chdir("/proc/self"))
		_exit(1);
}

/* These are as good as any directory. */
static void live_in_proc_root(void)
{
	if (chdir("/proc") || open("/sys", O_RDONLY | O_DIRECTORY) < 0)
		_exit(1);
}

static void is_accepted(void (*hold)(void))
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, hold) };
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_true(params.pid > 0);
	if (proc_group_cycle(&params, NULL, &err))
		fail_msg("%s", err.text);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static void accepts_what_it_can(void **state)
{
	(void)state;
	is_accepted(live_in_proc_root);
	is_accepted(hold_load);
	is_accepted(have_secret_code);
	is_accepted(hold_linked_again);
	is_accepted(hold_lost_directory);
	if (merge_layers())
		is_accepted(hold_lower_file);
	else
		print_message("a file of a lower layer: this machine has none\n");
}

/* A child that lives as long as its parent. */
static pid_t keep_child(unsigned long flags)
{
	pid_t pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!(flags & CLONE_FILES))
			close(3);	/* the test waits for the last to close it */
		for (;;)
			pause();
	}
	if (pid < 0)
		_exit(1);
	return pid;
}

static void hold_left_group(void)
{
	pid_t founder = keep_child(0), member = keep_child(0);

	if (setpgid(founder, founder) || setpgid(member, founder) || setpgid(founder, getpgrp()))
		_exit(1);
}

/* What cannot be restored is refused by name, and its holder runs on. */
static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ watch_signals, "a signalfd" },
		{ watch_fired_epoll, "once, which has happened, an epoll" },
		{ hold_cancelled_timer, "a timer on descriptor" },
		{ hold_path_of_epoll, "a path of what has none" },
		{ hold_fired, "once, which has happened, with nothing to tell now" },
		{ hold_socket, "a socket descriptor" },
		{ hold_proc_file, "a file of procfs" },
		{ hold_load_writable, "a file of procfs" },
		{ hold_messages, "a file of procfs" },
		{ hold_sysfs, "a file of sysfs" },
		{ hold_queue, "a file of the message queue file system" },
		{ hold_cgroup_file, "a file of the cgroup2 file system" },
		{ have_thread_keyring, "a thread keyring" },
		{ have_process_keyring, "a process keyring" },
		{ live_in_proc, "the directory of a process" },
		{ hold_left_group, "which its founder has left" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

static void nothing(void)
{
}

/* Before anything is stopped or copied. */
static void refuses_cgroups_below(void **state)
{
	char cgroup[256], below[300];
	struct ckpt_stop_params params = { .cgroup = cgroup };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;

	(void)state;
	assert_int_equal(proc_group_make("below", cgroup, sizeof(cgroup)), 0);
	snprintf(below, sizeof(below), "%s/below", cgroup);
	assert_int_equal(mkdir(below, 0755), 0);
	assert_true(proc_group_spawn(cgroup, nothing) > 0);
	assert_true(proc_group_spawn(below, nothing) > 0);
	assert_int_equal(ckpt_stop_open(&params, &stop, &err), -1);
	proc_group_end(cgroup);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "in a cgroup below that of the group"));
}

static void names_what_is_missing(void **state)
{
	struct ckpt_stop_params params = { .pid = 0x7ffffff0 };
	struct ckpt_stop *stop = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	assert_int_equal(ckpt_stop_open(&params, &stop, &err), -1);
	assert_int_equal(err.status, CKPT_FAILED);
	assert_non_null(strstr(err.text, "does not exist"));
	params = (struct ckpt_stop_params){ .cgroup = "/proc" };
	assert_int_equal(ckpt_stop_open(&params, &stop, &err), -1);
	assert_non_null(strstr(err.text, "no cgroup"));
	assert_null(stop);
}

/* A number may come to something else between two looks at a tree that runs. */
static void tells_sockets_from_others(void **state)
{
	cleanup_close int packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	cleanup_close int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_close int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true(ckpt_socket_restorable(getpid(), local));
	assert_false(ckpt_socket_restorable(getpid(), packet));
	assert_true(ckpt_socket_restorable(getpid(), file));
	assert_true(ckpt_socket_restorable(getpid(), ends[0]));
	close(ends[0]);
	assert_true(ckpt_socket_restorable(getpid(), ends[0]));
	close(ends[1]);
}

/* Which of them are mostly gone in a moment. */
static void tells_what_passes(void **state)
{
	static const struct {
		void (*hold)(void);
		bool passes;
	} cases[] = {
		{ hold_socket, true },
		{ live_in_proc, true },
		{ hold_proc_file, true },
		{ hold_sysfs, true },
		{ hold_queue, true },
		{ have_thread_keyring, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, cases[i].hold) };
		struct ckpt_err err = CKPT_ERR_INIT;

		assert_true(params.pid > 0);
		assert_int_equal(proc_group_cycle(&params, NULL, &err), -1);
		assert_int_equal(err.status, CKPT_REFUSED);
		assert_int_equal(err.passing, cases[i].passes);
		kill(params.pid, SIGKILL);
		waitpid(params.pid, NULL, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_itself),
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(accepts_what_it_can),
		cmocka_unit_test(refuses_cgroups_below),
		cmocka_unit_test(names_what_is_missing),
		cmocka_unit_test(tells_sockets_from_others),
		cmocka_unit_test(tells_what_passes),
	};

	return cmocka_run_group_tests_name("proc refuse", tests, scratch_make, scratch_remove);
}
