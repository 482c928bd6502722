// SPDX-License-Identifier: GPL-2.0-or-later
/* Refusals of the stop that concern a task: where it lives, who traces it, how it runs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "proc/sched-attr.h"

#define READY 3			/* proc_group_spawn waits for a byte here and its end */

static int test_pipe[2];	/* ends that the test itself holds */

static void become_ready(void)
{
	if (write(READY, "", 1) != 1)
		_exit(1);
	close(READY);
}

static volatile bool thread_done;

/* A thread that does @arg and goes on. */
static void *do_in_thread(void *arg)
{
	((void (*)(void))arg)();
	thread_done = true;
	for (;;)
		pause();
	return NULL;
}

static void in_thread(void (*body)(void))
{
	pthread_t t;

	pthread_create(&t, NULL, do_in_thread, body);
	while (!thread_done)
		usleep(1000);
}

static void unshare_descriptors(void)
{
	if (unshare(CLONE_FILES) || close(READY))
		_exit(1);
}

static void have_own_descriptors(void)
{
	in_thread(unshare_descriptors);
}

static void unshare_directory(void)
{
	if (unshare(CLONE_FS))
		_exit(1);
}

static void have_own_directory(void)
{
	in_thread(unshare_directory);
}

static void *ready_without_leader(void *arg)
{
	char path[64], text[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", getpid());
	for (bool gone = false; !gone; usleep(1000)) {
		f = fopen(path, "re");
		gone = f && fgets(text, sizeof(text), f) && strstr(text, ") Z ");
		if (f)
			fclose(f);
	}
	become_ready();
	for (;;)
		pause();
	return arg;
}

/* Its first thread ends, another one runs on. */
static void end_first_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, ready_without_leader, NULL);
	syscall(SYS_exit, 0);
}

/* Of no effect on a machine of one node. */
static void have_area_with_policy(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long first = 1;

	if (access("/sys/devices/system/node/node1", F_OK) ||
	    syscall(SYS_mbind, p, 4096, MPOL_BIND, &first, 8 * sizeof(first), 0))
		proc_group_lacks(ENOENT);
}

static void hold_pipe_of_others(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getppid(), test_pipe[1]);
	if (open(path, O_WRONLY) < 0)
		_exit(1);
}

static void meet_deadlines(void)
{
	struct ckpt_sched_attr attr = {
		.size = sizeof(attr), .policy = 6 /* SCHED_DEADLINE */,
		.runtime = 5000000, .deadline = 100000000, .period = 100000000,
	};

	if (syscall(SYS_sched_setattr, 0, &attr, 0))
		proc_group_lacks(EPERM);
}

/* Compatibility mode: a far return to the segment of 32-bit programs, there a loop. */
static void run_32_bit(void)
{
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	uint64_t at = (uintptr_t)code;

	if (code == MAP_FAILED)
		_exit(1);
	memcpy(code, "\xeb\xfe", 2);
	become_ready();
	asm volatile("pushq $0x23\n\tpushq %0\n\tlretq" : : "r"(at) : "memory");
}

/* The C library has no use for it while it only writes and waits. */
static void live_without_vdso(void)
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);

	if (!vdso || munmap((void *)vdso, 8192))
		_exit(1);
}

/* A child with its memory that is in no hurry to execute anything. */
static int share_memory(void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(READY);
	for (;;)
		pause();
	return 0;
}

static void have_sharing_child(void)
{
	static char stack[16384] __attribute__((aligned(16)));

	if (clone(share_memory, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0)
		_exit(1);
}

/* The two change their working directory together. */
static void share_directory(void)
{
	if (!syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0))
		share_memory(NULL);
}

/* What a child in a group of its own shares with its parent, who is in none. */
static const struct outside {
	int flag;
	const char *what;
} outsides[] = {
	{ CLONE_VM, "an address space" },
	{ CLONE_FILES, "descriptors" },
	{ CLONE_FS, "a working directory" },
	{ CLONE_VM | CLONE_SIGHAND, "an address space" },
};
static const struct outside *outside;
/* A descriptor of both the parent closes. */
static int stay(void *arg)
{
	if (!(outside->flag & CLONE_FILES))
		close(READY);
	for (;;)
		pause();
	return *(int *)arg;
}

static void share_with_child(void)
{
	static char stack[16384] __attribute__((aligned(16)));

	if (clone(stay, stack + sizeof(stack), outside->flag | SIGCHLD, NULL) < 0)
		_exit(1);
}

