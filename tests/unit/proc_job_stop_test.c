// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes that job control has stopped, over a restore. Natively as root. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

static void check_image(const struct ckpt_image *image)
{
	size_t n[CKPT_NSIG] = { 0 }, told = 0;

	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].state != CKPT_TASK_STOPPED)
			continue;
		n[image->tasks[i].stop_signal]++;
		told += image->tasks[i].stop_told;
	}
	assert_int_equal(n[SIGSTOP], 3);
	assert_int_equal(n[SIGTSTP], 3);
	assert_int_equal(n[SIGTTIN], 2);
	assert_int_equal(n[SIGTTOU], 2);
	assert_int_equal(told, 5);
}

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	cycle_save_program("job_stops", NULL, private, &first);
	check_image(&first.image);
	cycle_restore_and_save(&first, 50000, &second);
	check_image(&second.image);
	cycle_go_on(&second);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_beside_us(void **state)
{
	(void)state;
	restored(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside_us),
	};

	return cmocka_run_group_tests_name("proc job stop", tests, cycle_setup, cycle_teardown);
}
