// SPDX-License-Identifier: GPL-2.0-or-later
/* Limits of a cgroup: what was set comes back, what cannot is refused before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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
	check(ckpt_limits_check(cgroup, set, strlen(set), false, &err) ||
	      ckpt_limits_write(cgroup, set, strlen(set), &err), &err);
	/* these would bound the building of a tree */
	reads("");
	check(ckpt_limits_write_late(cgroup, set, strlen(set), &err), &err);
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
	assert_int_equal(ckpt_limits_check(below, missing, strlen(missing), false, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "enable memory in "));
	ckpt_err_clear(&err);
	assert_int_equal(ckpt_limits_write(cgroup, strange, strlen(strange), &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
}

static bool is_there(const char *name)
{
	cleanup_free char *dir = NULL;

	assert_int_equal(ckpt_cgroup_dir(name, &dir, NULL), 0);
	return !access(dir, F_OK);
}

/* A value that the kernel does not take shows before anything is restored. */
static void test_value_is_tried(void **state)
{
	static const char bad[] = "cgroup.max.depth 3\ncgroup.max.descendants -4\n";
	struct ckpt_err err = CKPT_ERR_INIT;
	char below[80], scratch[96];

	(void)state;
	snprintf(below, sizeof(below), "%s/new/below", cgroup);
	snprintf(scratch, sizeof(scratch), "%s+limits", below);
	assert_int_equal(ckpt_limits_check(below, bad, strlen(bad), false, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "cgroup.max.descendants"));
	assert_non_null(strstr(err.text, "'-4'"));
	assert_false(is_there(scratch));
	ckpt_err_clear(&err);
	check(ckpt_limits_check(below, set, strlen(set), false, &err), &err);
	assert_false(is_there(scratch));
}

static void test_dry_changes_nothing(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char above[80], below[96];

	(void)state;
	snprintf(above, sizeof(above), "%s/other", cgroup);
	snprintf(below, sizeof(below), "%s/below", above);
	check(ckpt_limits_check(below, set, strlen(set), true, &err), &err);
	assert_false(is_there(above));
}

static void put(const char *dir, const char *name, const char *text)
{
	cleanup_fclose FILE *f = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
}

static void drop(const char *dir, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

/* What an idle cgroup shows as its weight cannot be written. */
static void test_idle(void **state)
{
	char dir[] = "/tmp/ckpt-limits-XXXXXX", saved[sizeof(cgroup)];

	(void)state;
	assert_non_null(mkdtemp(dir));
	put(dir, "cpu.weight", "0\n");
	put(dir, "cpu.idle", "1\n");
	memcpy(saved, cgroup, sizeof(saved));
	/* a plain folder in the place of a cgroup that has the controller */
	snprintf(cgroup, sizeof(cgroup), "/../../../../..%s", dir);
	reads("cpu.idle 1\n");
	memcpy(cgroup, saved, sizeof(saved));
	drop(dir, "cpu.weight");
	drop(dir, "cpu.idle");
	rmdir(dir);
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
		cmocka_unit_test(test_value_is_tried),
		cmocka_unit_test(test_dry_changes_nothing),
		cmocka_unit_test(test_idle),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