static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &child), 1);
	fclose(f);
	return child;
}

/* Who is outside goes on in what they share while it is captured. */
static void refuses_what_is_shared_with_outside(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(outsides) / sizeof(outsides[0]); i++) {
		struct ckpt_stop_params params = { 0 };
		char says[128];
		pid_t parent;

		outside = &outsides[i];
		parent = proc_group_spawn(NULL, share_with_child);
		assert_true(parent > 0);
		params.pid = child_of(parent);
		snprintf(says, sizeof(says), "shares %s with pid %d outside the tree",
			 outside->what, parent);
		proc_group_refused(&params, says);
		assert_true(proc_group_untraced(params.pid));
		assert_true(proc_group_untraced(parent));
		kill(params.pid, SIGKILL);
		kill(parent, SIGKILL);
		waitpid(parent, NULL, 0);
	}
}

/* What cannot be restored is refused by name, and its holder runs on. */
static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ have_own_descriptors, "has descriptors or a directory of its own" },
		{ have_own_directory, "has descriptors or a directory of its own" },
		{ have_area_with_policy, "has memory with a policy" },
		{ hold_pipe_of_others, "whose other end is outside the tree" },
		{ meet_deadlines, "runs under the deadline scheduler" },
		{ run_32_bit, "runs 32-bit code" },
		{ have_sharing_child, "shares the address space of its parent" },
		{ live_without_vdso, "has unmapped, moved or protected a part of its vdso" },
		{ share_directory, "shares a working directory with pid" },
	};

	(void)state;
	assert_int_equal(pipe2(test_pipe, O_CLOEXEC), 0);
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	close(test_pipe[0]);
	close(test_pipe[1]);
}

static void refuses_without_a_first_thread(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, end_first_thread) };

	(void)state;
	proc_group_refused(&params, "has ended its first thread while others run");
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static void nothing(void)
{
}

/* A debugger holds it: nobody else can. */
static void refuses_who_is_traced(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, nothing) };
	int ready[2];
	char byte;
	pid_t tracer;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	tracer = fork();
	if (!tracer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_SEIZE, params.pid, 0, 0) || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	proc_group_refused(&params, "is traced by pid");
	kill(tracer, SIGKILL);
	waitpid(tracer, NULL, 0);
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
}

/* The cgroup another child of the body goes to. */
static char elsewhere[256];

static void lose_child(void)
{
	pid_t pid = fork();
	char text[16];

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(READY);
		for (;;)
			pause();
	}
	snprintf(text, sizeof(text), "%d", pid);
	if (proc_group_put(elsewhere, "cgroup.procs", text))
		_exit(1);
}

