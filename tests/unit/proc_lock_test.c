// SPDX-License-Identifier: GPL-2.0-or-later
/* File locks over a restore, and those that are in its way. Natively as root. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "lib/scratch.h"
#include "proc/build.h"
#include "proc/parse.h"

#define PROGRAM "locks"
#define N_LOCKS 19

static void save(bool private, struct saved *s)
{
	cycle_save_program(PROGRAM, NULL, private, s);
	assert_int_equal(s->image.n_locks, N_LOCKS);
}

static void test_restored(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	save(true, &s);
	cycle_go_on(&s);
}

/* Captured once more after the restore: the locks are the same, each once. */
static void test_restored_twice(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	cleanup_with(cycle_saved_done) struct saved again = { 0 };

	(void)state;
	save(false, &s);
	cycle_restore_and_save(&s, 50000, &again);
	assert_int_equal(again.image.n_locks, N_LOCKS);
	cycle_go_on(&again);
}

static char *path_of(const struct saved *s, const char *name)
{
	for (size_t i = 0; i < s->image.n_files; i++) {
		char *path = s->image.files[i].path;
		const char *last = path ? strrchr(path, '/') : NULL;

		if (last && !strcmp(last + 1, name))
			return path;
	}
	fail_msg("no file %s", name);
	return NULL;
}

static void expect_in_the_way(const struct saved *s, const char *path)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
	};
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	char says[512];

	assert_int_equal(ckpt_restore_build(&params, &r, &err), -1);
	assert_null(r);
	snprintf(says, sizeof(says), "holds a lock on %s, which pid %d has now", path, getpid());
	if (err.status != CKPT_REFUSED || !strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static bool as_if_put_in_place(const void *arg, const char *path)
{
	(void)arg;
	(void)path;
	return true;
}

/* Found when it is too late for the preflight. */
static void expect_taken(const struct saved *s, const char *path)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
		.later = as_if_put_in_place,
	};
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_restore_build(&params, &r, &err), -1);
	assert_null(r);
	if (err.status != CKPT_REFUSED || !strstr(err.text, path) ||
	    !strstr(err.text, "end that process first"))
		fail_msg("\"%s\" says nothing of %s", err.text, path);
	cycle_fresh_cgroup();
}

static void test_in_the_way(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct flock l = { .l_type = F_RDLCK, .l_start = 100, .l_len = 1 };
	int flocked, ranged;

	(void)state;
	save(true, &s);
	flocked = open(path_of(&s, "shared"), O_RDONLY);
	assert_int_equal(flock(flocked, LOCK_EX | LOCK_NB), 0);
	expect_in_the_way(&s, path_of(&s, "shared"));
	expect_taken(&s, path_of(&s, "shared"));
	assert_int_equal(flock(flocked, LOCK_SH), 0);
	ranged = open(path_of(&s, "database"), O_RDWR);
	assert_int_equal(fcntl(ranged, F_SETLK, &l), 0);
	expect_in_the_way(&s, path_of(&s, "database"));
	expect_taken(&s, path_of(&s, "database"));
	close(ranged);
	/* two that read are not in each other's way */
	cycle_go_on(&s);
	close(flocked);
}

/* A lease is not had on what somebody else has open. */
static void test_lease_in_the_way(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = {
		.image = &s.image, .source = &s.source, .cgroup = cycle_cgroup_dir,
	};
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	int fd;

	(void)state;
	save(true, &s);
	fd = open(path_of(&s, "lease_write"), O_RDONLY);
	assert_int_equal(ckpt_restore_build(&params, &r, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, "lease_write, which a process outside of it has open now"))
		fail_msg("\"%s\"", err.text);
	close(fd);
	cycle_fresh_cgroup();
	cycle_go_on(&s);
}

/* A lock that does not come back is seen before the tree runs. */
static void test_lost(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .image = &s.image, .source = &s.source };
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	size_t n;

	(void)state;
	save(true, &s);
	params.cgroup = cycle_cgroup_dir;
	n = s.image.n_locks;
	s.image.n_locks--;
	cycle_check(ckpt_restore_build(&params, &r, &err), &err);
	s.image.n_locks = n;
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_non_null(strstr(err.text, "locks instead of"));
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
}

/* --- images that contradict themselves --- */

