// SPDX-License-Identifier: GPL-2.0-or-later
/* The init above a tree: it starts a command, reaps, reports, and lets go. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "proc/init.h"

static char cgroup[64];
static char *cgroup_dir;
static int output[2];

static struct ckpt_init_params params_of(char *const *argv)
{
	struct ckpt_init_params p = { .cgroup = cgroup_dir, .argv = argv, .envp = environ };

	p.stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	p.stdio[1] = p.stdio[2] = output[1];
	return p;
}

/* Run a shell script under an init; its output and status. */
static int run(struct ckpt_init_params p, char *text, size_t room)
{
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status = -1;
	ssize_t n;

	if (ckpt_init_spawn(&p, &init, &err) || ckpt_init_wait(&init, &status, &err))
		fail_msg("%s", err.text);
	n = read(output[0], text, room - 1);
	text[n < 0 ? 0 : n] = 0;
	waitpid(init.pid, NULL, 0);
	ckpt_init_close(&init);
	close(p.stdio[0]);
	return status;
}

static void test_private(void **state)
{
	char *argv[] = { "sh", "-c", "echo $$ $(ls /proc | grep -c '^[0-9]*$'); exit 7", NULL };
	struct ckpt_init_params p = params_of(argv);
	char text[64];
	int pid, seen;

	(void)state;
	p.private_pidns = true;
	assert_int_equal(run(p, text, sizeof(text)), 7);
	assert_int_equal(sscanf(text, "%d %d", &pid, &seen), 2);
	assert_in_range(pid, 2, 9);
	assert_in_range(seen, 2, 6);
}

static void test_subreaper(void **state)
{
	char *argv[] = { "sh", "-c", "cat /proc/self/cgroup; kill -9 $$", NULL };
	char text[512];

	(void)state;
	assert_int_equal(run(params_of(argv), text, sizeof(text)), 128 + 9);
	assert_non_null(strstr(text, cgroup));
}

static void test_clocks(void **state)
{
	char *argv[] = { "cat", "/proc/uptime", NULL };
	struct ckpt_init_params p = params_of(argv);
	struct timespec now;
	char text[64];

	(void)state;
	clock_gettime(CLOCK_BOOTTIME, &now);
	p.private_pidns = p.clocks = true;
	p.monotonic_ns = 5000000000;
	p.boottime_ns = 7000500000000;
	assert_int_equal(run(p, text, sizeof(text)), 0);
	assert_in_range(atof(text), 7000, 7030);
}

static void test_no_command(void **state)
{
	char *argv[] = { "/nonexistent/command", NULL };
	struct ckpt_init_params p = params_of(argv);
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	p.private_pidns = true;
	assert_int_equal(ckpt_init_spawn(&p, &init, &err), -1);
	assert_int_equal(err.os, ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/command"));
	assert_int_equal(init.pid, 0);
	close(p.stdio[0]);
}

/* Without a release, the end of the caller is the end of init. */
static void test_unreleased(void **state)
{
	struct ckpt_init_params p = params_of(NULL);
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;
	pid_t pid;

	(void)state;
	p.private_pidns = true;
	if (ckpt_init_spawn(&p, &init, &err))
		fail_msg("%s", err.text);
	pid = init.pid;
	assert_int_equal(kill(pid, 0), 0);
	ckpt_init_close(&init);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 125);
	close(p.stdio[0]);
}

static int setup(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	snprintf(cgroup, sizeof(cgroup), "/ckpt-init-test-%d", getpid());
	if (ckpt_cgroup_make(cgroup, &err) || ckpt_cgroup_dir(cgroup, &cgroup_dir, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	return pipe2(output, O_CLOEXEC | O_NONBLOCK);
}

static int teardown(void **state)
{
	(void)state;
	ckpt_cgroup_kill(cgroup, 2000, NULL);
	free(cgroup_dir);
	return ckpt_cgroup_remove(cgroup, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_subreaper),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_no_command),
		cmocka_unit_test(test_unreleased),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
