// SPDX-License-Identifier: GPL-2.0-or-later
/* Timed waits: the calls, where their times are, and how they are changed. */
#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#include "proc/remote.h"
#include "proc/restart.h"
#include "proc/wait.h"

#define NS_PER_S 1000000000ll
#define NS_PER_MS 1000000ll
#define NS_PER_US 1000ll

#define SYSCALL_LEN 2
#define RED_ZONE 128
#define STACK_MIN 1024	/* of an alternate stack that has room for us */
#define SLOT 64		/* of a thread, in the upper half of it */

/* Flags and argument of io_uring_enter, as in linux/io_uring.h, which older ones lack in part. */
#define EXT_ARG (1u << 3)
#define ABS_TIMER (1u << 5)
#define EXT_ARG_REG (1u << 6)

struct uring_arg {
	uint64_t sigmask;
	uint32_t sigmask_len, min_wait_us;
	uint64_t ts;
};

/* How a call takes its time. */
enum form {
	MS,
	SPEC,		/* a timespec */
	SPEC_KEPT,	/* a timespec, where the kernel writes what is left */
	VAL_KEPT,	/* a timeval, likewise */
	URING,		/* a structure that points to a timespec */
};

/**
 * struct timed - a call that may end by a time
 * @arg: which of its arguments that is
 * @ours: that it is made again unless a handler runs is never of the kernel's making
 * @late: what it returns when the time has run out
 * @unknown: what it returns when nobody knows
 */
struct timed {
	uint16_t nr;
	uint8_t arg, form;
	bool ours;
	int16_t late, unknown;
};

static const struct timed calls[] = {
	{ SYS_poll, 2, MS, true, 0, 0 },
	{ SYS_epoll_wait, 3, MS, true, 0, 0 },
	{ SYS_epoll_pwait, 3, MS, true, 0, 0 },
	{ SYS_epoll_pwait2, 3, SPEC, true, 0, 0 },
	{ SYS_ppoll, 2, SPEC_KEPT, false, 0, 0 },
	{ SYS_select, 4, VAL_KEPT, false, 0, 0 },
	{ SYS_pselect6, 4, SPEC_KEPT, false, 0, 0 },
	{ SYS_nanosleep, 0, SPEC, true, 0, -EINTR },
	{ SYS_clock_nanosleep, 2, SPEC, true, 0, -EINTR },
	{ SYS_futex, 3, SPEC, true, -ETIMEDOUT, 0 },
	{ SYS_rt_sigtimedwait, 2, SPEC, true, -EAGAIN, -EAGAIN },
	{ SYS_semtimedop, 3, SPEC, true, -EAGAIN, -EAGAIN },
	{ SYS_io_getevents, 4, SPEC, true, 0, 0 },
	{ SYS_io_pgetevents, 4, SPEC, false, 0, 0 },
	{ SYS_io_uring_enter, 4, URING, true, -ETIME, -ETIME },
};

static bool rewound(const struct user_regs_struct *r)
{
	return (int64_t)r->orig_rax < 0;
}

static const struct timed *find(const struct user_regs_struct *r)
{
	uint64_t nr = rewound(r) ? r->rax : r->orig_rax;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].nr == nr)
			return &calls[i];
	}
	return NULL;
}

bool ckpt_wait_call(const struct user_regs_struct *regs)
{
	return find(regs);
}

static typeof(((struct user_regs_struct *)0)->rdi) *arg(struct user_regs_struct *r, int n)
{
	switch (n) {
	case 0:
		return &r->rdi;
	case 2:
		return &r->rdx;
	case 3:
		return &r->r10;
	default:
		return &r->r8;
	}
}

static uint64_t value(const struct user_regs_struct *regs, int n)
{
	struct user_regs_struct r = *regs;

	return *arg(&r, n);
}

static bool get(pid_t tid, uint64_t at, void *data, size_t len)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;

	return at && !ckpt_remote_read(tid, at, data, len, &ignored);
}

/* As the thread itself could write it: what is protected from it stays as it is. */
static bool put(pid_t tid, uint64_t at, const void *data, size_t len)
{
	const struct iovec from = { (void *)data, len };
	const struct iovec to = { (void *)(uintptr_t)at, len };

	return process_vm_writev(tid, &from, 1, &to, 1, 0) == (ssize_t)len;
}

static bool uring_timed(pid_t tid, const struct user_regs_struct *r)
{
	struct uring_arg a;

	return (r->r10 & (EXT_ARG | ABS_TIMER | EXT_ARG_REG)) == EXT_ARG &&
	       r->r9 == sizeof(a) && get(tid, r->r8, &a, sizeof(a)) && a.ts;
}

bool ckpt_wait_timed(pid_t tid, const struct user_regs_struct *regs)
{
	const struct timed *t = find(regs);

	if (!t)
		return false;
	if (t->nr == SYS_clock_nanosleep && regs->rsi & TIMER_ABSTIME)
		return false;
	if (t->nr == SYS_futex && (regs->rsi & FUTEX_CMD_MASK) != FUTEX_WAIT)
		return false;
	if (t->form == MS)
		return (int32_t)value(regs, t->arg) > 0;
	return t->form == URING ? uring_timed(tid, regs) : value(regs, t->arg);
}

/* What the kernel would not have written is taken for the longest time that it knows. */
static int64_t ns_of(int64_t s, int64_t ns)
{
	return s < 0 || s >= INT64_MAX / NS_PER_S - 1 || ns < 0 || ns >= NS_PER_S ? INT64_MAX :
	       s * NS_PER_S + ns;
}