static void be_unknown(struct ckpt_lock *l)
{
	l->kind = CKPT_LOCK_LEASE + 1;
}

static void end_early(struct ckpt_lock *l)
{
	l->start = 4;
	l->end = 3;
}

static void end_late(struct ckpt_lock *l)
{
	l->end = (uint64_t)INT64_MAX + 1;
}

static void have_no_file(struct ckpt_lock *l)
{
	l->file = CKPT_NONE;
}

static void be_held_by_nobody(struct ckpt_lock *l)
{
	l->pid = 99999999;
}

static void test_contradictions(void **state)
{
	static void (*const spoil[])(struct ckpt_lock *l) = {
		be_unknown, end_early, end_late, have_no_file, be_held_by_nobody,
	};
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const struct ckpt_lock *l;
	uint32_t *flags, was;

	(void)state;
	save(true, &s);
	for (size_t i = 0; i < s.image.n_locks; i++) {
		for (size_t k = 0; k < sizeof(spoil) / sizeof(spoil[0]); k++) {
			const struct ckpt_lock before = s.image.locks[i];
			struct ckpt_err err = CKPT_ERR_INIT;

			spoil[k](&s.image.locks[i]);
			assert_int_equal(ckpt_image_check(&s.image, &err), -1);
			assert_int_equal(err.status, CKPT_DAMAGED);
			assert_non_null(strstr(err.text, "process image: a lock is "));
			s.image.locks[i] = before;
		}
	}
	for (l = s.image.locks; l->kind == CKPT_LOCK_FLOCK; l++)
		;
	flags = &s.image.files[l->file].flags;
	was = *flags;
	*flags = (was & ~(uint32_t)O_ACCMODE) | (l->write ? O_RDONLY : O_WRONLY);
	assert_int_equal(ckpt_image_check(&s.image, NULL), -1);
	*flags = was;
	s.image.files[l->file].kind = CKPT_FILE_PIPE;
	assert_int_equal(ckpt_image_check(&s.image, NULL), -1);
	s.image.files[l->file].kind = CKPT_FILE_REG;
	assert_int_equal(ckpt_image_check(&s.image, NULL), 0);
}

/* --- refusals --- */

#define LEASED scratch("leased")

/* Somebody has wanted to write, and has given up. */
static void break_lease(void)
{
	int fd = open(LEASED, O_RDONLY | O_CREAT, 0600);

	if (signal(SIGIO, SIG_IGN) == SIG_ERR || fcntl(fd, F_SETLEASE, F_RDLCK) ||
	    open(LEASED, O_WRONLY | O_NONBLOCK) >= 0 || unlink(LEASED))
		_exit(1);
}

static void map_leased(void)
{
	int fd = open(LEASED, O_RDWR | O_CREAT, 0600);

	if (ftruncate(fd, 1) || fcntl(fd, F_SETLEASE, F_WRLCK) ||
	    mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED || unlink(LEASED))
		_exit(1);
}

static void lock_pipe(void)
{
	int fds[2];

	if (pipe(fds) || flock(fds[0], LOCK_EX))
		_exit(1);
}

static int ours;

/* The description is the test's as well, as under flock(1). */
static void hold_with_others(void)
{
	int test = syscall(SYS_pidfd_open, getppid(), 0);

	if (syscall(SYS_pidfd_getfd, test, ours, 0) < 0 || close(test))
		_exit(1);
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ break_lease, "a lease that it is to give up on descriptor" },
		{ map_leased, "which it has mapped as well" },
		{ lock_pipe, "a lock of what is no file on descriptor" },
		{ hold_with_others, "which is not in the tree" },
	};

	(void)state;
	ours = open(scratch("locked"), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(ours, LOCK_EX), 0);
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	close(ours);
}

/* --- the text --- */

