// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupted system calls. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "proc/restart.h"

static struct user_regs_struct in_call(long nr, int64_t rax)
{
	return (struct user_regs_struct){ .rip = 0x1002, .orig_rax = nr, .rax = rax };
}

static void kernel_restarts(void **state)
{
	struct user_regs_struct r;

	(void)state;
	for (int e = 505; e < 525; e++) {
		r = in_call(SYS_read, -e);
		assert_int_equal(ckpt_restart_pending(&r),
				 e == 512 || e == 513 || e == 514 || e == 516);
	}
	r = in_call(-1, -512);
	assert_false(ckpt_restart_pending(&r));
	r = in_call(SYS_read, 512);
	assert_false(ckpt_restart_pending(&r));
}

static void eintr_of_the_stop(void **state)
{
	struct user_regs_struct r = in_call(SYS_epoll_wait, -EINTR);

	(void)state;
	assert_true(ckpt_restart_eintr(&r));
	assert_false(ckpt_restart_pending(&r));
	r = in_call(SYS_rt_sigtimedwait, -EINTR);
	assert_true(ckpt_restart_eintr(&r));
	r = in_call(SYS_epoll_wait, 3);
	assert_false(ckpt_restart_eintr(&r));
	/* of a socket with a limit */
	r = in_call(SYS_read, -EINTR);
	assert_true(ckpt_restart_eintr(&r));
	r = in_call(SYS_pause, -EINTR);
	assert_false(ckpt_restart_eintr(&r));
	r = in_call(-1, -EINTR);
	assert_false(ckpt_restart_eintr(&r));
}

static void who_remembers(void **state)
{
	struct user_regs_struct r = in_call(SYS_restart_syscall, -516);

	(void)state;
	assert_true(ckpt_restart_by_kernel(&r));
	r = in_call(SYS_recvfrom, -EINTR);
	assert_false(ckpt_restart_by_kernel(&r));
	r = in_call(-1, -516);
	assert_false(ckpt_restart_by_kernel(&r));
}

static void rewind_makes_the_call_again(void **state)
{
	struct user_regs_struct r = in_call(SYS_epoll_wait, -EINTR);

	(void)state;
	ckpt_restart_rewind(&r);
	assert_int_equal(r.rip, 0x1000);
	assert_int_equal(r.rax, SYS_epoll_wait);
	assert_true(r.orig_rax == UINT64_MAX);
	assert_false(ckpt_restart_pending(&r));
	assert_false(ckpt_restart_eintr(&r));
}

static void the_kernel_decides(void **state)
{
	struct user_regs_struct r = in_call(SYS_epoll_wait, -EINTR);

	(void)state;
	ckpt_restart_defer(&r, SYS_epoll_wait);
	assert_int_equal((int64_t)r.rax, -514);
	r = in_call(SYS_restart_syscall, -516);
	ckpt_restart_defer(&r, SYS_poll);
	assert_int_equal((int64_t)r.rax, -514);
	assert_int_equal(r.orig_rax, SYS_poll);
	r = in_call(SYS_read, -512);
	ckpt_restart_defer(&r, SYS_read);
	assert_int_equal((int64_t)r.rax, -512);
	assert_int_equal(r.rip, 0x1002);
}

static void number_of_a_restarted_call(void **state)
{
	static const uint8_t poll_code[] = { 0xb8, 7, 0, 0, 0, 0x0f, 0x05 };
	static const uint8_t read_code[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x05 };
	static const uint8_t other[] = { 0x90, 7, 0, 0, 0, 0x0f, 0x05 };
	struct user_regs_struct r = in_call(SYS_read, -512);

	(void)state;
	assert_int_equal(ckpt_restart_number(&r, NULL), SYS_read);
	r = in_call(SYS_restart_syscall, -516);
	r.rdi = 1;
	r.rdx = 0x7ffd00001230;
	assert_int_equal(ckpt_restart_number(&r, poll_code), SYS_poll);
	assert_int_equal(ckpt_restart_number(&r, read_code), SYS_clock_nanosleep);
	assert_int_equal(ckpt_restart_number(&r, other), SYS_clock_nanosleep);
	r.rdi = 0x7ffd00001000;
	r.rsi = 0x7ffd00001010;
	assert_int_equal(ckpt_restart_number(&r, NULL), SYS_nanosleep);
	r.rsi = 128 | 9 | 256;
	r.rdx = 1;
	r.r10 = 0x7ffd00001020;
	assert_int_equal(ckpt_restart_number(&r, NULL), SYS_futex);
	r.rsi = 2;
	r.rdx = 30000;
	assert_int_equal(ckpt_restart_number(&r, NULL), SYS_poll);
	r.rdi = 0;
	r.rsi = 0;
	assert_int_equal(ckpt_restart_number(&r, NULL), SYS_poll);
	r.rdi = 0x1233;
	r.rsi = 1ull << 40;
	assert_int_equal(ckpt_restart_number(&r, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_restarts),
		cmocka_unit_test(eintr_of_the_stop),
		cmocka_unit_test(who_remembers),
		cmocka_unit_test(the_kernel_decides),
		cmocka_unit_test(number_of_a_restarted_call),
		cmocka_unit_test(rewind_makes_the_call_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
