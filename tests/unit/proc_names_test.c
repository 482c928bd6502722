// SPDX-License-Identifier: GPL-2.0-or-later
/* Renamed open files, a fifo and capabilities over a restore. Natively as root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

/* Twice: what was restored is captured as what it was. */
static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	cycle_save_program("names", NULL, private, &first);
	cycle_restore_and_save(&first, 0, &second);
	cycle_go_on(&second);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_in_place(void **state)
{
	(void)state;
	restored(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_restored, cycle_setup, cycle_teardown),
		cmocka_unit_test_setup_teardown(test_restored_in_place, cycle_setup,
						cycle_teardown),
	};

	return cmocka_run_group_tests_name("proc names", tests, NULL, NULL);
}
