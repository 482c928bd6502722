// SPDX-License-Identifier: GPL-2.0-or-later
/* io_urings over a restore, and those that are refused. Natively as root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

#define PROGRAM "uring"

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	cycle_save_program(PROGRAM, NULL, private, &s);
	assert_in_range(s.image.n_urings, 5, 6);
	cycle_go_on(&s);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_beside(void **state)
{
	(void)state;
	restored(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside),
	};

	return cmocka_run_group_tests_name("proc uring", tests, cycle_setup, cycle_teardown);
}