static bool get_spec(pid_t tid, uint64_t at, int64_t *ret_ns)
{
	struct timespec spec;

	if (!get(tid, at, &spec, sizeof(spec)))
		return false;
	*ret_ns = ns_of(spec.tv_sec, spec.tv_nsec);
	return true;
}

static bool get_val(pid_t tid, uint64_t at, int64_t *ret_ns)
{
	struct timeval val;

	if (!get(tid, at, &val, sizeof(val)))
		return false;
	*ret_ns = ns_of(val.tv_sec, (uint64_t)val.tv_usec > NS_PER_S ? -1 :
			val.tv_usec * NS_PER_US);
	return true;
}

/* The time with which a call begins. */
static bool get_time(pid_t tid, const struct user_regs_struct *regs, const struct timed *t,
		     int64_t *ret_ns)
{
	uint64_t is = value(regs, t->arg);
	struct uring_arg a;

	switch (t->form) {
	case MS:
		*ret_ns = (int32_t)is * NS_PER_MS;
		return true;
	case URING:
		return get(tid, is, &a, sizeof(a)) && get_spec(tid, a.ts, ret_ns);
	default:
		return get_spec(tid, is, ret_ns);
	}
}

bool ckpt_wait_rest(pid_t tid, const struct user_regs_struct *regs, int64_t *ret_ns)
{
	const struct timed *t = find(regs);

	if (!t)
		return false;
	if (t->ours && ckpt_restart_unless_handled(regs))
		return get_time(tid, regs, t, ret_ns);
	if (t->form == VAL_KEPT)
		return get_val(tid, value(regs, t->arg), ret_ns);
	if (t->form == SPEC_KEPT)
		return get_spec(tid, value(regs, t->arg), ret_ns);
	if (t->nr == SYS_nanosleep)
		return get_spec(tid, regs->rsi, ret_ns);
	return t->nr == SYS_clock_nanosleep && get_spec(tid, regs->r10, ret_ns);
}

static void end(struct user_regs_struct *r, int64_t result)
{
	if (rewound(r))
		r->rip += SYSCALL_LEN;
	r->rax = result;
	r->orig_rax = -1;
}

/* What is put below a stack: a time, and what points to it. */
struct parcel {
	struct timespec spec;
	struct uring_arg uring;
};

/* Threads that share an alternate stack, each for its own signals, are told apart by their ids. */
static uint64_t place(const struct ckpt_wait_room *room, uint64_t sp)
{
	uint64_t top = sp - RED_ZONE;

	if (room->stack_len >= STACK_MIN && sp - room->stack_sp > room->stack_len)
		top = room->stack_sp + room->stack_len -
		      room->tid % (room->stack_len / 2 / SLOT) * SLOT;
	return (top - sizeof(struct parcel)) & ~15ull;
}

/* In the timespec of the program, where the kernel has written as well. */
static bool keep(const struct ckpt_wait_room *room, uint64_t at, enum form form, int64_t left_ns)
{
	const struct timespec spec = { left_ns / NS_PER_S, left_ns % NS_PER_S };
	const struct timeval val = { spec.tv_sec, spec.tv_nsec / NS_PER_US };

	if (room->sticky)
		return false;
	if (form == VAL_KEPT)
		return put(room->tid, at, &val, sizeof(val));
	return form == SPEC_KEPT && put(room->tid, at, &spec, sizeof(spec));
}

/* A time of its own, in memory that nobody uses until the next handler runs. */
static bool lend(const struct ckpt_wait_room *room, struct user_regs_struct *regs,
		 const struct timed *t, int64_t left_ns)
{
	uint64_t at = place(room, regs->rsp);
	struct parcel p = { .spec = { left_ns / NS_PER_S, left_ns % NS_PER_S } };

	if (rewound(regs))
		return false;
	if (t->form == VAL_KEPT)
		p.spec.tv_nsec /= NS_PER_US;
	if (t->form == URING && !get(room->tid, regs->r8, &p.uring, sizeof(p.uring)))
		return false;
	p.uring.ts = at;
	if (!put(room->tid, at, &p, sizeof(p)))
		return false;
	*arg(regs, t->arg) = t->form == URING ? at + offsetof(struct parcel, uring) : at;
	return true;
}

/*
 * Milliseconds are rounded up, as the kernel does with those of poll: a wait that ends too early is
 * what programs know least.  And it is one at least: whoever uses the register once more would
 * not wait at all.
 */
static uint32_t ms_of(int64_t left_ns, uint32_t asked)
{
	int64_t ms = left_ns <= 0 ? 1 : (left_ns - 1) / NS_PER_MS + 1;

	return ms < asked ? ms : asked;
}

void ckpt_wait_go_on(const struct ckpt_wait_room *room, struct user_regs_struct *regs,
		     int64_t left_ns)
{
	const struct timed *t = find(regs);
	int64_t left = left_ns < 0 ? 0 : left_ns;

	if (t->form == MS)
		*arg(regs, t->arg) = ms_of(left, value(regs, t->arg));
	else if (!keep(room, value(regs, t->arg), t->form, left) && !lend(room, regs, t, left))
		end(regs, left ? t->unknown : t->late);
}

void ckpt_wait_cut_short(struct user_regs_struct *regs)
{
	const struct timed *t = find(regs);

	if (t->form == MS)
		*arg(regs, t->arg) = ms_of(0, value(regs, t->arg));
	else
		end(regs, t->unknown);
}
