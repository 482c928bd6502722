// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of areas over a restore, on kernels that have them. Natively as root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

static bool kernel_names(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool ret;

	assert_ptr_not_equal(page, MAP_FAILED);
	ret = !prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, page, 4096, "name");
	munmap(page, 4096);
	return ret;
}

/* Twice: what was restored is captured as what it was. */
static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };
	bool named = kernel_names();

	if (!named)
		print_message("left out: names, which need CONFIG_ANON_VMA_NAME\n");
	cycle_save_program("named_memory", named ? NULL : "unnamed", private, &first);
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

	return cmocka_run_group_tests_name("proc area name", tests, NULL, NULL);
}
