// SPDX-License-Identifier: GPL-2.0-or-later
/* Remote system calls on a child of the test. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/remote.h"

#define OPTIONS (PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | \
		 PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)

static uint8_t *shared;

/* A child that spins on a counter, seized and stopped. */
static pid_t spinner(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		for (;;)
			(*(volatile uint64_t *)shared)++;
	}
	assert_true(pid > 0);
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0, OPTIONS), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, __WALL), pid);
	return pid;
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, __WALL), pid);
}

static void test_calls(void **state)
{
	pid_t pid = spinner();
	struct ckpt_err err = CKPT_ERR_INIT;
	uint64_t at, none[6] = { 0 };
	uint64_t args[6] = { -1, (uintptr_t)"", 1 };
	int64_t value = 0;
	int i;

	(void)state;
	assert_int_equal(ckpt_remote_vdso_syscall(pid, &at, &err), 0);
	for (i = 0; i < 100; i++) {
		assert_int_equal(ckpt_remote_syscall(pid, at, SYS_getpid, none, &value, &err), 0);
		assert_int_equal(value, pid);
	}
	assert_int_equal(ckpt_remote_syscall(pid, at, SYS_write, args, &value, &err), 0);
	assert_int_equal(value, -EBADF);
	end(pid);
}

static void test_registers_put_back(void **state)
{
	pid_t pid = spinner();
	struct user_regs_struct regs;
	uint64_t at, before, none[6] = { 0 };
	int64_t value;

	(void)state;
	assert_int_equal(ptrace(PTRACE_GETREGS, pid, 0, &regs), 0);
	assert_int_equal(ckpt_remote_vdso_syscall(pid, &at, NULL), 0);
	assert_int_equal(ckpt_remote_syscall(pid, at, SYS_getppid, none, &value, NULL), 0);
	assert_int_equal(value, getpid());
	before = *(volatile uint64_t *)shared;
	assert_int_equal(ptrace(PTRACE_SETREGS, pid, 0, &regs), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
	while (*(volatile uint64_t *)shared < before + 1000)
		usleep(1000);
	end(pid);
}

static void test_stop_is_kept(void **state)
{
	pid_t pid = spinner();
	uint64_t at, mask = ~0ull, none[6] = { 0 };
	struct user_regs_struct regs;
	int64_t value;
	int status;

	(void)state;
	assert_int_equal(ptrace(PTRACE_GETREGS, pid, 0, &regs), 0);
	assert_int_equal(ckpt_remote_vdso_syscall(pid, &at, NULL), 0);
	assert_int_equal(ptrace(PTRACE_SETSIGMASK, pid, 8, &mask), 0);
	kill(pid, SIGSTOP);
	kill(pid, SIGUSR1);
	assert_int_equal(ckpt_remote_syscall(pid, at, SYS_getpid, none, &value, NULL), 0);
	assert_int_equal(value, pid);
	assert_int_equal(ptrace(PTRACE_SETREGS, pid, 0, &regs), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	end(pid);
}

static void test_clone(void **state)
{
	pid_t child = 0, pid = spinner();
	struct clone_args clone = { .exit_signal = SIGCHLD };
	uint64_t at, none[6] = { 0 };
	int64_t value;

	(void)state;
	assert_int_equal(ckpt_remote_vdso_syscall(pid, &at, NULL), 0);
	assert_int_equal(ckpt_remote_write(pid, (uintptr_t)shared + 64, &clone, sizeof(clone),
					   NULL), 0);
	assert_int_equal(ckpt_remote_clone(pid, at, (uintptr_t)shared + 64, sizeof(clone), &value,
					   &child, NULL), 0);
	assert_int_equal(value, child);
	assert_int_equal(ckpt_remote_syscall(child, at, SYS_getppid, none, &value, NULL), 0);
	assert_int_equal(value, pid);
	end(child);
	end(pid);
}

static void test_dead_thread(void **state)
{
	pid_t pid = spinner();
	struct ckpt_err err = CKPT_ERR_INIT;
	uint64_t at, none[6] = { 0 };
	int64_t value = 77;
	int status;

	(void)state;
	assert_int_equal(ckpt_remote_vdso_syscall(pid, &at, NULL), 0);
	kill(pid, SIGKILL);
	assert_int_equal(ckpt_remote_syscall(pid, at, SYS_getpid, none, &value, &err), -1);
	assert_int_equal(err.status, CKPT_FAILED);
	assert_int_equal(value, 77);
	waitpid(pid, &status, __WALL);
}

static void test_memory(void **state)
{
	uint8_t out[64], in[64];
	uint8_t *hidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid = spinner();

	(void)state;
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(ckpt_remote_write(pid, (uintptr_t)hidden + 8, out, sizeof(out), NULL), 0);
	assert_int_equal(ckpt_remote_read(pid, (uintptr_t)hidden + 8, in, sizeof(in), NULL), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(ckpt_remote_read(pid, 0, in, sizeof(in), NULL), -1);
	end(pid);
	munmap(hidden, 4096);
}

/* What a program can do to the code of its own vdso, with no page of it writable. */
static void test_no_syscall_instruction(void **state)
{
	pid_t pid = spinner();
	struct ckpt_err err = CKPT_ERR_INIT;
	const uint8_t nops[2] = { 0x90, 0x90 };
	uint64_t at;
	int n = 0;

	(void)state;
	while (!ckpt_remote_vdso_syscall(pid, &at, &err)) {
		assert_int_equal(ckpt_remote_write(pid, at, nops, sizeof(nops), NULL), 0);
		assert_true(n++ < 1000);
	}
	assert_true(n > 0);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "holds no syscall instruction"));
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_registers_put_back),
		cmocka_unit_test(test_stop_is_kept),
		cmocka_unit_test(test_clone),
		cmocka_unit_test(test_dead_thread),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_no_syscall_instruction),
	};

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
