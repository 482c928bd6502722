// SPDX-License-Identifier: GPL-2.0-or-later
/* A tree in a cgroup namespace of its own over a restore. Natively as root. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/restore_cycle.h"
#include "proc/build.h"

/* Waits for "go", then says whether it is in the root of all hierarchies, as before. */
static char script[] = "before=$(cat /proc/self/cgroup); echo ready; "
	"while [ ! -e go ]; do sleep 0.05; done; "
	"[ \"$(cat /proc/self/cgroup)\" = \"$before\" ] || echo it is elsewhere; "
	"grep -v ':/$' /proc/self/cgroup && echo it is not in a root; echo all well";
static char *argv[] = { "unshare", "-C", "sh", "-c", script, NULL };

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };
	cleanup_free char *before = NULL, *after = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	cycle_check(ckpt_cgroup_of(getpid(), &before, &err), &err);
	cycle_start_and_save(argv, private, "ready", &first);
	assert_true(first.image.own_cgroupns);
	cycle_restore_and_save(&first, 0, &second);
	assert_true(second.image.own_cgroupns);
	cycle_go_on(&second);
	assert_null(strstr(cycle_read_output(), "it is"));
	cycle_check(ckpt_cgroup_of(getpid(), &after, &err), &err);
	assert_string_equal(before, after);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_beside_us(void **state)
{
	(void)state;
	restored(false);
}

static void test_shared_with_us(void **state)
{
	char *shared[] = { "sh", "-c", "echo ready; sleep 1000", NULL };
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_start_and_save(shared, true, "ready", &s);
	assert_false(s.image.own_cgroupns);
}

/* Where init has been for a moment it does not stay: it is no part of the tree. */
static void test_init_is_outside(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .image = &s.image, .source = &s.source,
					      .cgroup = cycle_cgroup_dir, .stdio = { 0, 1, 2 } };
	cleanup_free char *ours = NULL, *init = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;

	(void)state;
	cycle_start_and_save(argv, true, "ready", &s);
	cycle_check(ckpt_restore_build(&params, &r, &err) || ckpt_restore_verify(r, &err) ||
		    ckpt_cgroup_of(getpid(), &ours, &err) ||
		    ckpt_cgroup_of(r->init.pid, &init, &err), &err);
	assert_string_equal(ours, init);
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside_us),
		cmocka_unit_test(test_shared_with_us),
		cmocka_unit_test(test_init_is_outside),
	};

	return cmocka_run_group_tests_name("proc cgroupns", tests, cycle_setup, cycle_teardown);
}
