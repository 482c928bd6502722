// SPDX-License-Identifier: GPL-2.0-or-later
/* The tracker of the module where there is no module, and for a name that is none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "track/tracker.h"

static void says_that_there_is_no_module(void **state)
{
	struct ckpt_tracker tracker;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	if (!access("/sys/kernel/ckpt", F_OK))
		skip();
	assert_int_equal(ckpt_tracker_open_kmod("agent", "/agent", NULL, 0, &tracker, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	/* by which the caller knows that it may compare everything instead */
	assert_int_equal(err.os, ENOENT);
	assert_non_null(strstr(err.text,
			       "module ckpt is not loaded; load it with 'modprobe ckpt'"));
}

static void refuses_a_name_that_is_too_long(void **state)
{
	struct ckpt_tracker tracker;
	struct ckpt_err err = CKPT_ERR_INIT;
	char name[65];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(ckpt_tracker_open_kmod(name, "/agent", NULL, 0, &tracker, &err), -1);
	assert_int_equal(err.status, CKPT_USAGE);
	assert_non_null(strstr(err.text, "is no group name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_that_there_is_no_module),
		cmocka_unit_test(refuses_a_name_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
