// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs with attributes, flags of memory and signals that look at them after a restore. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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

/* It is taken out of the sequence, as by any other interruption. */
static void test_sequence(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	unsigned long begin, end, aborted, at;
	const char *said;

	(void)state;
	cycle_save_program("rseq_spin", NULL, true, &s);
	said = strstr(cycle_read_output(), "sequence ");
	if (!said) {
		print_message("this C library registers no rseq\n");
		return;
	}
	assert_int_equal(sscanf(said, "sequence %lx %lx %lx", &begin, &end, &aborted), 3);
	assert_int_equal(s.image.tasks[0].n_threads, 2);
	at = s.image.tasks[0].threads[1].regs.rip;
	if (at != aborted)
		fail_msg("it is at 0x%lx, not at 0x%lx; the sequence is 0x%lx-0x%lx", at, aborted,
			 begin, end);
	cycle_go_on(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_area_flags),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_sequence),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
