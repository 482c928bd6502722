// SPDX-License-Identifier: GPL-2.0-or-later
/* Trees without a pid namespace of their own, whose pids are free or not. Natively as root. */
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/restore_cycle.h"
#include "proc/build.h"

#define PROGRAM "family"

static struct ckpt_restore_params params_of(struct saved *s)
{
	return (struct ckpt_restore_params){
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
		.stdio = { -1, -1, -1 },
	};
}

static int32_t forecast(struct saved *s)
{
	const struct ckpt_restore_params params = params_of(s);
	struct ckpt_err err = CKPT_ERR_INIT;
	int32_t taken = -1;

	cycle_check(ckpt_restore_forecast(&params, &taken, &err), &err);
	return taken;
}

/* A child of ours with the number @pid. */
static pid_t take_pid(pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1,
	};
	pid_t got = syscall(SYS_clone3, &args, sizeof(args));

	if (got < 0)
		fail_msg("nobody can have pid %d", pid);
	return got;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Until it is killed, but not for ever where a test has failed. */
static void __attribute__((noreturn)) stay(void)
{
	alarm(60);
	for (;;)
		pause();
}

static pid_t hold_pid(pid_t pid)
{
	pid_t got = take_pid(pid);

	if (got)
		return got;
	stay();
}

/* Somebody for whom @pid is no more than his session, or his group. */
static pid_t hold_number(pid_t pid, bool group)
{
	int ready[2];
	pid_t member = 0;

	assert_int_equal(pipe(ready), 0);
	if (!take_pid(pid)) {
		if (group)
			setpgid(0, 0);
		else
			setsid();
		member = fork();
		if (member)
			_exit(0);
		while (getppid() == pid)
			usleep(1000);
		member = getpid();
		if (!group)
			setpgid(0, 0);
		(void)!write(ready[1], &member, sizeof(member));
		stay();
	}
	assert_int_equal(read(ready[0], &member, sizeof(member)), sizeof(member));
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return member;
}

static void await_gone(pid_t pid)
{
	for (int i = 0; i < 1000 && !kill(pid, 0); i++)
		usleep(10000);
	assert_int_not_equal(kill(pid, 0), 0);
}

static const struct ckpt_task *left_one(const struct saved *s)
{
	for (size_t i = 0; i < s->image.n_tasks; i++) {
		const struct ckpt_task *t = &s->image.tasks[i];

		if (t->sid == t->pgid && t->sid != t->pid && t->sid != s->image.tasks[0].sid)
			return t;
	}
	fail_msg("nobody is in a session whose leader is gone");
	return NULL;
}

static void free_pids_are_the_same(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	(void)state;
	cycle_save_program(PROGRAM, NULL, false, &s);
	assert_false(s.image.private_pidns);
	assert_int_equal(forecast(&s), 0);
	cycle_restore(&s, &r, &result);
	assert_false(result.moved);
	assert_int_equal(result.root_pid, s.image.tasks[0].pid);
	cycle_saved_done(&s);
	s = (struct saved){ 0 };
	cycle_save_again(r, &s);
	assert_false(s.image.private_pidns);
	cycle_fresh_cgroup();
	cycle_go_on(&s);
	assert_null(strstr(cycle_read_output(), "strangers 0\n"));
}

/* Whatever number of it somebody has; and then it is one with a pid namespace of its own. */
static void taken_pids_are_had_elsewhere(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	struct ckpt_task *root;
	pid_t holder;

	(void)state;
	cycle_save_program(PROGRAM, NULL, false, &s);
	root = &s.image.tasks[0];
	assert_int_equal(root->n_threads, 2);
	holder = hold_pid(root->threads[1].tid);
	assert_int_equal(forecast(&s), root->threads[1].tid);
	end(holder);
	holder = hold_pid(left_one(&s)->sid);
	assert_int_equal(forecast(&s), left_one(&s)->sid);
	end(holder);
	assert_int_equal(forecast(&s), 0);
	holder = hold_pid(root->pid);
	assert_int_equal(forecast(&s), root->pid);
	cycle_restore(&s, &r, &result);
	assert_true(result.moved);
	assert_int_not_equal(result.root_pid, root->pid);
	cycle_saved_done(&s);
	s = (struct saved){ 0 };
	cycle_save_again(r, &s);
	assert_true(s.image.private_pidns);
	assert_int_equal(s.image.tasks[0].pid, holder);
	assert_int_equal(forecast(&s), 0);
	cycle_fresh_cgroup();
	cycle_go_on(&s);
	assert_non_null(strstr(cycle_read_output(), "parent 1\nstrangers 0\n"));
	assert_int_equal(kill(holder, 0), 0);
	end(holder);
}