static void refuses_who_left(void **state)
{
	char cgroup[256];
	struct ckpt_stop_params params = { .cgroup = cgroup };
	struct ckpt_err err = CKPT_ERR_INIT;
	time_t spawned = time(NULL);
	pid_t pid;

	(void)state;
	assert_int_equal(proc_group_make("home", cgroup, sizeof(cgroup)), 0);
	assert_int_equal(proc_group_make("away", elsewhere, sizeof(elsewhere)), 0);
	pid = proc_group_spawn(cgroup, lose_child);
	assert_true(pid > 0);
	/* in its first second it may be on its way into the cgroup */
	assert_int_equal(proc_group_cycle(&params, NULL, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (time(NULL) - spawned <= 1)
		assert_non_null(strstr(err.text, "has just been born"));
	sleep(2);
	proc_group_refused(&params, "is outside the group's cgroup");
	assert_true(proc_group_untraced(pid));
	proc_group_end(elsewhere);
	proc_group_end(cgroup);
}

/* As one of a threaded subtree, and as the root of one. */
static void refuses_a_threaded_cgroup(void **state)
{
	char cgroup[256], below[300];
	struct ckpt_stop_params params = { .cgroup = below };

	(void)state;
	assert_int_equal(proc_group_make("threaded", cgroup, sizeof(cgroup)), 0);
	snprintf(below, sizeof(below), "%s/below", cgroup);
	assert_int_equal(mkdir(below, 0755), 0);
	assert_int_equal(proc_group_put(below, "cgroup.type", "threaded"), 0);
	assert_true(proc_group_spawn(below, nothing) > 0);
	proc_group_refused(&params, "is threaded");
	params.cgroup = cgroup;
	proc_group_refused(&params, "is threaded");
	proc_group_end(cgroup);
}

/* In a pid namespace of our own the others of the cgroup have no number. */
static void refuses_who_has_no_number(void **state)
{
	char cgroup[256];
	struct ckpt_stop_params params = { .cgroup = cgroup };
	pid_t outer, inner;
	int status;

	(void)state;
	assert_int_equal(proc_group_make("outer", cgroup, sizeof(cgroup)), 0);
	outer = proc_group_spawn(cgroup, nothing);
	assert_true(outer > 0);
	inner = fork();
	if (!inner) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			proc_group_lacks(0);
		inner = fork();
		if (!inner) {
			struct ckpt_err err = CKPT_ERR_INIT;
			int ret;

			if (mount("proc", "/proc", "proc", 0, NULL))
				proc_group_lacks(0);
			ret = proc_group_cycle(&params, NULL, &err);
			_exit(ret == -1 && err.status == CKPT_REFUSED &&
			      strstr(err.text, "another pid namespace") ? 0 : 1);
		}
		waitpid(inner, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	assert_int_equal(waitpid(inner, &status, 0), inner);
	assert_true(proc_group_untraced(outer));
	proc_group_end(cgroup);
	assert_int_equal(status, 0);
}

/*
 * A wait for which the kernel has kept the time that is left, and whose number the program
 * had in a register for long: neither its code nor its arguments tell.
 */
static void sleep_namelessly(void)
{
	struct timespec long_time = { 1000, 0 };
	long nr = SYS_nanosleep;

	become_ready();
	for (;;)
		__asm__ volatile("nop; nop; nop; nop; nop; syscall"
				 : "+a"(nr) : "D"(&long_time), "S"(0) : "rcx", "r11", "memory");
}

static void wait_until_in(pid_t pid, long call)
{
	char path[64];
	long now = -1;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	for (int i = 0; now != call; i++) {
		FILE *f = fopen(path, "re");

		if (i > 5000)
			fail_msg("pid %d is in call %ld, not in %ld", pid, now, call);
		usleep(1000);
		if (!f || fscanf(f, "%ld", &now) != 1)
			now = -1;
		if (f)
			fclose(f);
	}
}

static void refuses_a_call_without_a_number(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, sleep_namelessly) };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	assert_true(params.pid > 0);
	wait_until_in(params.pid, SYS_nanosleep);
	if (proc_group_cycle(&params, NULL, &err))
		fail_msg("%s", err.text);
	wait_until_in(params.pid, SYS_restart_syscall);
	proc_group_refused(&params, "whose number cannot be known; try again");
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static void have_sigsys_waiting(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGSYS);
}

/* As on a kernel before Linux 6.4. */
static void refuses_sigsys_where_nothing_tells_of_dispatch(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, have_sigsys_waiting) };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	assert_true(params.pid > 0);
	setenv("CKPT_FAULT", "keeper.dispatch=fail", 1);
	proc_group_refused(&params, "has SIGSYS waiting, and this kernel does not tell");
	unsetenv("CKPT_FAULT");
	assert_true(proc_group_untraced(params.pid));
	if (proc_group_cycle(&params, NULL, &err))
		fail_msg("%s", err.text);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static void refuses_the_wrong_order(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, nothing) };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	struct ckpt_image image;

	(void)state;
	assert_true(params.pid > 0);
	assert_int_equal(ckpt_stop_open(&params, &stop, &err), 0);
	assert_int_equal(ckpt_stop_collect(stop, &image, &err), -1);
	assert_int_equal(err.status, CKPT_USAGE);
	assert_non_null(strstr(err.text, "the tree is not stopped"));
	ckpt_err_clear(&err);
	assert_int_equal(ckpt_stop_begin(stop, &err), 0);
	assert_int_equal(ckpt_stop_begin(stop, &err), -1);
	assert_int_equal(err.status, CKPT_USAGE);
	assert_non_null(strstr(err.text, "the tree is stopped already"));
	ckpt_stop_close(stop);
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(refuses_what_is_shared_with_outside),
		cmocka_unit_test(refuses_without_a_first_thread),
		cmocka_unit_test(refuses_who_is_traced),
		cmocka_unit_test(refuses_who_left),
		cmocka_unit_test(refuses_a_threaded_cgroup),
		cmocka_unit_test(refuses_who_has_no_number),
		cmocka_unit_test(refuses_a_call_without_a_number),
		cmocka_unit_test(refuses_sigsys_where_nothing_tells_of_dispatch),
		cmocka_unit_test(refuses_the_wrong_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
