// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stops of trees in which processes and threads end all the time
 *
 * Natively as root.  Every read of /proc meets tasks that are just ending;
 * none of that may fail a stop.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "proc/procfs.h"

#define CHURNERS 4
#define SCAN_S 4
#define STOP_S 6
#define STOPS 40
#define MORE_NS 60000000000ull

static char cgroup[256];

static void *end_soon(void *arg)
{
	for (volatile int i = 0; i < (int)(intptr_t)arg; i++)
		;
	return NULL;
}

/* A child with threads and a child of its own, all gone within a millisecond. */
static void short_life(unsigned int seed)
{
	pthread_t t;

	for (int i = 0; i < 2; i++)
		pthread_create(&t, NULL, end_soon, (void *)(intptr_t)(rand_r(&seed) % 100000));
	if (!fork())
		_exit(0);
	if (rand_r(&seed) % 2)
		end_soon((void *)(intptr_t)(rand_r(&seed) % 200000));
	_exit(0);
}

static void churn(void)
{
	signal(SIGCHLD, SIG_IGN);	/* reaped at once: the very names vanish */
	for (int i = 0; i < CHURNERS; i++) {
		unsigned int seed = i;

		if (fork())
			continue;
		close(3);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			if (!fork())
				short_life(rand_r(&seed));
			usleep(rand_r(&seed) % 300);
		}
	}
}

static void churning_trees_are_stopped(void **state)
{
	struct ckpt_stop_params params = { .cgroup = cgroup };
	uint64_t until = ckpt_now_ns() + SCAN_S * 1000000000ull;
	int scans = 0, stops = 0, busy = 0;

	(void)state;
	assert_int_equal(proc_group_make("churn", cgroup, sizeof(cgroup)), 0);
	assert_true(proc_group_spawn(cgroup, churn) > 0);
	for (; ckpt_now_ns() < until; scans++) {
		struct ckpt_err err = CKPT_ERR_INIT;
		struct ckpt_stop *stop = NULL;

		if (ckpt_stop_open(&params, &stop, &err))
			fail_msg("scan %d: %s", scans, err.text);
		ckpt_stop_close(stop);
	}
	until = ckpt_now_ns() + STOP_S * 1000000000ull;
	/* beside others it takes longer for as many as say something */
	for (; ckpt_now_ns() < (stops < STOPS ? until + MORE_NS : until); stops++) {
		struct ckpt_err err = CKPT_ERR_INIT;

		/* a busy machine may be too slow to stop it; it must say so */
		if (proc_group_cycle(&params, NULL, &err) && !strstr(err.text, "try again"))
			fail_msg("stop %d: %s", stops, err.text);
		busy += err.status != CKPT_OK;
	}
	print_message("%d scans, %d stops, %d of them to be tried again\n", scans, stops, busy);
	assert_true(busy * 2 < stops);
	proc_group_end(cgroup);
}

static void nothing(void)
{
}

/*
 * A held process is killed from outside: the stop fails in words or has been
 * done with it, its parent hears of the death, and the parent runs on.
 */
static void killed_while_held(int delay_us, bool thread)
{
	struct ckpt_stop_params params = { .cgroup = cgroup };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	struct ckpt_image image;
	pid_t child = proc_group_spawn(cgroup, nothing);
	int status;

	assert_true(child > 0);
	if (ckpt_stop_open(&params, &stop, &err) || ckpt_stop_begin(stop, &err) ||
	    ckpt_stop_collect_start(stop, &err))
		fail_msg("%s", err.text);
	if (delay_us)
		usleep(delay_us);
	/* the latter as cgroup.kill does: a signal of the thread */
	if (thread)
		syscall(SYS_tkill, child, SIGKILL);
	else
		kill(child, SIGKILL);
	if (!ckpt_stop_collect_wait(stop, &image, &err)) {
		ckpt_image_done(&image);
		ckpt_stop_release(stop, NULL, &err);
	} else if (!strstr(err.text, "was killed while it was held")) {
		fail_msg("after %d us: %s", delay_us, err.text);
	}
	/* the keeper is there yet and keeps nothing back */
	for (int i = 0; i < 200 && !waitpid(child, &status, WNOHANG); i++)
		usleep(5000);
	assert_int_equal(kill(child, 0), -1);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ckpt_stop_close(stop);
}

static void a_kill_from_outside_is_told(void **state)
{
	(void)state;
	assert_int_equal(proc_group_make("killed", cgroup, sizeof(cgroup)), 0);
	for (int i = 0; i < 200; i++)
		killed_while_held(i / 2 * 25, i % 2);
	proc_group_end(cgroup);
}

static char tool_cgroup[256];

/*
 * The whole cgroup of the tool is killed while the tree is stopped: the keeper
 * lets go of it, and no call of it was disturbed.
 */
static void the_end_of_our_cgroup_is_not_the_keepers(void **state)
{
	struct ckpt_stop_params params = { .cgroup = cgroup };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	pid_t tree, tool;
	char reached[300];
	int status;

	(void)state;
	assert_int_equal(proc_group_make("tree", cgroup, sizeof(cgroup)), 0);
	assert_int_equal(proc_group_make("tool", tool_cgroup, sizeof(tool_cgroup)), 0);
	tree = proc_group_spawn(cgroup, nothing);
	assert_true(tree > 0);
	snprintf(reached, sizeof(reached), "/tmp/ckpt-test-%d-reached", getpid());
	tool = fork();
	if (!tool) {
		proc_group_put(tool_cgroup, "cgroup.procs", "0");
		setenv("CKPT_FAULT", "keeper.detaching=fail", 1);
		setenv("CKPT_FAULT_REACHED", reached, 1);
		if (!ckpt_stop_open(&params, &stop, &err) && !ckpt_stop_begin(stop, &err))
			kill(getpid(), SIGSTOP);
		_exit(1);
	}
	assert_int_equal(waitpid(tool, &status, WUNTRACED), tool);
	assert_true(WIFSTOPPED(status));
	assert_false(proc_group_untraced(tree));
	assert_int_equal(proc_group_put(tool_cgroup, "cgroup.kill", "1"), 0);
	assert_int_equal(waitpid(tool, &status, 0), tool);
	for (int i = 0; i < 500 && !proc_group_untraced(tree); i++)
		usleep(10000);
	assert_true(proc_group_untraced(tree));
	/* it was the keeper that let go, not its death */
	assert_int_equal(unlink(reached), 0);
	proc_group_end(cgroup);
	proc_group_end(tool_cgroup);
}

static int clean(void **state)
{
	(void)state;
	proc_group_end(cgroup);
	if (tool_cgroup[0])
		proc_group_end(tool_cgroup);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(churning_trees_are_stopped, clean),
		cmocka_unit_test_teardown(a_kill_from_outside_is_told, clean),
		cmocka_unit_test_teardown(the_end_of_our_cgroup_is_not_the_keepers, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
