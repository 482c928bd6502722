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
	r = in_call(SYS_read, -EINTR);
	assert_false(ckpt_restart_eintr(&r));
	r = in_call(-1, -EINTR);
	assert_false(ckpt_restart_eintr(&r));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_restarts),
		cmocka_unit_test(eintr_of_the_stop),
		cmocka_unit_test(rewind_makes_the_call_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
