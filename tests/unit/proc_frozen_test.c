// SPDX-License-Identifier: GPL-2.0-or-later
/* Stops of trees whose cgroup somebody else freezes. Natively as root. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "proc/procfs.h"
#include "proc/remote.h"

static char outer[256], group[300], below[350];
static pid_t pid;

static void nothing(void)
{
}

static void freeze(const char *cgroup, bool on)
{
	assert_int_equal(proc_group_put(cgroup, "cgroup.freeze", on ? "1" : "0"), 0);
}

static int setup(void **state)
{
	(void)state;
	if (proc_group_make("frozen", outer, sizeof(outer)))
		return -1;
	snprintf(group, sizeof(group), "%s/group", outer);
	snprintf(below, sizeof(below), "%s/.below", group);
	if (mkdir(group, 0755) || mkdir(below, 0755))
		return -1;
	pid = proc_group_spawn(group, nothing);
	return pid > 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	proc_group_put(outer, "cgroup.freeze", "0");
	proc_group_end(outer);
	return 0;
}

/* Refused with the name of @where, before anything is stopped. */
static void refused_at_once(const char *where, bool by_pid)
{
	struct ckpt_stop_params params = { .cgroup = by_pid ? NULL : group,
					   .pid = by_pid ? pid : 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;

	freeze(where, true);
	assert_int_equal(ckpt_stop_open(&params, &stop, &err), -1);
	freeze(where, false);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, where));
	assert_non_null(strstr(err.text, "frozen by somebody else"));
	assert_true(proc_group_untraced(pid));
}

static void above_and_below_are_seen(void **state)
{
	(void)state;
	refused_at_once(outer, false);
	refused_at_once(group, false);
	refused_at_once(below, false);
	refused_at_once(outer, true);
	refused_at_once(group, true);
}

/* Between the scan and the stop: the freeze is not undone, and the tree not held. */
static void a_later_freeze_is_seen(void **state)
{
	const char *const where[] = { outer, group, below };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct ckpt_stop_params params = { .cgroup = group };
		struct ckpt_err err = CKPT_ERR_INIT;
		struct ckpt_stop *stop = NULL;
		char path[400], is = 0;
		FILE *f;

		if (ckpt_stop_open(&params, &stop, &err))
			fail_msg("%s", err.text);
		freeze(where[i], true);
		assert_int_equal(ckpt_stop_begin(stop, &err), -1);
		assert_int_equal(err.status, CKPT_REFUSED);
		ckpt_stop_close(stop);
		snprintf(path, sizeof(path), "%s/cgroup.freeze", where[i]);
		f = fopen(path, "re");
		assert_int_equal(fread(&is, 1, 1, f), 1);
		fclose(f);
		assert_int_equal(is, '1');
		freeze(where[i], false);
		assert_true(proc_group_untraced(pid));
	}
}

/* Nothing of ours is left in the memory of the process. */
static void assert_no_page_left(void)
{
	char line[256];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	f = fopen(line, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		assert_null(strstr(line, "rwxp"));
	fclose(f);
}

/* Frozen where the keeper is at @point: its waits end, and the tree runs on. */
static void frozen_at(const char *point)
{
	struct ckpt_stop_params params = { .cgroup = group };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	struct ckpt_image image;
	uint64_t began;
	pid_t keeper;

	keeper = proc_group_collect_at(&params, point, &stop, &err);
	if (keeper < 0)
		fail_msg("%s", err.text);
	freeze(outer, true);
	began = ckpt_now_ns();
	kill(keeper, SIGCONT);
	assert_int_equal(ckpt_stop_collect_wait(stop, &image, &err), -1);
	assert_true(ckpt_now_ns() - began < 8000000000ull);
	if (!strstr(err.text, "does not come back"))
		fail_msg("\"%s\" names no thread", err.text);
	assert_true(proc_group_untraced(pid));
	freeze(outer, false);
	ckpt_stop_close(stop);
	ckpt_err_clear(&err);
	if (proc_group_cycle(&params, NULL, &err))
		fail_msg("%s", err.text);
}

static void a_freeze_during_collect_is_bounded(void **state)
{
	(void)state;
	frozen_at("keeper.looked=stop");
	assert_no_page_left();
}

/*
 * All calls are under way at once: many processes take no longer than one. They go home by
 * themselves; the page they did it from stays with them.
 */
static void a_freeze_of_many_is_bounded(void **state)
{
	pid_t more[10];

	(void)state;
	for (int i = 0; i < 10; i++) {
		more[i] = proc_group_spawn(group, nothing);
		assert_true(more[i] > 0);
	}
	frozen_at("keeper.written=stop");
	for (int i = 0; i < 10; i++) {
		assert_true(proc_group_untraced(more[i]));
		kill(more[i], SIGKILL);
		waitpid(more[i], NULL, 0);
	}
}

static void a_remote_call_is_bounded(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint64_t at, none[6] = { 0 }, began;
	int64_t value;
	int status;

	(void)state;
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, __WALL), pid);
	assert_int_equal(ckpt_remote_vdso_syscall(pid, &at, &err), 0);
	freeze(outer, true);
	ckpt_remote_bound(200);
	began = ckpt_now_ns();
	assert_int_equal(ckpt_remote_syscall(pid, at, SYS_getpid, none, &value, &err), -1);
	assert_true(ckpt_now_ns() - began < 5000000000ull);
	ckpt_remote_bound(10000);
	assert_non_null(strstr(err.text, "does not come back"));
	freeze(outer, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(above_and_below_are_seen),
		cmocka_unit_test(a_later_freeze_is_seen),
		cmocka_unit_test(a_freeze_during_collect_is_bounded),
		cmocka_unit_test(a_freeze_of_many_is_bounded),
		cmocka_unit_test(a_remote_call_is_bounded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
