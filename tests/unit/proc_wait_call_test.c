// SPDX-License-Identifier: GPL-2.0-or-later
/* Timed waits, call by call: which have a time, and what becomes of it.  The memory is our own. */
#include <errno.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "proc/wait.h"

#define S 1000000000ll
#define AGAIN ((uint64_t)-514)	/* -ERESTARTNOHAND */

static uint8_t stack[4096] __attribute__((aligned(64)));
static uint8_t other_stack[4096] __attribute__((aligned(64)));
static struct timespec asked = { 3, 5 };
static struct timeval asked_val = { 3, 5 };

static struct user_regs_struct in_call(long nr)
{
	return (struct user_regs_struct){
		.rip = 0x1002, .orig_rax = nr, .rax = AGAIN,
		.rsp = (uint64_t)(uintptr_t)stack + 2048,
	};
}

static struct ckpt_wait_room no_room(void)
{
	return (struct ckpt_wait_room){ .tid = getpid() };
}

static uint64_t at(const void *p)
{
	return (uintptr_t)p;
}

static struct timespec spec_at(uint64_t where)
{
	struct timespec t;

	memcpy(&t, (void *)where, sizeof(t));
	return t;
}

static void knows_which_are_timed(void **state)
{
	struct user_regs_struct r = in_call(SYS_epoll_wait);

	(void)state;
	r.r10 = 0xffffffff;
	assert_true(ckpt_wait_call(&r));
	assert_false(ckpt_wait_timed(getpid(), &r));
	r.r10 = 5;
	assert_true(ckpt_wait_timed(getpid(), &r));
	r = in_call(SYS_read);
	assert_false(ckpt_wait_call(&r));
	r = in_call(SYS_clock_nanosleep);
	r.rdx = at(&asked);
	assert_true(ckpt_wait_timed(getpid(), &r));
	r.rsi = TIMER_ABSTIME;
	assert_false(ckpt_wait_timed(getpid(), &r));
	r = in_call(SYS_futex);
	r.rsi = FUTEX_WAIT_PRIVATE;
	assert_false(ckpt_wait_timed(getpid(), &r));
	r.r10 = at(&asked);
	assert_true(ckpt_wait_timed(getpid(), &r));
	r.rsi = FUTEX_WAIT_BITSET_PRIVATE;
	assert_false(ckpt_wait_timed(getpid(), &r));
	/* rewound: the number is in rax */
	r = in_call(-1);
	r.rax = SYS_ppoll;
	r.rdx = at(&asked);
	assert_true(ckpt_wait_timed(getpid(), &r));
}

static void milliseconds_go_up(void **state)
{
	static const struct {
		int64_t left;
		uint64_t ms;
	} cases[] = {
		{ 1, 1 }, { 999999, 1 }, { 1000000, 1 }, { 1000001, 2 }, { 1999 * 1000000ll, 1999 },
		{ 5 * S, 2000 }, { 0, 1 }, { -S, 1 },
	};
	const struct ckpt_wait_room room = no_room();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct user_regs_struct r = in_call(SYS_epoll_pwait);

		r.r10 = 2000;
		ckpt_wait_go_on(&room, &r, cases[i].left);
		assert_int_equal(r.r10, cases[i].ms);
		assert_int_equal(r.orig_rax, SYS_epoll_pwait);
	}
}

static void pointers_lead_to_free_memory(void **state)
{
	struct ckpt_wait_room room = no_room();
	struct user_regs_struct r = in_call(SYS_rt_sigtimedwait);

	(void)state;
	/* below the red zone */
	memset(stack, 0x55, sizeof(stack));
	r.rdx = at(&asked);
	ckpt_wait_go_on(&room, &r, 2 * S + 7);
	assert_in_range(r.rdx, r.rsp - 256, r.rsp - 128 - sizeof(asked));
	assert_int_equal(spec_at(r.rdx).tv_sec, 2);
	assert_int_equal(spec_at(r.rdx).tv_nsec, 7);
	assert_int_equal(asked.tv_sec, 3);
	for (size_t i = 2048 - 128; i < sizeof(stack); i++)
		assert_int_equal(stack[i], 0x55);
	/* at the top of another stack for signals, unless it is on that */
	room.stack_sp = at(other_stack);
	room.stack_len = sizeof(other_stack);
	r = in_call(SYS_semtimedop);
	r.r10 = at(&asked);
	ckpt_wait_go_on(&room, &r, S);
	assert_in_range(r.r10, at(other_stack) + 1984, at(other_stack) + 4096 - sizeof(asked));
	assert_int_equal(spec_at(r.r10).tv_sec, 1);
	room.stack_sp = at(stack);
	r.r10 = at(&asked);
	ckpt_wait_go_on(&room, &r, S);
	assert_in_range(r.r10, r.rsp - 256, r.rsp - 128 - sizeof(asked));
}

