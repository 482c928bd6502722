// SPDX-License-Identifier: GPL-2.0-or-later
/* Seccomp filters over a restore. Natively as root. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "proc/filter.h"

#define PROGRAM "filtered"
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(value) BPF_STMT(BPF_RET | BPF_K, value)

static void save(bool private, struct saved *s)
{
	cycle_save_program(PROGRAM, NULL, private, s);
	/* the child's own, and four of the other, each once */
	assert_int_equal(s->image.n_filters, 5);
}

static void test_restored(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	save(true, &s);
	cycle_go_on(&s);
}

static void test_restored_twice(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	cleanup_with(cycle_saved_done) struct saved again = { 0 };

	(void)state;
	save(false, &s);
	cycle_restore_and_save(&s, 50000, &again);
	assert_int_equal(again.image.n_filters, 5);
	cycle_go_on(&again);
}

static struct ckpt_thread *filtered(struct saved *s, size_t n)
{
	for (size_t i = 0; i < s->image.n_tasks; i++) {
		for (size_t j = 0; j < s->image.tasks[i].n_threads; j++) {
			if (s->image.tasks[i].threads[j].n_filters == n)
				return &s->image.tasks[i].threads[j];
		}
	}
	fail_msg("no thread has %zu filters", n);
	return NULL;
}

/* One that is missing is seen before the tree runs. */
static void test_lost(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .image = &s.image, .source = &s.source };
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_thread *t;

	(void)state;
	save(true, &s);
	params.cgroup = cycle_cgroup_dir;
	t = filtered(&s, 4);
	t->n_filters = 3;
	cycle_check(ckpt_restore_build(&params, &r, &err), &err);
	t->n_filters = 4;
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_non_null(strstr(err.text, "has other seccomp filters"));
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
}

static void expect_damaged(struct saved *s, const char *says)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_image_check(&s->image, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void test_contradictions(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_thread *t;
	uint32_t was;
	size_t n;

	(void)state;
	save(true, &s);
	t = filtered(&s, 4);
	was = t->filters[3];
	t->filters[3] = s.image.n_filters;
	expect_damaged(&s, "has a filter that is not there");
	t->filters[3] = was;
	n = s.image.filters[0].n_insns;
	s.image.filters[0].n_insns = 0;
	expect_damaged(&s, "a filter of 0 instructions");
	s.image.filters[0].n_insns = n;
	was = s.image.filters[0].flags;
	s.image.filters[0].flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	expect_damaged(&s, "with unknown flags");
	s.image.filters[0].flags = was;
	assert_int_equal(ckpt_image_check(&s.image, &err), 0);
}

/* --- refusals --- */

static void filter(const struct sock_filter *insns, size_t n)
{
	const struct sock_fprog prog = { n, (struct sock_filter *)insns };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		proc_group_lacks(0);
}

static void answer(int nr, uint32_t with)
{
	const struct sock_filter insns[] = {
		LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), RET(with),
		RET(SECCOMP_RET_ALLOW),
	};

	filter(insns, sizeof(insns) / sizeof(insns[0]));
}

static void die_of_mmap(void)
{
	answer(SYS_mmap, SECCOMP_RET_KILL_PROCESS);
}

static void die_of_munmap(void)
{
	answer(SYS_munmap, SECCOMP_RET_KILL_THREAD);
}

static void trap_getitimer(void)
{
	answer(SYS_getitimer, SECCOMP_RET_TRAP);
}

static void die_of_sigreturn(void)
{
	answer(SYS_rt_sigreturn, SECCOMP_RET_KILL_PROCESS);
}

static void fail_to_return(void)
{
	answer(SYS_rt_sigreturn, SECCOMP_RET_ERRNO | 99);
}

static void ask_others(void)
{
	answer(SYS_swapoff, SECCOMP_RET_USER_NOTIF);
}

static void calculate_answer(void)
{
	const struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_A, 0),
	};

	filter(insns, sizeof(insns) / sizeof(insns[0]));
}

static void be_strict(void)
{
	pid_t pid = fork();

	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(3);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL))
		syscall(SYS_exit, PROC_GROUP_NONE);
	for (;;)
		;
}

static pthread_barrier_t ready;

static void *have_the_same(void *arg)
{
	answer(SYS_swapoff, SECCOMP_RET_ERRNO);
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
	return arg;
}

static void share_among_some(void)
{
	pthread_t t;

	pthread_barrier_init(&ready, NULL, 3);
	for (int i = 0; i < 2; i++)
		pthread_create(&t, NULL, have_the_same, NULL);
	pthread_barrier_wait(&ready);
}

/* The kernel takes more of them. */
static void have_many(void)
{
	const struct sock_filter allow = RET(SECCOMP_RET_ALLOW);

	for (int i = 0; i <= CKPT_FILTER_CHAIN; i++)
		filter(&allow, 1);
}

static void have_one(void)
{
	answer(SYS_swapoff, SECCOMP_RET_ERRNO);
}

