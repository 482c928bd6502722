// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupted system calls. */
#include <errno.h>
#include <stddef.h>
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

bool ckpt_restart_eintr(const struct user_regs_struct *regs)
{
	/* signal(7), "interruption of system calls by stop signals", and fs/aio.c */
	static const uint16_t calls[] = {
		SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_semop, SYS_semtimedop,
		SYS_rt_sigtimedwait, SYS_io_getevents, SYS_io_pgetevents, SYS_msgrcv, SYS_msgsnd,
	};

	if (!in_call(regs) || (int64_t)regs->rax != -EINTR)
		return false;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (regs->orig_rax == calls[i])
			return true;
	}
	return false;
}

void ckpt_restart_rewind(struct user_regs_struct *regs)
{
	regs->rip -= SYSCALL_LEN;
	regs->rax = regs->orig_rax;
	regs->orig_rax = -1;
}
