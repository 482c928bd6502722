// SPDX-License-Identifier: GPL-2.0-or-later
/* Cgroups: what is said where there is no v2 hierarchy, or a process is in none of it. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "base/cleanup.h"

/* Run @body in a process with mounts of its own, which it may change. */
static void with_own_mounts(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			_exit(100);
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int unmounted(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char *dir = NULL;
	int n = 0;

	for (; !ckpt_cgroup_dir("/", &dir, &err); n++) {
		dir[strlen(dir) - 1] = 0;
		if (n > 8 || umount2(dir, MNT_DETACH))
			return 1;
		free(dir);
		dir = NULL;
	}
	if (!n || dir || err.status != CKPT_REFUSED ||
	    !strstr(err.text, "no cgroup v2 hierarchy is mounted; mount one (type cgroup2)"))
		return 2;
	return 0;
}

static void refuses_where_none_is_mounted(void **state)
{
	(void)state;
	with_own_mounts(unmounted);
}

/* What a kernel shows whose hierarchies are all v1. */
static int in_v1_only(void)
{
	static const char text[] = "2:cpu,cpuacct:/\n1:name=systemd:/\n";
	char file[] = "/tmp/ckpt-cgroup-XXXXXX", path[64];
	struct ckpt_err err = CKPT_ERR_INIT;
	char *cgroup = NULL;
	int fd = mkstemp(file);

	snprintf(path, sizeof(path), "/proc/%d/cgroup", getpid());
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    mount(file, path, NULL, MS_BIND, NULL))
		return 1;
	close(fd);
	unlink(file);
	if (!ckpt_cgroup_of(getpid(), &cgroup, &err) || cgroup || err.status != CKPT_REFUSED ||
	    !strstr(err.text, "is in no cgroup of the v2 hierarchy"))
		return 2;
	umount(path);
	ckpt_err_clear(&err);
	if (ckpt_cgroup_of(getpid(), &cgroup, &err) || cgroup[0] != '/')
		return 3;
	free(cgroup);
	return 0;
}

static void refuses_who_is_in_none(void **state)
{
	(void)state;
	with_own_mounts(in_v1_only);
}

static void refuses_what_is_no_cgroup(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char *text = NULL;
	int32_t *pids;
	size_t n;

	(void)state;
	assert_int_equal(ckpt_cgroup_dir("no/slash", &text, &err), -1);
	assert_int_equal(err.status, CKPT_USAGE);
	assert_non_null(strstr(err.text, "is not a cgroup path from the root"));
	ckpt_err_clear(&err);
	assert_int_equal(ckpt_cgroup_of(0x7ffffffe, &text, &err), -1);
	assert_int_equal(err.status, CKPT_USAGE);
	assert_non_null(strstr(err.text, "there is no process with pid 2147483646"));
	ckpt_err_clear(&err);
	assert_int_equal(ckpt_cgroup_pids("/no/such", &pids, &n, &err), -1);
	assert_int_equal(err.status, CKPT_USAGE);
	assert_non_null(strstr(err.text, "'/no/such' is no cgroup"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_where_none_is_mounted),
		cmocka_unit_test(refuses_who_is_in_none),
		cmocka_unit_test(refuses_what_is_no_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