static void a_number_is_taken_by_groups_and_sessions(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, NULL, false, &s);
	for (int group = 0; group < 2; group++) {
		pid_t pid = s.image.tasks[0].pid, member = hold_number(pid, group);
		char path[32];

		snprintf(path, sizeof(path), "/proc/%d", pid);
		assert_int_not_equal(access(path, F_OK), 0);
		assert_int_equal(forecast(&s), pid);
		kill(member, SIGKILL);
		await_gone(member);
		assert_int_equal(forecast(&s), 0);
	}
}

static void a_spare_number_is_no_group(void **state)
{
	pid_t pid = fork(), member;
	struct ckpt_restore r = { 0 };

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	member = hold_number(pid, 1);
	r.ghost = pid;
	assert_int_not_equal(kill(pid, 0), 0);
	assert_int_not_equal(ckpt_pids_spare(&r), pid);
	kill(member, SIGKILL);
	await_gone(member);
	r.ghost = pid;
	assert_int_equal(ckpt_pids_spare(&r), pid);
}

/* Of who was killed a moment ago the parent has not heard yet. */
static void the_dead_are_waited_for(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	pid_t parent;
	int status;

	(void)state;
	cycle_save_program(PROGRAM, NULL, false, &s);
	parent = fork();
	if (!parent) {
		pid_t child = take_pid(s.image.tasks[0].pid);

		if (!child)
			_exit(0);
		sleep(1);
		_exit(waitpid(child, NULL, 0) != child);
	}
	usleep(300000);
	assert_int_equal(kill(s.image.tasks[0].pid, 0), 0);
	assert_int_equal(forecast(&s), 0);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
}

/* Takes @pid as soon as this process stands still, and lets it go on. */
static pid_t take_at_stop(pid_t pid)
{
	pid_t me = getpid(), thief = fork();
	char path[32], state = 0;

	if (thief)
		return thief;
	snprintf(path, sizeof(path), "/proc/%d/stat", me);
	while (state != 'T') {
		FILE *f = fopen(path, "re");

		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			_exit(1);
		fclose(f);
		usleep(1000);
	}
	hold_pid(pid);
	kill(me, SIGCONT);
	stay();
}

static void a_pid_that_is_taken_meanwhile_is_named(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = params_of(&s);
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;
	int32_t taken = 0;
	pid_t pid, thief;

	(void)state;
	cycle_save_program(PROGRAM, NULL, false, &s);
	pid = s.image.tasks[0].pid;
	params.ret_taken = &taken;
	params.stdio[0] = params.stdio[1] = params.stdio[2] = STDERR_FILENO;
	setenv("CKPT_FAULT", "restore.spawned=stop", 1);
	thief = take_at_stop(pid);
	assert_int_equal(ckpt_restore_build(&params, &r, &err), -1);
	unsetenv("CKPT_FAULT");
	assert_null(r);
	assert_int_equal(taken, pid);
	assert_int_equal(err.status, CKPT_FAILED);
	assert_non_null(strstr(err.text, "try again"));
	cycle_fresh_cgroup();
	cycle_taken = taken;
	kill(pid, SIGKILL);
	end(thief);
	cycle_go_on(&s);	/* though it is free again */
	cycle_taken = 0;
	assert_non_null(strstr(cycle_read_output(), "parent 1\n"));
}

/* One that ends by a signal. */
static void many_objects_move(void)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	cycle_save_program("kernel_objects", NULL, false, &s);
	cycle_fresh_cgroup();
	cycle_taken = s.image.tasks[0].pid;
	cycle_restore(&s, &r, &result);
	cycle_taken = 0;
	assert_int_equal(kill(result.root_pid, SIGTERM), 0);
	cycle_finish(r, 0);
	assert_non_null(strstr(cycle_read_output(), "all well"));
	cycle_fresh_cgroup();
}