static void uring_gets_a_structure(void **state)
{
	const struct ckpt_wait_room room = no_room();
	struct io_uring_getevents_arg a = { .sigmask = 77, .sigmask_sz = 8, .ts = at(&asked) }, b;
	struct user_regs_struct r = in_call(SYS_io_uring_enter);

	(void)state;
	r.r8 = at(&a);
	r.r9 = sizeof(a);
	assert_false(ckpt_wait_timed(getpid(), &r));
	r.r10 = IORING_ENTER_EXT_ARG | IORING_ENTER_GETEVENTS;
	assert_true(ckpt_wait_timed(getpid(), &r));
	ckpt_wait_go_on(&room, &r, S);
	memcpy(&b, (void *)r.r8, sizeof(b));
	assert_int_equal(b.sigmask, 77);
	assert_int_equal(b.sigmask_sz, 8);
	assert_int_equal(spec_at(b.ts).tv_sec, 1);
	assert_int_equal(a.ts, at(&asked));
}

/* The kernel has written there what was left, as it does at the end. */
static void in_place_where_the_kernel_writes(void **state)
{
	const struct ckpt_wait_room room = no_room();
	struct user_regs_struct r = in_call(SYS_ppoll);
	struct timespec t = { 9, 9 };
	int64_t rest;

	(void)state;
	r.rdx = at(&t);
	assert_true(ckpt_wait_rest(getpid(), &r, &rest));
	assert_int_equal(rest, 9 * S + 9);
	ckpt_wait_go_on(&room, &r, S + 1);
	assert_int_equal(r.rdx, at(&t));
	assert_int_equal(t.tv_sec * S + t.tv_nsec, S + 1);
	r = in_call(SYS_select);
	r.r8 = at(&asked_val);
	assert_true(ckpt_wait_rest(getpid(), &r, &rest));
	assert_int_equal(rest, 3 * S + 5000);
	ckpt_wait_go_on(&room, &r, S + 4000);
	assert_int_equal(asked_val.tv_sec, 1);
	assert_int_equal(asked_val.tv_usec, 4);
	/* of a sleep, where the program wants to know */
	r = in_call(SYS_nanosleep);
	r.rdi = at(&asked);
	r.rax = -516ll;
	assert_false(ckpt_wait_rest(getpid(), &r, &rest));
	r.rsi = at(&t);
	assert_true(ckpt_wait_rest(getpid(), &r, &rest));
	assert_int_equal(rest, S + 1);
}

