// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupted calls: a signal that is due at the cut ends them as without a cut
 *
 * The program waits in a system call for SIGALRM, which comes while it is stopped.
 */
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
#include <unistd.h>

#include "base/cgroup.h"
#include "lib/restore_cycle.h"
#include "proc/stop.h"

#define IN_CALL_US 100000	/* from "here" to the call it is written before */

static const char *const calls[] = {
	"pause", "sigsuspend", "blocked_sigsuspend", "nanosleep", "ppoll", "masked_ppoll",
	"read", "restarted_read", "sigtimedwait",
};

static void send_alarm(void)
{
	cleanup_free int32_t *pids = NULL;
	size_t n = 0;

	assert_int_equal(ckpt_cgroup_pids(cycle_cgroup, &pids, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(kill(pids[0], SIGALRM), 0);
}

static void start(const char *call, struct ckpt_init *init)
{
	cleanup_free char *program = cycle_program("waiter");
	char *argv[] = { program, (char *)call, NULL };
	struct ckpt_init_params p = cycle_init_params(argv, true);
	struct ckpt_err err = CKPT_ERR_INIT;

	cycle_check(ckpt_init_spawn(&p, init, &err), &err);
	cycle_close_stdio(p.stdio);
	cycle_wait_output("here");
	usleep(IN_CALL_US);
}

static void ended_well(struct ckpt_init *init)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	cycle_check(ckpt_init_wait(init, &status, &err), &err);
	if (status)
		fail_msg("ended with %d: %s", status, cycle_read_output());
	waitpid(init->pid, NULL, 0);
	ckpt_init_close(init);
	cycle_wait_empty();
}

/* Stop it, let the signal come, capture it or not, and let it run on. */
static void run_on(const char *call, bool collect)
{
	const struct ckpt_stop_params params = { .cgroup = cycle_cgroup_dir, .hold_ms = 60000 };
	cleanup_stop struct ckpt_stop *stop = NULL;
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image = { 0 };

	start(call, &init);
	cycle_check(ckpt_stop_open(&params, &stop, &err) || ckpt_stop_begin(stop, &err), &err);
	send_alarm();
	if (collect)
		cycle_check(ckpt_stop_collect(stop, &image, &err), &err);
	cycle_check(ckpt_stop_release(stop, NULL, &err), &err);
	ckpt_image_done(&image);
	ended_well(&init);
}

static void test_run_on(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		print_message("# %s\n", calls[i]);
		run_on(calls[i], false);
		run_on(calls[i], true);
	}
}

static void save(const char *call, void (*while_stopped)(void), struct saved *s)
{
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	start(call, &init);
	cycle_while_stopped = while_stopped;
	cycle_save(s);
	cycle_while_stopped = NULL;
	cycle_check(ckpt_init_wait(&init, &status, &err), &err);
	waitpid(init.pid, NULL, 0);
	ckpt_init_close(&init);
	cycle_wait_empty();
}

static void test_restored(void **state)
{
	struct ckpt_restore_result result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		cleanup_with(cycle_saved_done) struct saved s = { 0 };
		struct ckpt_restore *r = NULL;

		print_message("# %s\n", calls[i]);
		save(calls[i], send_alarm, &s);
		cycle_restore(&s, &r, &result);
		cycle_finish(r, 0);
	}
}

/* Nothing is due at the cut: the call goes on, and the signal ends it later. */
static void test_restored_before(void **state)
{
	struct ckpt_restore_result result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		cleanup_with(cycle_saved_done) struct saved s = { 0 };
		struct ckpt_restore *r = NULL;

		save(calls[i], NULL, &s);
		cycle_restore(&s, &r, &result);
		usleep(IN_CALL_US / 2);
		assert_int_equal(kill(result.root_pid, 0), 0);
		assert_int_equal(kill(result.root_pid, SIGALRM), 0);
		cycle_finish(r, 0);
	}
}

/* A timer that ends between its start in the restored process and the thaw. */
static void test_timer_before_the_thaw(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	(void)state;
	save("pause", NULL, &s);
	s.image.tasks[0].itimers[0].value_ns = 1000;
	cycle_restore(&s, &r, &result);
	cycle_finish(r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_on),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_before),
		cmocka_unit_test(test_timer_before_the_thaw),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
