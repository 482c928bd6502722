// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes that share pages since one has forked the others. Natively as root. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

static void save(struct saved *s)
{
	cycle_save_program("forked_pages", NULL, true, s);
	assert_int_equal(s->image.n_tasks, 4);
	assert_int_equal(s->image.n_mms, 4);
}

/* The program compares numbers of page frames, and the content of every page. */
static void they_share_them_again(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	save(&s);
	cycle_go_on(&s);
	assert_non_null(strstr(cycle_read_output(), "shared 1152"));
}

static void also_when_what_was_restored_is_captured(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 }, again = { 0 };

	(void)state;
	save(&s);
	cycle_restore_and_save(&s, 50000, &again);
	cycle_go_on(&again);
	assert_non_null(strstr(cycle_read_output(), "shared 1152"));
}

/* A page that is damaged on its way is found, also where it is shared. */
static void what_they_share_is_compared(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore *r = NULL;
	struct ckpt_restore_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	save(&s);
	params.image = &s.image;
	params.source = &s.source;
	params.cgroup = cycle_cgroup_dir;
	params.stdio[0] = params.stdio[1] = params.stdio[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	setenv("CKPT_FAULT", "restore.flip=fail", 1);
	cycle_check(ckpt_restore_build(&params, &r, &err), &err);
	unsetenv("CKPT_FAULT");
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	ckpt_restore_close(r);
	close(params.stdio[0]);
	cycle_fresh_cgroup();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_share_them_again),
		cmocka_unit_test(also_when_what_was_restored_is_captured),
		cmocka_unit_test(what_they_share_is_compared),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
