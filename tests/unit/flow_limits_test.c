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
/* of a cgroup in which no other can be made */
static const char none[] = "cgroup.max.descendants 0\n";
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

static void test_finds(void **state)
{
	static const char text[] = "pids.max 7\ncpuset.cpus 0-1,3\n";
	cleanup_free char *cpus = NULL, *mems = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	check(ckpt_limits_find(text, strlen(text), "cpuset.cpus", &cpus, &err), &err);
	assert_string_equal(cpus, "0-1,3");
	check(ckpt_limits_find(text, strlen(text), "cpuset.mems", &mems, &err), &err);
	assert_null(mems);
	assert_int_equal(ckpt_limits_find("cgroup.procs 1", 14, "cpuset.cpus", &mems, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
}

/* The nearest that is there, down to the mount point. */
static void test_above(void **state)
{
	cleanup_free char *top = NULL, *dir = NULL, *near = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	char far[100];

	(void)state;
	snprintf(far, sizeof(far), "/ckpt-no-such-%d/a/b", getpid());
	check(ckpt_cgroup_dir("/", &top, &err) || ckpt_cgroup_above(far, &dir, &err), &err);
	assert_int_equal(strlen(dir) + 1, strlen(top));
	assert_memory_equal(dir, top, strlen(dir));
	snprintf(far, sizeof(far), "%s/a/b", cgroup);
	check(ckpt_cgroup_above(far, &near, &err), &err);
	assert_string_equal(near + strlen(dir), cgroup);
}

static void test_refused(void **state)
{
	static const char *const strange[] = { "cgroup.procs 1\n", "hugetlb.2MB.current 1\n",
					       "hugetlb./../cgroup.max 1\n" };
	static const char missing[] = "memory.max 4096\n", misc[] = "misc.max sev 3\n";
	struct ckpt_err err = CKPT_ERR_INIT;
	char below[80];

	(void)state;
	/* nobody has enabled a controller for what is below */
	snprintf(below, sizeof(below), "%s/below", cgroup);
	assert_int_equal(ckpt_limits_check(below, missing, strlen(missing), false, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "enable memory in "));
	ckpt_err_clear(&err);
	assert_int_equal(ckpt_limits_check(below, misc, strlen(misc), false, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "enable misc in "));
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		ckpt_err_clear(&err);
		assert_int_equal(ckpt_limits_write(cgroup, strange[i], strlen(strange[i]), &err),
				 -1);
		assert_int_equal(err.status, CKPT_DAMAGED);
	}
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

/* Nowhere to try them: one is in the way, and none can be made. */
static void test_cannot_be_tried(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char below[80], scratch[96], inside[112];

	(void)state;
	snprintf(below, sizeof(below), "%s/below", cgroup);
	snprintf(scratch, sizeof(scratch), "%s+limits", below);
	snprintf(inside, sizeof(inside), "%s/inside", scratch);
	check(ckpt_cgroup_make(inside, &err), &err);
	assert_int_equal(ckpt_limits_check(below, set, strlen(set), false, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "cannot try the limits"));
	assert_non_null(strstr(err.text, "; remove /"));
	assert_true(is_there(inside));
	ckpt_err_clear(&err);
	check(ckpt_cgroup_remove(scratch, &err), &err);
	check(ckpt_limits_write(cgroup, none, strlen(none), &err) ||
	      ckpt_limits_write_late(cgroup, none, strlen(none), &err), &err);
	assert_int_equal(ckpt_limits_check(below, set, strlen(set), false, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "make it possible to make"));
	assert_false(is_there(scratch));
	ckpt_err_clear(&err);
	check(ckpt_cgroup_renew(cgroup, &err), &err);
	check(ckpt_limits_check(below, set, strlen(set), false, &err), &err);
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

/* A file of a cgroup: what it reads as, and the limits that are in that. */
struct shown {
	const char *file, *text, *limits;
};

/* Plain files in the place of a cgroup that has all controllers; they take the limits back. */
static void shows(const struct shown *files, size_t n)
{
	char dir[] = "/tmp/ckpt-limits-XXXXXX", saved[sizeof(cgroup)], all[512] = "";
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_non_null(mkdtemp(dir));
	memcpy(saved, cgroup, sizeof(saved));
	snprintf(cgroup, sizeof(cgroup), "/../../../../..%s", dir);
	for (size_t i = 0; i < n; i++) {
		put(dir, files[i].file, files[i].text);
		strcat(all, files[i].limits);
	}
	reads(all);
	for (size_t i = 0; i < n; i++)
		put(dir, files[i].file, "");
	check(ckpt_limits_write(cgroup, all, strlen(all), &err), &err);
	reads(all);
	memcpy(cgroup, saved, sizeof(saved));
	for (size_t i = 0; i < n; i++)
		drop(dir, files[i].file);
	rmdir(dir);
}

/* What an idle cgroup shows as its weight cannot be written. */
static void test_idle(void **state)
{
	static const struct shown idle[] = {
		{ "cpu.weight", "0\n", "" }, { "cpu.idle", "1\n", "cpu.idle 1\n" },
	};

	(void)state;
	shows(idle, 2);
}

/* Controllers that few machines have enabled: as their files read. */
static void test_rare(void **state)
{
	static const struct shown new[] = {
		{ "cpu.uclamp.min", "0.00\n", "" }, { "cpu.uclamp.max", "max\n", "" },
		{ "io.prio.class", "no-change\n", "" }, { "hugetlb.1GB.max", "max\n", "" },
		{ "hugetlb.2MB.rsvd.max", "max\n", "" },
		{ "misc.max", "sev max\nsev_es max\n", "" },
		{ "rdma.max", "mlx4_0 hca_handle=max hca_object=max \n", "" },
	};
	static const struct shown set[] = {
		{ "cpu.uclamp.min", "20.00\n", "cpu.uclamp.min 20.00\n" },
		{ "cpu.uclamp.max", "80.50\n", "cpu.uclamp.max 80.50\n" },
		{ "io.prio.class", "idle\n", "io.prio.class idle\n" },
		{ "hugetlb.1GB.current", "0\n", "" },
		{ "hugetlb.1GB.max", "0\n", "hugetlb.1GB.max 0\n" },
		{ "hugetlb.2MB.max", "4194304\n", "hugetlb.2MB.max 4194304\n" },
		{ "hugetlb.2MB.rsvd.max", "2097152\n", "hugetlb.2MB.rsvd.max 2097152\n" },
		{ "misc.max", "sev 5\nsev_es max\n", "misc.max sev 5\n" },
		{ "rdma.max", "mlx4_0 hca_handle=2 hca_object=max \n",
		  "rdma.max mlx4_0 hca_handle=2 hca_object=max\n" },
	};

	(void)state;
	shows(new, sizeof(new) / sizeof(new[0]));
	shows(set, sizeof(set) / sizeof(set[0]));
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
		cmocka_unit_test(test_finds),
		cmocka_unit_test(test_above),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_value_is_tried),
		cmocka_unit_test(test_cannot_be_tried),
		cmocka_unit_test(test_dry_changes_nothing),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_rare),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
