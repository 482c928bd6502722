// SPDX-License-Identifier: GPL-2.0-or-later
/* Pseudo terminals and controlling terminals over a restore. Natively as root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

static void restored(const char *program, bool private, size_t n_ptys)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	cycle_save_program(program, NULL, private, &s);
	assert_int_equal(s.image.n_ptys, n_ptys);
	cycle_go_on(&s);
}

static void test_restored(void **state)
{
	(void)state;
	restored("ptys", true, 6);
}

static void test_restored_with_same_pids(void **state)
{
	(void)state;
	restored("ptys", false, 6);
}

/* A shell with jobs, behind a master that the tree has. */
static void test_shell(void **state)
{
	(void)state;
	restored("pty_shell", true, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_with_same_pids),
		cmocka_unit_test(test_shell),
	};

	return cmocka_run_group_tests_name("proc pty", tests, cycle_setup, cycle_teardown);
}
