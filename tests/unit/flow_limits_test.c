// SPDX-License-Identifier: GPL-2.0-or-later
/* Limits of a cgroup: what was set comes back, what cannot is refused before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "flow/limits.h"

static const char set[] = "cgroup.max.depth 3\ncgroup.max.descendants 7\n";
static char cgroup[64];

static void check(int failed, const struct ckpt_err *err)
{
	if (failed)
		fail_msg("%s", err->text);
}

static void reads(const char *wanted)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;

	check(ckpt_limits_read(cgroup, &b, &err), &err);
	assert_int_equal(b.len, strlen(wanted));
	assert_memory_equal(b.data ? (char *)b.data : "", wanted, b.len);
}

static void test_come_back(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	reads("");
	check(ckpt_limits_check(cgroup, set, strlen(set), &err) ||
	      ckpt_limits_write(cgroup, set, strlen(set), &err), &err);
	reads(set);
	check(ckpt_cgroup_renew(cgroup, &err), &err);
	reads("");
}

static void test_refused(void **state)
{
	static const char missing[] = "memory.max 4096\n", strange[] = "cgroup.procs 1\n";
	struct ckpt_err err = CKPT_ERR_INIT;
	char below[80];

	(void)state;
	/* nobody has enabled a controller for what is below */
	snprintf(below, sizeof(below), "%s/below", cgroup);
	assert_int_equal(ckpt_limits_check(below, missing, strlen(missing), &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "enable memory in "));
	ckpt_err_clear(&err);
	assert_int_equal(ckpt_limits_write(cgroup, strange, strlen(strange), &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
}

static int setup(void **state)
{
	(void)state;
	snprintf(cgroup, sizeof(cgroup), "/ckpt-limits-test-%d", getpid());
	return ckpt_cgroup_make(cgroup, NULL);
}

static int teardown(void **state)
{
	(void)state;
	return ckpt_cgroup_remove(cgroup, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_come_back),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
