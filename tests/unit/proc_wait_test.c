// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Timed waits: stopped again and again, killed and restored, they last as long as asked
 *
 * The program checks itself.  A stop comes every 50 to 400 ms, several in each wait: one that began
 * anew with each of them would never end.
 */
#include <setjmp.h>
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

#define SLACK_MS "300"	/* of a busy machine; a wait that begins anew is later than that */
#define WAITS "4"
#define LONGEST_MS "1500"
#define RESTORES 4

static void random_nap(void)
{
	usleep(50000 + random() % 350000);
}

static bool populated(void)
{
	bool is = false;

	assert_int_equal(ckpt_cgroup_populated(cycle_cgroup, &is, NULL), 0);
	return is;
}

static void start(struct ckpt_init *init, char *restored)
{
	char text[16];
	cleanup_free char *program = cycle_program("timed_waits");
	char *argv[] = { program, "-", text, SLACK_MS, WAITS, LONGEST_MS, restored, NULL };
	struct ckpt_init_params p = cycle_init_params(argv, true);
	struct ckpt_err err = CKPT_ERR_INIT;

	snprintf(text, sizeof(text), "%u", cycle_seed(32));
	cycle_check(ckpt_init_spawn(&p, init, &err), &err);
	cycle_close_stdio(p.stdio);
	cycle_wait_output("ready");
}

/* Stop it, read it or not, let it run on.  One that does not come to rest in time is let go. */
static void stop_once(bool collect)
{
	const struct ckpt_stop_params params = { .cgroup = cycle_cgroup_dir };
	cleanup_stop struct ckpt_stop *stop = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image = { 0 };

	if (ckpt_stop_open(&params, &stop, &err) || ckpt_stop_begin(stop, &err) ||
	    (collect && ckpt_stop_collect(stop, &image, &err)) ||
	    ckpt_stop_release(stop, NULL, &err)) {
		if (populated() && !strstr(err.text, "try again"))
			fail_msg("%s", err.text);
		print_message("# %s\n", err.text);
	}
	ckpt_image_done(&image);
}

static void expect_well(int status)
{
	if (status || !strstr(cycle_read_output(), "all well"))
		fail_msg("ended with %d: %s", status, cycle_read_output());
}

static void test_run_on(void **state)
{
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status, stops = 0;

	(void)state;
	start(&init, NULL);
	while (populated() && !strstr(cycle_read_output(), "all well") &&
	       !strstr(cycle_read_output(), "wrong")) {
		random_nap();
		stop_once(stops++ % 4);
	}
	print_message("# %d stops\n", stops);
	cycle_check(ckpt_init_wait(&init, &status, &err), &err);
	expect_well(status);
	waitpid(init.pid, NULL, 0);
	ckpt_init_close(&init);
	cycle_wait_empty();
}

static void test_restored(void **state)
{
	struct ckpt_restore_result result;
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;
	struct saved s = { 0 };
	int status, stops = 0;

	(void)state;
	start(&init, "restored");
	random_nap();
	cycle_save(&s);
	cycle_check(ckpt_init_wait(&init, &status, &err), &err);
	waitpid(init.pid, NULL, 0);
	ckpt_init_close(&init);
	cycle_wait_empty();
	for (int i = 0; i < RESTORES; i++) {
		cycle_restore(&s, &r, &result);
		cycle_saved_done(&s);
		random_nap();
		stop_once(stops++ % 2);
		random_nap();
		s = (struct saved){ 0 };
		cycle_save_again(r, &s);
	}
	cycle_restore(&s, &r, &result);
	cycle_finish(r, 0);
	expect_well(0);
	cycle_saved_done(&s);
}

/* Stop it some times with a fault, and let it end by itself. */
static void stop_with(const char *fault, int stops, bool collect)
{
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	start(&init, "restored");
	for (int i = 0; i < stops && populated(); i++) {
		random_nap();
		setenv("CKPT_FAULT", fault, 1);
		stop_once(collect);
		unsetenv("CKPT_FAULT");
	}
	cycle_check(ckpt_init_wait(&init, &status, &err), &err);
	waitpid(init.pid, NULL, 0);
	ckpt_init_close(&init);
	cycle_wait_empty();
}

/* Without means to know it: what waits for events may end early, nothing lasts longer. */
static void test_unknown(void **state)
{
	static const char *const early[] = {
		"epoll", "epoll_mask", "epoll_precise", "signal", "semaphore", "ppoll_const",
	};
	char *line;

	(void)state;
	stop_with("keeper.due=fail", 12, true);
	line = strtok(strstr(cycle_read_output(), "ready") + 5, "\n");
	/* it was stopped: some has ended so */
	assert_non_null(line);
	for (; line; line = strtok(NULL, "\n")) {
		bool known = false;
		char name[32];

		if (sscanf(line, "wrong: %31s was too short", name) == 1) {
			for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++)
				known |= !strcmp(name, early[i]);
		}
		if (!known || !strstr(line, "was too short"))
			fail_msg("%s", line);
	}
}

/* Has a keeper come to @fault, "point=action", since the last time? */
static bool was_reached(const char *path, const char *fault)
{
	char text[256] = "";
	FILE *f = fopen(path, "re");
	bool reached = f && fgets(text, sizeof(text), f) &&
		       !strncmp(text, fault, strcspn(fault, "=")) &&
		       text[strcspn(fault, "=")] == '\n';

	if (f)
		fclose(f);
	unlink(path);
	return reached;
}

/* Whoever is killed while sockets have what is left: they have their limits again. */
static void test_killed(void **state)
{
	static const char *const faults[] = {
		"keeper.limited=kill", "keeper.detaching=kill", "keeper.shortened=kill",
	};

	char path[] = "/tmp/ckpt-reached-XXXXXX";

	(void)state;
	close(mkstemp(path));
	setenv("CKPT_FAULT_REACHED", path, 1);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		print_message("# %s\n", faults[i]);
		stop_with(faults[i], 4, true);
		assert_true(was_reached(path, faults[i]));
		assert_null(strstr(cycle_read_output(), "error -3"));
		if (!i)
			expect_well(0);
	}
	unsetenv("CKPT_FAULT_REACHED");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_on),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
