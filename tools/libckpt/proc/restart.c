// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupted system calls. */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#include "proc/restart.h"

/* Of the kernel's include/linux/errno.h: never seen by a program that runs. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

#define SYSCALL_LEN 2

static bool in_call(const struct user_regs_struct *regs)
{
	return (int64_t)regs->orig_rax >= 0;
}

bool ckpt_restart_pending(const struct user_regs_struct *regs)
{
	if (!in_call(regs))
		return false;
	switch (-(int64_t)regs->rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
	case ERESTART_RESTARTBLOCK:
		return true;
	}
	return false;
}

bool ckpt_restart_by_kernel(const struct user_regs_struct *regs)
{
	return in_call(regs) && (int64_t)regs->rax == -ERESTART_RESTARTBLOCK;
}

bool ckpt_restart_unless_handled(const struct user_regs_struct *regs)
{
	return in_call(regs) && (int64_t)regs->rax == -ERESTARTNOHAND;
}

bool ckpt_restart_eintr(const struct user_regs_struct *regs)
{
	/*
	 * signal(7), "interruption of system calls by stop signals", fs/aio.c, io_uring; those
	 * of sockets end so when the socket has a time limit, and those of the second line when
	 * the kernel cannot write what is left of their time
	 */
	static const uint16_t calls[] = {
		SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_semop, SYS_semtimedop,
		SYS_select, SYS_pselect6, SYS_ppoll,
		SYS_rt_sigtimedwait, SYS_io_getevents, SYS_io_pgetevents, SYS_msgrcv, SYS_msgsnd,
		SYS_io_uring_enter, SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg,
		SYS_accept, SYS_accept4, SYS_connect, SYS_write, SYS_writev, SYS_sendto,
		SYS_sendmsg, SYS_sendmmsg,
	};

	if (!in_call(regs) || (int64_t)regs->rax != -EINTR)
		return false;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (regs->orig_rax == calls[i])
			return true;
	}
	return false;
}

void ckpt_restart_defer(struct user_regs_struct *regs, long call)
{
	int64_t error = -(int64_t)regs->rax;

	/* EINTR is final; a restart block belongs to the task that the kernel made it for */
	if (error == EINTR || error == ERESTART_RESTARTBLOCK)
		regs->rax = -(int64_t)ERESTARTNOHAND;
	regs->orig_rax = call;
}

/* mov $number, %eax; syscall */
static long number_in_code(const uint8_t *code)
{
	int32_t nr;

	if (code[0] != 0xb8 || code[5] != 0x0f || code[6] != 0x05)
		return -1;
	memcpy(&nr, code + 1, sizeof(nr));
	return nr;
}

static bool is_pointer(uint64_t v)
{
	return v >= 0x10000 && v < 1ull << 47 && !(v & 3);
}

static long number_by_args(const struct user_regs_struct *r)
{
	uint32_t op = r->rsi & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);

	/* clock ids are small, and both times are pointers */
	if (!is_pointer(r->rdi) && (uint32_t)r->rdi < 16 && !(r->rsi >> 1) && is_pointer(r->rdx))
		return SYS_clock_nanosleep;
	/* only a wait with a timeout is restarted in this way */
	if (is_pointer(r->rdi) && (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET) &&
	    (r->rsi & FUTEX_PRIVATE_FLAG) && is_pointer(r->r10))
		return SYS_futex;
	/* the number of descriptors is small, the time is an int */
	if ((is_pointer(r->rdi) || !r->rdi) && r->rsi < 0x10000 && (r->rsi || !r->rdi) &&
	    !is_pointer(r->rdx))
		return SYS_poll;
	if (is_pointer(r->rdi) && is_pointer(r->rsi))
		return SYS_nanosleep;
	return -1;
}

long ckpt_restart_number(const struct user_regs_struct *regs, const uint8_t *code)
{
	long nr = code ? number_in_code(code) : -1;

	if (regs->orig_rax != SYS_restart_syscall)
		return regs->orig_rax;
	if (nr == SYS_poll || nr == SYS_nanosleep || nr == SYS_clock_nanosleep || nr == SYS_futex)
		return nr;
	return number_by_args(regs);
}

void ckpt_restart_rewind(struct user_regs_struct *regs)
{
	regs->rip -= SYSCALL_LEN;
	regs->rax = regs->orig_rax;
	regs->orig_rax = -1;
}