/* What other programs hold is as right in a pid namespace that they did not have. */
static void all_objects_move(void **state)
{
	static const char *const programs[] = {
		"locks", "timers", "filtered", "shared_memory", "uring", "tcp_sockets", "ptys",
		"unix_sockets", "watchers",
	};

	(void)state;
	many_objects_move();
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		cleanup_with(cycle_saved_done) struct saved s = { 0 };

		print_message("# %s\n", programs[i]);
		cycle_save_program(programs[i], NULL, false, &s);
		cycle_fresh_cgroup();
		cycle_taken = s.image.tasks[0].pid;
		cycle_go_on(&s);
		cycle_taken = 0;
		cycle_fresh_cgroup();
	}
}

static void refused(struct saved *s, int32_t taken, const char *says)
{
	struct ckpt_restore_params params = params_of(s);
	struct ckpt_err err = CKPT_ERR_INIT;

	params.taken = taken;
	assert_int_equal(ckpt_restore_preflight(&params, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

/* A directory in which "proc" is another procfs, as what chroot enters has it. */
static void with_other_procfs(struct saved *s)
{
	struct ckpt_task *root = &s->image.tasks[0];
	struct ckpt_file *cwd = &s->image.files[root->cwd];
	char top[] = "/tmp/ckpt-pids-XXXXXX", proc[64], *was = cwd->path;

	assert_non_null(mkdtemp(top));
	snprintf(proc, sizeof(proc), "%s/proc", top);
	assert_int_equal(mkdir(proc, 0700), 0);
	assert_int_equal(mount("none", proc, "proc", 0, NULL), 0);
	cwd->path = proc;
	refused(s, root->pid, "which the tree has open, would not show its numbers");
	cwd->path = top;
	root->root = root->cwd;
	refused(s, root->pid, "is /proc to pid");
	root->root = CKPT_NONE;
	cwd->path = was;
	assert_int_equal(umount(proc), 0);
	assert_int_equal(rmdir(proc) || rmdir(top), 0);
}

static void what_cannot_move_is_refused(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_task *root;
	int32_t sid;

	(void)state;
	cycle_save_program(PROGRAM, NULL, false, &s);
	root = &s.image.tasks[0];
	with_other_procfs(&s);
	sid = root->sid;
	root->sid = 1;
	refused(&s, 0, "the init of its pid namespace or in its session");
	root->sid = sid;
	root->threads[1].tid = 5000000;
	refused(&s, 0, "kernel.pid_max");
	refused(&s, root->pid, "kernel.pid_max");
}

static struct ckpt_task *leader_of(struct saved *s, bool session)
{
	for (size_t i = 1; i < s->image.n_tasks; i++) {
		struct ckpt_task *t = &s->image.tasks[i];

		if (t->pgid == t->pid && (t->sid == t->pid) == session)
			return t;
	}
	fail_msg("nobody leads a session or group");
	return NULL;
}

/* Nobody takes an orphan of a session that is not below him. */
static void a_session_of_others_is_refused(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_task *t;

	(void)state;
	cycle_save_program(PROGRAM, NULL, false, &s);
	assert_int_equal(forecast(&s), 0);
	t = &s.image.tasks[left_one(&s) - s.image.tasks];
	t->sid = leader_of(&s, true)->pid;
	assert_int_equal(forecast(&s), 0);	/* of one that is below */
	t->ppid = leader_of(&s, false)->pid;
	refused(&s, 0, "in which no parent of it can have been");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_pids_are_the_same),
		cmocka_unit_test(taken_pids_are_had_elsewhere),
		cmocka_unit_test(a_number_is_taken_by_groups_and_sessions),
		cmocka_unit_test(a_spare_number_is_no_group),
		cmocka_unit_test(the_dead_are_waited_for),
		cmocka_unit_test(a_pid_that_is_taken_meanwhile_is_named),
		cmocka_unit_test(all_objects_move),
		cmocka_unit_test(what_cannot_move_is_refused),
		cmocka_unit_test(a_session_of_others_is_refused),
	};

	return cmocka_run_group_tests_name("proc pids", tests, cycle_setup, cycle_teardown);
}
