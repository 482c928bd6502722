// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables of descriptors that several processes have, over a restore. Natively as root. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	cycle_save_program("shared_table", NULL, private, &first);
	assert_int_equal(first.image.n_tasks, 8);
	assert_int_equal(first.image.n_fdtables, 3);
	cycle_restore_and_save(&first, 0, &second);
	assert_int_equal(second.image.n_fdtables, 3);
	cycle_go_on(&second);
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

/* Somebody with our table, who does nothing. */
static void share(void)
{
	long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (pid < 0)
		_exit(1);
	if (pid)
		return;
	for (;;)
		pause();
}

/* Both have it. */
static void a_lock(void)
{
	struct flock lock = { .l_type = F_WRLCK };
	char path[] = "/tmp/ckpt-table-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || fcntl(fd, F_SETLK, &lock))
		_exit(1);
	unlink(path);
	share();
}

/* A child that leaves the table to a child of its own; who has it last closes @fd. */
static void leave_to_child(int fd)
{
	long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (pid < 0)
		_exit(1);
	if (pid)
		return;
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid && (pid < 0 || unshare(CLONE_FILES)))
		_exit(1);
	/* when everybody above has left it as well */
	usleep(200000);
	close(fd);
	for (;;)
		pause();
}

static void cousins(void)
{
	leave_to_child(3);
	leave_to_child(3);
	usleep(50000);
	if (unshare(CLONE_FILES))
		_exit(1);
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ a_lock, "shares its table of descriptors with pid" },
		{ cousins, "with processes of which none can have forked it" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside_us),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("proc shared table", tests, cycle_setup,
					   cycle_teardown);
}