/* What the kernel never makes again by itself was let go by us, with what was left. */
static void stands_in_the_arguments(void **state)
{
	static const struct {
		long call, error;
		bool known;
	} cases[] = {
		{ SYS_rt_sigtimedwait, -514, true }, { SYS_rt_sigtimedwait, -EINTR, false },
		{ SYS_epoll_wait, -514, true }, { SYS_epoll_wait, -EINTR, false },
		{ SYS_poll, -514, true }, { SYS_poll, -516, false },
		{ SYS_futex, -514, true }, { SYS_futex, -516, false },
		{ SYS_io_getevents, -514, true }, { SYS_io_pgetevents, -514, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct user_regs_struct r = in_call(cases[i].call);
		struct timespec t = { 2, 7 };
		int64_t rest = 0;

		r.rax = cases[i].error;
		r.rdx = cases[i].call == SYS_poll ? 2000 : at(&t);
		r.r10 = cases[i].call == SYS_epoll_wait ? 2000 : at(&t);
		r.r8 = at(&t);
		if (ckpt_wait_rest(getpid(), &r, &rest) != cases[i].known ||
		    (cases[i].known && rest / 1000 != 2 * S / 1000))
			fail_msg("call %ld, %ld: %lld", cases[i].call, cases[i].error,
				 (long long)rest);
	}
}

/* Where nothing can be written: what is protected from the thread stays as it is. */
static void ends_without_room(void **state)
{
	uint8_t *low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ckpt_wait_room room = no_room();
	struct user_regs_struct r = in_call(SYS_nanosleep);

	(void)state;
	assert_true(low != MAP_FAILED);
	assert_int_equal(mprotect(low, 4096, PROT_NONE), 0);
	r.rsp = at(low) + 4096 + 64;
	r.rdi = at(&asked);
	ckpt_wait_go_on(&room, &r, S);
	assert_int_equal((int64_t)r.rax, -EINTR);
	assert_int_equal((int64_t)r.orig_rax, -1);
	assert_int_equal(r.rip, 0x1002);
	assert_int_equal(r.rdi, at(&asked));
	r = in_call(SYS_nanosleep);
	r.rsp = at(low) + 4096 + 64;
	ckpt_wait_go_on(&room, &r, 0);
	assert_int_equal(r.rax, 0);
	/* rewound: it stands before the instruction */
	r = in_call(-1);
	r.rax = SYS_futex;
	r.rip = 0x1000;
	r.rsp = at(low) + 4096 + 64;
	ckpt_wait_go_on(&room, &r, -1);
	assert_int_equal((int64_t)r.rax, -ETIMEDOUT);
	assert_int_equal(r.rip, 0x1002);
	/* the time itself may lie where nobody can write: then it is lent one */
	memcpy(low + 4096, &asked, sizeof(asked));
	assert_int_equal(mprotect(low + 4096, 4096, PROT_READ), 0);
	r = in_call(SYS_pselect6);
	r.r8 = at(low) + 4096;
	ckpt_wait_go_on(&room, &r, S);
	assert_in_range(r.r8, r.rsp - 256, r.rsp - 128);
	assert_int_equal(spec_at(r.r8).tv_sec, 1);
	munmap(low, 8192);
}

/* Where the kernel leaves the times of the program alone, so do we. */
static void elsewhere_where_it_does_not(void **state)
{
	const struct ckpt_wait_room room = { .tid = getpid(), .sticky = true };
	struct user_regs_struct r = in_call(SYS_select);
	struct timeval val = { 3, 5 };

	(void)state;
	r.r8 = at(&val);
	ckpt_wait_go_on(&room, &r, S + 4000);
	assert_int_equal(val.tv_sec, 3);
	assert_int_equal(val.tv_usec, 5);
	assert_in_range(r.r8, r.rsp - 256, r.rsp - 128);
	memcpy(&val, (void *)r.r8, sizeof(val));
	assert_int_equal(val.tv_sec, 1);
	assert_int_equal(val.tv_usec, 4);
}

/* A handler runs before it: its frame would lie where a time is lent. */
static void lends_nothing_to_who_is_rewound(void **state)
{
	const struct ckpt_wait_room room = { .tid = getpid(), .stack_sp = at(other_stack),
					     .stack_len = sizeof(other_stack) };
	struct user_regs_struct r = in_call(-1);
	struct timespec t = { 9, 9 };

	(void)state;
	memset(stack, 0x55, sizeof(stack));
	memset(other_stack, 0x55, sizeof(other_stack));
	r.rax = SYS_epoll_pwait2;
	r.r10 = at(&asked);
	ckpt_wait_go_on(&room, &r, S);
	assert_int_equal(r.rax, 0);
	assert_int_equal((int64_t)r.orig_rax, -1);
	assert_int_equal(r.rip, 0x1004);
	for (size_t i = 0; i < sizeof(stack); i++)
		assert_true(stack[i] == 0x55 && other_stack[i] == 0x55);
	/* what is in a register, or where the kernel writes itself, is set all the same */
	r = in_call(-1);
	r.rax = SYS_epoll_pwait;
	r.r10 = 2000;
	ckpt_wait_go_on(&room, &r, S);
	assert_int_equal(r.r10, 1000);
	assert_int_equal(r.rax, SYS_epoll_pwait);
	r = in_call(-1);
	r.rax = SYS_ppoll;
	r.rdx = at(&t);
	ckpt_wait_go_on(&room, &r, S);
	assert_int_equal(t.tv_sec, 1);
	assert_int_equal(r.rax, SYS_ppoll);
}

static void cut_short(void **state)
{
	static const struct {
		int nr, result;
	} cases[] = {
		{ SYS_nanosleep, -EINTR }, { SYS_clock_nanosleep, -EINTR }, { SYS_futex, 0 },
		{ SYS_rt_sigtimedwait, -EAGAIN }, { SYS_semtimedop, -EAGAIN },
		{ SYS_epoll_pwait2, 0 }, { SYS_io_getevents, 0 }, { SYS_io_uring_enter, -ETIME },
		{ SYS_select, 0 },
	};
	struct user_regs_struct r = in_call(SYS_epoll_wait);

	(void)state;
	r.r10 = 30000;
	ckpt_wait_cut_short(&r);
	assert_int_equal(r.r10, 1);
	assert_int_equal(r.rax, AGAIN);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = in_call(cases[i].nr);
		ckpt_wait_cut_short(&r);
		assert_int_equal((int64_t)r.rax, cases[i].result);
		assert_int_equal((int64_t)r.orig_rax, -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_which_are_timed),
		cmocka_unit_test(milliseconds_go_up),
		cmocka_unit_test(pointers_lead_to_free_memory),
		cmocka_unit_test(uring_gets_a_structure),
		cmocka_unit_test(in_place_where_the_kernel_writes),
		cmocka_unit_test(stands_in_the_arguments),
		cmocka_unit_test(ends_without_room),
		cmocka_unit_test(elsewhere_where_it_does_not),
		cmocka_unit_test(lends_nothing_to_who_is_rewound),
		cmocka_unit_test(cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
