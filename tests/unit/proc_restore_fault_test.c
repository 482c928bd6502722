// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Faults of a restore: killed or failed at every step it leaves nothing, nobody of the tree has
 * run, and it can be repeated.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "lib/restore_cycle.h"

/* A restore with a fault, in a process of its own. Return: its wait status. */
static int restore_aside(struct saved *s, const char *fault, struct ckpt_err *err)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
	};
	struct ckpt_restore *r = NULL;
	struct ckpt_restore_result result;
	int status, pair[2], failed;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		setenv("CKPT_FAULT", fault, 1);
		params.stdio[0] = params.stdio[1] = params.stdio[2] = open("/dev/null", O_RDWR);
		failed = ckpt_restore_build(&params, &r, err) || ckpt_restore_verify(r, err) ||
			 ckpt_restore_run(r, &result, err);
		ckpt_restore_close(r);
		_exit(write(pair[1], err, sizeof(*err)) != sizeof(*err) || !failed);
	}
	close(pair[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (read(pair[0], err, sizeof(*err)) != sizeof(*err))
		err->text[0] = 0;
	close(pair[0]);
	return status;
}

#define COUNTERS 4

static char trace_path[64];
static volatile uint64_t *trace;

/* What the four threads have counted; every instruction that one of them gets shows here. */
static void read_trace(uint64_t ret[COUNTERS])
{
	memcpy(ret, (void *)trace, COUNTERS * sizeof(*ret));
}

static void start_ticker(struct saved *s)
{
	cleanup_free char *program = cycle_program("ticker");
	char *argv[] = { program, trace_path, NULL };
	int fd;

	snprintf(trace_path, sizeof(trace_path), "/tmp/ckpt-ticker-%d", getpid());
	cycle_start_and_save(argv, true, "here\nhere", s);
	fd = open(trace_path, O_RDWR | O_CLOEXEC);
	trace = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(trace != MAP_FAILED);
	close(fd);
}

static void stayed_still(const uint64_t before[COUNTERS], const char *fault)
{
	uint64_t now[COUNTERS];

	read_trace(now);
	if (memcmp(before, now, sizeof(now)))
		fail_msg("%s: the tree ran, in a restore that did not succeed", fault);
}

static void test_faults(void **state)
{
	static const char * const points[] = {
		"spawned", "files", "born", "areas", "memory:2", "lock", "fds", "locks",
		"threads:2", "late", "signals", "filters", "attrs", "alarms", "pending", "owners",
		"verify", "alarmed", "timers", "regs", "regs:2", "detach", "detach:2", "release",
	};
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	uint64_t before[COUNTERS], after[COUNTERS];
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	struct ckpt_err err;
	char fault[64];
	size_t i;
	int status;

	(void)state;
	start_ticker(&s);
	read_trace(before);
	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		err = (struct ckpt_err)CKPT_ERR_INIT;
		snprintf(fault, sizeof(fault), "restore.%s", points[i]);
		status = restore_aside(&s, fault, &err);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail_msg("%s was not reached: %s", fault, err.text);
		cycle_fresh_cgroup();
		stayed_still(before, fault);
		snprintf(fault, sizeof(fault), "restore.%s=fail", points[i]);
		status = restore_aside(&s, fault, &err);
		if (status || !strstr(err.text, "fault injected"))
			fail_msg("%s did not fail: %s", fault, err.text);
		cycle_fresh_cgroup();
		stayed_still(before, fault);
	}
	err = (struct ckpt_err)CKPT_ERR_INIT;
	assert_int_equal(restore_aside(&s, "restore.flip=fail", &err), 0);
	if (err.status != CKPT_DAMAGED || !strstr(err.text, "memory at 0x") ||
	    !strstr(err.text, "process "))
		fail_msg("a flipped byte is called: %s", err.text);
	cycle_fresh_cgroup();
	stayed_still(before, "restore.flip");
	cycle_restore(&s, &r, &result);
	do
		read_trace(after);
	while (before[0] == after[0] || before[1] == after[1] || before[2] == after[2] ||
	       before[3] == after[3]);
	ckpt_cgroup_kill(cycle_cgroup, 5000, NULL);
	unlink(trace_path);
	cycle_close_saved(r);
	cycle_fresh_cgroup();
}

/* All of an address space but its vdso: one area below, one above. */
static void fill_address_space(struct ckpt_mm *mm)
{
	static struct ckpt_area areas[2][8];
	static size_t used;
	struct ckpt_area *a = areas[used++];
	const struct ckpt_area all = { .prot = PROT_READ | PROT_WRITE, .file = CKPT_NONE,
				       .kind = CKPT_AREA_KIND_ANON };
	size_t n = 1;

	a[0] = all;
	a[0].start = 0x10000;
	for (size_t i = 0; i < mm->n_areas && n < 7; i++)
		if (mm->areas[i].kind == CKPT_AREA_KIND_VDSO ||
		    mm->areas[i].kind == CKPT_AREA_KIND_VVAR)
			a[n++] = mm->areas[i];
	assert_in_range(n, 2, 6);
	a[0].end = a[1].start;
	a[n] = all;
	a[n].start = a[n - 1].end;
	a[n++].end = 0x7ffffffff000;
	mm->areas = a;
	mm->n_areas = n;
}

static void test_no_room(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct saved full;
	struct ckpt_mm mms[2];

	(void)state;
	start_ticker(&s);
	full = s;
	assert_int_equal(s.image.n_mms, 2);
	full.image.mms = memcpy(mms, s.image.mms, sizeof(mms));
	fill_address_space(&mms[0]);
	fill_address_space(&mms[1]);
	assert_int_equal(restore_aside(&full, "none", &err), 0);
	if (err.status != CKPT_REFUSED || !strstr(err.text, "leave no common room of"))
		fail_msg("\"%s\" (status %d) is not the refusal", err.text, err.status);
	cycle_fresh_cgroup();
	unlink(trace_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
