// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Renamed open files, a fifo, capabilities, and names of areas where the kernel has them, over a
 * restore. Natively as root.
 */
#include <linux/prctl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

static bool kernel_names_areas(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool ret;

	assert_ptr_not_equal(page, MAP_FAILED);
	ret = !prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, page, 4096, "name");
	munmap(page, 4096);
	return ret;
}

/* Twice: what was restored is captured as what it was. */
static void restored(const char *program, char *arg, bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	cycle_save_program(program, arg, private, &first);
	cycle_restore_and_save(&first, 0, &second);
	cycle_go_on(&second);
}

static void test_restored(void **state)
{
	(void)state;
	restored("names", NULL, true);
}

static void test_restored_in_place(void **state)
{
	(void)state;
	restored("names", NULL, false);
}

static void test_areas(void **state)
{
	bool named = kernel_names_areas();

	(void)state;
	if (!named)
		print_message("left out: names, which need CONFIG_ANON_VMA_NAME\n");
	restored("named_memory", named ? NULL : "unnamed", true);
}

static void test_areas_in_place(void **state)
{
	(void)state;
	restored("named_memory", kernel_names_areas() ? NULL : "unnamed", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_restored, cycle_setup, cycle_teardown),
		cmocka_unit_test_setup_teardown(test_restored_in_place, cycle_setup,
						cycle_teardown),
		cmocka_unit_test_setup_teardown(test_areas, cycle_setup, cycle_teardown),
		cmocka_unit_test_setup_teardown(test_areas_in_place, cycle_setup, cycle_teardown),
	};

	return cmocka_run_group_tests_name("proc names", tests, NULL, NULL);
}
