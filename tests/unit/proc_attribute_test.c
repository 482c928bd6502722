// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs with attributes, flags of memory and signals that look at them after a restore. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/personality.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

static void comes_back(const char *program, bool private)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	cycle_save_program(program, NULL, private, &s);
	cycle_go_on(&s);
}

static void test_area_flags(void **state)
{
	(void)state;
	comes_back("area_flags", true);
}

static void test_signals(void **state)
{
	(void)state;
	comes_back("signals", true);
	comes_back("signals", false);
}

static void test_attributes(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const int own = personality(0xffffffff);

	(void)state;
	cycle_save_program("attributes", NULL, true, &s);
	/* what who restores has is none of theirs */
	assert_true(personality(own | ADDR_NO_RANDOMIZE) >= 0);
	cycle_go_on(&s);
	assert_true(personality(own) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_area_flags),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_attributes),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
