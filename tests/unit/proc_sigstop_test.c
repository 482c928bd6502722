// SPDX-License-Identifier: GPL-2.0-or-later
/* A SIGSTOP that comes while the keeper makes its calls is not lost. Natively as root. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "proc/procfs.h"

static char group[256];

static void nothing(void)
{
}

static int setup(void **state)
{
	(void)state;
	return proc_group_make("sigstop", group, sizeof(group));
}

static int teardown(void **state)
{
	(void)state;
	proc_group_end(group);
	return 0;
}

/* A stop of the group with signals for @pid sent while the keeper is at @point. */
static void stop_with_signal(const char *point, pid_t pid, bool go_on)
{
	struct ckpt_stop_params params = { .cgroup = group };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	struct ckpt_image image;
	pid_t keeper;

	keeper = proc_group_collect_at(&params, point, &stop, &err);
	if (keeper < 0)
		fail_msg("%s: %s", point, err.text);
	kill(pid, SIGSTOP);
	kill(keeper, SIGCONT);
	if (ckpt_stop_collect_wait(stop, &image, &err))
		fail_msg("%s: %s", point, err.text);
	ckpt_image_done(&image);
	/* by now the keeper has taken the SIGSTOP */
	if (go_on)
		kill(pid, SIGCONT);
	ckpt_stop_release(stop, NULL, &err);
	ckpt_stop_close(stop);
}

static const char *const points[] = { "keeper.looked=stop", "keeper.mapped=stop",
				      "keeper.written=stop", "keeper.answered=stop" };

static void it_stops_when_let_go(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		pid_t pid = proc_group_spawn(group, nothing);
		int status = 0;

		assert_true(pid > 0);
		stop_with_signal(points[i], pid, false);
		for (int tries = 0; tries < 400 && !WIFSTOPPED(status); tries++) {
			usleep(5000);
			waitpid(pid, &status, WNOHANG | WUNTRACED);
		}
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
			fail_msg("%s: it runs on, status 0x%x", points[i], status);
		kill(pid, SIGCONT);
		for (int tries = 0; tries < 400 && !proc_group_untraced(pid); tries++)
			usleep(5000);
		assert_true(proc_group_untraced(pid));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
}

/* A SIGCONT that comes after it is the last word. */
static void it_goes_on_when_continued(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		pid_t pid = proc_group_spawn(group, nothing);
		int status = 0;

		assert_true(pid > 0);
		stop_with_signal(points[i], pid, true);
		usleep(100000);
		assert_int_equal(waitpid(pid, &status, WNOHANG | WUNTRACED), 0);
		assert_true(proc_group_untraced(pid));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_stops_when_let_go),
		cmocka_unit_test(it_goes_on_when_continued),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
