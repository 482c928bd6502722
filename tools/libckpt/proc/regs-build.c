// SPDX-License-Identifier: GPL-2.0-or-later
/* Registers, extended state, rseq and signal mask: what a thread starts with. */
#include <elf.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/procfs.h"
#include "proc/remote.h"
#include "proc/wait.h"

#define XSTATE_MAX 65536u
#define XSTATE_BV 512		/* which components are not in their initial state */
#define SOFTWARE 464		/* bytes that the kernel fills for its reader */
#define MXCSR_MASK 28

static uint64_t features_here(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

int ckpt_xstate_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	uint64_t bv, here = features_here();
	size_t i, j;

	for (i = 0; i < image->n_tasks; i++) {
		for (j = 0; j < image->tasks[i].n_threads; j++) {
			const struct ckpt_thread *t = &image->tasks[i].threads[j];

			memcpy(&bv, t->xstate + XSTATE_BV, sizeof(bv));
			if (bv & ~here)
				return ckpt_fail(err, CKPT_REFUSED, 0,
						 "thread %d uses CPU features 0x%lx that this CPU "
						 "lacks; restore on a CPU that has them", t->tid,
						 bv & ~here);
		}
	}
	return 0;
}

/* Read the extended state into @data (XSTATE_MAX bytes). Return: its length, or -1. */
static ssize_t get_xstate(const struct ckpt_site *s, uint8_t *data, struct ckpt_err *err)
{
	struct iovec io = { data, XSTATE_MAX };

	if (ptrace(PTRACE_GETREGSET, s->tid, NT_X86_XSTATE, &io))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot read its CPU state",
				 s->name);
	return io.iov_len;
}

/* The kernel wants its own length; components lie at fixed places, zeros are none. */
static int set_xstate(const struct ckpt_site *s, const struct ckpt_thread *t, struct ckpt_err *err)
{
	cleanup_free uint8_t *data = calloc(2, XSTATE_MAX);
	uint8_t *back = data + XSTATE_MAX;
	struct iovec io = { data, 0 };
	ssize_t len;

	if (!data)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the CPU state");
	len = get_xstate(s, back, err);
	if (len < 0)
		return -1;
	memcpy(data, t->xstate, t->xstate_len);
	io.iov_len = len;
	if (ptrace(PTRACE_SETREGSET, s->tid, NT_X86_XSTATE, &io))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its CPU state",
				 s->name);
	if (get_xstate(s, back, err) < 0)
		return -1;
	memcpy(back + SOFTWARE, data + SOFTWARE, XSTATE_BV - SOFTWARE);
	memcpy(back + MXCSR_MASK, data + MXCSR_MASK, 4);
	if (memcmp(data, back, len))
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "thread %d: its CPU state is not that of the checkpoint", s->name);
	return 0;
}

/*
 * The kernel writes the area when the thread next leaves it, and may clear it
 * at registration: the thread finds what it had.
 */
static int set_rseq(const struct ckpt_site *s, const struct ckpt_thread *t, struct ckpt_err *err)
{
	uint8_t area[CKPT_RSEQ_MAX];

	if (!t->rseq_ptr)
		return 0;
	if (ckpt_remote_read(s->tid, t->rseq_ptr, area, t->rseq_size, err) ||
	    ckpt_site_call(s, err, "register rseq", SYS_rseq,
			   ARGS(t->rseq_ptr, t->rseq_size, t->rseq_flags, t->rseq_sig)) < 0)
		return -1;
	return ckpt_remote_write(s->tid, t->rseq_ptr, area, t->rseq_size, err);
}

/* Flags that a tracer can set: FLAG_MASK of the kernel's arch/x86/kernel/ptrace.c. */
#define SETTABLE_FLAGS 0x54dd5ull

