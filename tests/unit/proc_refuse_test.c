// SPDX-License-Identifier: GPL-2.0-or-later
/* Refusals of the stop: each by name, and what was looked at runs on. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "proc/stop.h"

static int try_it(const struct ckpt_stop_params *params, struct ckpt_err *err)
{
	cleanup_stop struct ckpt_stop *stop = NULL;
	struct ckpt_image image;

	if (ckpt_stop_open(params, &stop, err) || ckpt_stop_begin(stop, err) ||
	    ckpt_stop_collect(stop, &image, err))
		return -1;
	ckpt_image_done(&image);
	return ckpt_stop_release(stop, NULL, err);
}

static bool runs_untraced(pid_t pid)
{
	char path[64], text[4096] = "";
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	return strstr(text, "TracerPid:\t0\n") && !strstr(text, "State:\tZ");
}

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

static void hold_epoll(void)
{
	if (epoll_create1(0) < 0)
		_exit(1);
}

static void hold_socket(void)
{
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		_exit(1);
}

static void hold_lock(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	if (flock(fd, LOCK_SH))
		_exit(1);
}

static void hold_shared_memory(void)
{
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		_exit(1);
}

static void hold_timer(void)
{
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, NULL, &timer))
		_exit(1);
}

/* What cannot be restored is refused by name, and its holder runs on. */
static void refuses_by_name(void **state)
{
	static const struct {
		void (*hold)(void);
		const char *says;
	} cases[] = {
		{ hold_epoll, "an epoll descriptor" },
		{ hold_socket, "a socket descriptor" },
		{ hold_lock, "a file lock on descriptor" },
		{ hold_shared_memory, "shared anonymous memory" },
		{ hold_timer, "a POSIX timer" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ckpt_stop_params params = { 0 };
		struct ckpt_err err = CKPT_ERR_INIT;
		int ready[2];
		char byte;
		pid_t pid;

		assert_int_equal(pipe(ready), 0);
		pid = fork();
		if (!pid) {
			int fd = open("/dev/null", O_RDWR);

			for (int k = 0; k < 3; k++)
				dup2(fd, k);
			dup2(ready[1], 3);
			syscall(SYS_close_range, 4, ~0u, 0);
			cases[i].hold();
			if (write(3, "", 1) != 1)
				_exit(1);
			close(3);
			for (;;)
				pause();
		}
		close(ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		assert_int_equal(read(ready[0], &byte, 1), 0);
		close(ready[0]);
		params.pid = pid;
		assert_int_equal(try_it(&params, &err), -1);
		assert_int_equal(err.status, CKPT_REFUSED);
		if (!strstr(err.text, cases[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
		assert_true(runs_untraced(pid));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_itself),
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(names_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
