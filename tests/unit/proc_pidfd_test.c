// SPDX-License-Identifier: GPL-2.0-or-later
/* Pidfds over a restore, and those that are refused. Natively as root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"

#define PROGRAM "watchers"

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	cycle_save_program(PROGRAM, NULL, private, &s);
	assert_true(s.image.n_pidfds >= 7);
	cycle_go_on(&s);
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

static void hold_parent(void)
{
	if (syscall(SYS_pidfd_open, getppid(), 0) < 0)
		_exit(1);
}

static void hold_marked(void)
{
	int fd = syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0 || fsetxattr(fd, "trusted.ckpt", "x", 1, 0))
		proc_group_lacks(0);
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_parent, "which is not in the tree" },
		{ hold_marked, "which has extended attributes" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_in_place),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("proc pidfds", tests, cycle_setup, cycle_teardown);
}