static void test_lines(void **state)
{
	static const char fdinfo[] =
		"pos:\t0\nflags:\t02100002\nmnt_id:\t28\nino:\t77\n"
		"lock:\t1: FLOCK  ADVISORY  WRITE 359 00:1a:77 0 EOF\n"
		"lock:\t2: POSIX  ADVISORY  READ  0 103:02:18446744073709551615 5 9\n"
		"lock:\t3: OFDLCK ADVISORY  WRITE -1 08:01:77 0 9223372036854775806\n"
		"lock:\t4: LEASE  ACTIVE    READ  359 08:01:77 0 EOF\n"
		"lock:\t5: LEASE  BREAKING  WRITE 359 08:01:77 0 EOF\n"
		"lock:\t6: DELEG  ACTIVE    READ  359 08:01:77 0 EOF\n";
	static const char locks[] =
		"1: POSIX  ADVISORY  WRITE 77 08:01:4711 3 EOF\n"
		"1: -> POSIX  ADVISORY  READ 78 08:01:4711 3 4\n"
		"1:  -> FLOCK  ADVISORY  READ 79 08:01:4711 0 EOF\n"
		"2: FLOCK  ADVISORY  READ 80 <none>:0 0 EOF\n";
	struct ckpt_lock_line l;
	const char *at = fdinfo;

	(void)state;
	assert_int_equal(ckpt_parse_lock_line(&at, true, &l), 1);
	assert_true(l.kind == CKPT_LOCK_FLOCK && l.write && !l.waits && l.pid == 359);
	assert_true(l.dev == makedev(0, 0x1a) && l.ino == 77 && !l.start && l.end == INT64_MAX);
	assert_int_equal(ckpt_parse_lock_line(&at, true, &l), 1);
	assert_true(l.kind == CKPT_LOCK_POSIX && !l.write && !l.pid);
	assert_true(l.dev == makedev(0x103, 2) && l.ino == UINT64_MAX);
	assert_true(l.start == 5 && l.end == 9);
	assert_int_equal(ckpt_parse_lock_line(&at, true, &l), 1);
	assert_true(l.kind == CKPT_LOCK_OFD && l.pid == -1 && l.end == INT64_MAX - 1);
	assert_int_equal(ckpt_parse_lock_line(&at, true, &l), 1);
	assert_true(l.kind == CKPT_LOCK_LEASE && !l.write && !l.breaking && l.pid == 359);
	assert_int_equal(ckpt_parse_lock_line(&at, true, &l), 1);
	assert_true(l.kind == CKPT_LOCK_LEASE && l.write && l.breaking);
	assert_int_equal(ckpt_parse_lock_line(&at, true, &l), 1);
	assert_true(l.kind == CKPT_NONE);
	assert_int_equal(ckpt_parse_lock_line(&at, true, &l), 0);
	at = locks;
	assert_int_equal(ckpt_parse_lock_line(&at, false, &l), 1);
	assert_true(l.kind == CKPT_LOCK_POSIX && l.write && !l.waits && l.pid == 77);
	assert_true(l.start == 3 && l.end == INT64_MAX);
	assert_int_equal(ckpt_parse_lock_line(&at, false, &l), 1);
	assert_true(l.waits && l.kind == CKPT_LOCK_POSIX && l.end == 4);
	assert_int_equal(ckpt_parse_lock_line(&at, false, &l), 1);
	assert_true(l.waits && l.kind == CKPT_LOCK_FLOCK && !l.write && l.pid == 79);
	assert_int_equal(ckpt_parse_lock_line(&at, false, &l), 1);
	assert_true(!l.ino && l.pid == 80);
	assert_int_equal(ckpt_parse_lock_line(&at, false, &l), 0);
}

static void test_bad_lines(void **state)
{
	static const char *const bad[] = {
		"lock:\t", "lock:\tx", "lock:\t1: FLOCK",
		"lock:\t1: FLOCK  ADVISORY  READ 1 zz 0 1",
		"lock:\t1: POSIX  ADVISORY  READ 1 00:1a:77 0",
		"lock:\t1: POSIX  ADVISORY  READ 1 00:1a:77 0 E",
		"lock:\t1: POSIX  ADVISORY  READ 1 <some>:0 0 1",
	};
	struct ckpt_lock_line l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *at = bad[i];

		if (ckpt_parse_lock_line(&at, true, &l) != -1)
			fail_msg("\"%s\" is taken for a lock", bad[i]);
	}
}

static int make_all(void **state)
{
	return scratch_make(state) || cycle_setup(state);
}

static int remove_all(void **state)
{
	return cycle_teardown(state) | scratch_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_twice),
		cmocka_unit_test(test_in_the_way),
		cmocka_unit_test(test_lease_in_the_way),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("proc locks", tests, make_all, remove_all);
}