/* The first general register that differs, or NULL. */
static const char *first_difference(const struct user_regs_struct *is,
				    const struct user_regs_struct *wanted, uint64_t *ret_is,
				    uint64_t *ret_wanted)
{
	static const char *const names[] = {
		"r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx",
		"rdx", "rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base",
		"gs_base", "ds", "es", "fs", "gs",
	};
	uint64_t a[sizeof(names) / sizeof(names[0])], b[sizeof(names) / sizeof(names[0])];
	size_t i;

	static_assert(sizeof(a) == sizeof(*is), "a name for each register");
	memcpy(a, is, sizeof(a));
	memcpy(b, wanted, sizeof(b));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		*ret_is = a[i];
		*ret_wanted = b[i];
		if (strcmp(names[i], "eflags") ? a[i] != b[i] : (a[i] ^ b[i]) & SETTABLE_FLAGS)
			return names[i];
	}
	return NULL;
}

/*
 * The clocks of the tree have gone on since they were set, so what was left of a wait is that
 * much less; the times of all others, which are of a clock, have it so by themselves.
 */
static void set_wait(const struct ckpt_restore *r, const struct ckpt_task *task,
		     const struct ckpt_site *s, const struct ckpt_thread *t,
		     struct user_regs_struct *regs)
{
	const struct ckpt_wait_room room = {
		.tid = s->tid,
		.stack_sp = t->altstack_sp,
		.stack_len = t->altstack_flags & (uint32_t)SS_DISABLE ? 0 : t->altstack_size,
		.sticky = task->personality & STICKY_TIMEOUTS,
	};

	if (t->wait == CKPT_WAIT_LEFT)
		ckpt_wait_go_on(&room, regs, t->wait_ns <= 0 ? 0 :
				t->wait_ns - (int64_t)(ckpt_now_ns() - r->spawned_ns));
	else if (t->wait == CKPT_WAIT_UNKNOWN)
		ckpt_wait_cut_short(regs);
}

/*
 * A restart error in rax works as in a thread that was interrupted here: the
 * frozen cgroup makes every thread pass through signal delivery when it is let
 * go, where the kernel makes EINTR or the call again of it.
 */
static int set_regs(const struct ckpt_restore *r, const struct ckpt_task *task,
		    const struct ckpt_site *s, const struct ckpt_thread *t, struct ckpt_err *err)
{
	struct user_regs_struct back, regs = t->regs;
	uint64_t is, wanted;
	const char *name;

	set_wait(r, task, s, t, &regs);
	if (ptrace(PTRACE_SETREGS, s->tid, 0, &regs) ||
	    ptrace(PTRACE_GETREGS, s->tid, 0, &back))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its registers",
				 s->name);
	name = first_difference(&back, &regs, &is, &wanted);
	if (name)
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "thread %d: its register %s is %#lx, in the checkpoint %#lx",
				 s->name, name, is, wanted);
	return 0;
}

static int set_mask(const struct ckpt_site *s, const struct ckpt_thread *t, struct ckpt_err *err)
{
	uint64_t back;

	if (ptrace(PTRACE_SETSIGMASK, s->tid, sizeof(t->sigmask), &t->sigmask) ||
	    ptrace(PTRACE_GETSIGMASK, s->tid, sizeof(back), &back))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its signal mask",
				 s->name);
	if (back != t->sigmask)
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "thread %d: its signal mask is not that of the checkpoint",
				 s->name);
	return 0;
}

int ckpt_build_regs(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	struct ckpt_site s = ckpt_build_site(r, t, 0);
	size_t i;

	if (ckpt_site_call(&s, err, "unmap scratch memory", SYS_munmap,
			   ARGS(r->region, CKPT_SCRATCH_LEN)) < 0)
		return -1;
	for (i = 0; i < t->task->n_threads; i++) {
		const struct ckpt_thread *thread = &t->task->threads[i];

		s = ckpt_build_site(r, t, i);
		if (set_rseq(&s, thread, err) || set_xstate(&s, thread, err) ||
		    set_regs(r, t->task, &s, thread, err) || set_mask(&s, thread, err))
			return -1;
	}
	return 0;
}
