// SPDX-License-Identifier: GPL-2.0-or-later
/* Eventfds, timerfds, signalfds and epolls over a restore. Natively as root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

#define PROGRAM "event_objects"

static void restored(bool private, int delay_us)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	cycle_save_program(PROGRAM, NULL, private, &s);
	assert_int_equal(s.image.n_eventfds, 8);
	assert_int_equal(s.image.n_timerfds, 5);
	assert_int_equal(s.image.n_signalfds, 1);
	assert_int_equal(s.image.n_epolls, 4);
	usleep(delay_us);
	cycle_go_on(&s);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true, 0);
}

static void test_restored_later(void **state)
{
	(void)state;
	restored(false, 1500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_later),
	};

	return cmocka_run_group_tests_name("proc events", tests, cycle_setup, cycle_teardown);
}