/* To who runs under a filter the kernel shows none. */
static void test_not_shown(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, have_one) };
	struct ckpt_err err = CKPT_ERR_INIT;
	int pair[2], status;
	pid_t pid;

	(void)state;
	assert_true(params.pid > 0);
	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (!pid) {
		have_one();
		if (!proc_group_cycle(&params, NULL, &err))
			_exit(3);
		_exit(write(pair[1], &err, sizeof(err)) != sizeof(err));
	}
	close(pair[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(pair[0], &err, sizeof(err)), sizeof(err));
	close(pair[0]);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, "that this kernel does not show to ckpt-tool"))
		fail_msg("%s", err.text);
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ die_of_mmap, "by which system call 9, which ckpt-tool makes there" },
		{ die_of_munmap, "by which system call 11, which ckpt-tool makes there" },
		{ trap_getitimer, "by which system call 36, which ckpt-tool makes there" },
		{ die_of_sigreturn, "by which system call 15, which ckpt-tool makes there" },
		{ fail_to_return, "by which system call 15, which ckpt-tool makes there" },
		{ ask_others, "may ask another process about system calls" },
		{ calculate_answer, "may ask another process about system calls" },
		{ be_strict, "is in strict seccomp mode" },
		{ have_many, "and too many others" },
		{ share_among_some, "some share a seccomp filter that others lack" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

/* All that a stop asks for is forbidden: it gets its answers, and the process its errors. */
static void forbid_much(void)
{
	static const int calls[] = {
		SYS_mmap, SYS_munmap, SYS_getitimer, SYS_rt_sigaction, SYS_brk, SYS_sigaltstack,
		SYS_keyctl, SYS_get_mempolicy, SYS_membarrier, SYS_tgkill,
	};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		answer(calls[i], SECCOMP_RET_ERRNO | 99);
}

static void test_forbidden(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, forbid_much) };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	(void)state;
	assert_true(params.pid > 0);
	for (int i = 0; i < 3; i++) {
		if (proc_group_cycle(&params, &image, &err))
			fail_msg("%s", err.text);
		assert_int_equal(image.tasks[0].threads[0].n_filters, 10);
		assert_true(image.mms[0].layout[5] != 0);
		ckpt_image_done(&image);
		assert_true(proc_group_untraced(params.pid));
	}
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

/* --- what filters answer --- */

static uint32_t run(const struct sock_filter *insns, size_t n, uint64_t arg)
{
	const struct seccomp_data data = { .nr = 5, .arch = AUDIT_ARCH_X86_64, .args = { arg } };
	uint64_t copy[16];

	memcpy(copy, insns, n * sizeof(copy[0]));
	return ckpt_filter_run(copy, n, &data);
}

#define RUN(arg, ...) ({ \
	const struct sock_filter insns_[] = { __VA_ARGS__ }; \
	run(insns_, sizeof(insns_) / sizeof(insns_[0]), arg); \
})

#define CALC(op, value) BPF_STMT(BPF_ALU | (op) | BPF_K, value)
#define RET_A BPF_STMT(BPF_RET | BPF_A, 0)
#define SET(value) BPF_STMT(BPF_LD | BPF_IMM, value)

static void test_answers(void **state)
{
	(void)state;
	assert_int_equal(RUN(0, RET(7)), 7);
	assert_int_equal(RUN(0, LOAD(nr), RET_A), 5);
	assert_int_equal(RUN(0x1122334455667788, LOAD(args[0]), RET_A), 0x55667788);
	assert_int_equal(RUN(0, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), RET_A), 64);
	assert_int_equal(RUN(0, SET(6), CALC(BPF_ADD, 3), CALC(BPF_SUB, 1), CALC(BPF_MUL, 10),
			     CALC(BPF_DIV, 4), RET_A), 20);
	assert_int_equal(RUN(0, SET(0xf0), CALC(BPF_OR, 0xf), CALC(BPF_AND, 0x3c),
			     CALC(BPF_XOR, 1), CALC(BPF_LSH, 4), CALC(BPF_RSH, 2), RET_A), 0xf4);
	assert_int_equal(RUN(0, SET(1), BPF_STMT(BPF_ALU | BPF_NEG, 0), RET_A), UINT32_MAX);
	assert_int_equal(RUN(0, SET(9), BPF_STMT(BPF_MISC | BPF_TAX, 0), SET(2),
			     BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), RET_A), (uint32_t)-7);
	assert_int_equal(RUN(0, SET(9), BPF_STMT(BPF_ST, 15), SET(2),
			     BPF_STMT(BPF_LDX | BPF_MEM, 15), BPF_STMT(BPF_MISC | BPF_TXA, 0),
			     RET_A), 9);
	assert_int_equal(RUN(0, SET(4), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 4, 0, 1), RET(1),
			     BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 4, 1, 0), RET(2),
			     BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 6, 1, 0), RET(3),
			     BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), RET(4), RET(5)), 5);
}

/* What the kernel takes from nobody. */
static void test_senseless(void **state)
{
	(void)state;
	assert_int_equal(RUN(0, SET(1)), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(RUN(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 61), RET_A),
			 SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(RUN(0, BPF_STMT(BPF_LD | BPF_MEM, 16), RET_A), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(RUN(0, BPF_STMT(BPF_ST, UINT32_MAX), RET_A), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(RUN(0, BPF_JUMP(BPF_JMP | BPF_JA, UINT32_MAX, 0, 0), RET(1)),
			 SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(RUN(0, CALC(BPF_MOD, 3), RET_A), SECCOMP_RET_KILL_PROCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_senseless),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_twice),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_shown),
		cmocka_unit_test(test_forbidden),
	};

	return cmocka_run_group_tests_name("proc seccomp", tests, cycle_setup, cycle_teardown);
}
