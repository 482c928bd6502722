/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timed waits: calls that end by a time, and how one that is made again lasts for what is left
 *
 * A call that takes its time in milliseconds gets them in its register; one that takes a pointer
 * gets one to memory that nobody uses: below the top of the thread's alternate signal stack or,
 * where it has none, below the red zone of its stack.  Either is what the kernel itself writes to
 * when a handler is to run.  The program's own timespec is left alone: it may be constant, or
 * used again.  But select, pselect6 and ppoll write what is left into it themselves, so there it
 * is corrected in place, unless the kernel has not written there either.
 *
 * The register keeps its new value when the call has ended.  For the C library and whoever calls
 * it that is one of those that a function call does not keep.
 */
#ifndef CKPT_PROC_WAIT_H
#define CKPT_PROC_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/* How long a call of a stopped thread is to last, for an image. */
enum ckpt_wait {
	CKPT_WAIT_NONE,		/* it is in none that ends by a time, or ends by one of a clock */
	CKPT_WAIT_LEFT,
	CKPT_WAIT_UNKNOWN,	/* it ends by a time, and nothing tells which */
};

#define CKPT_WAIT_LAST CKPT_WAIT_UNKNOWN

/**
 * struct ckpt_wait_room - where a thread has memory that nobody uses
 * @tid: as we see it; it is stopped
 * @stack_sp, @stack_len: alternate signal stack; of no bytes: none
 * @sticky: the kernel does not tell the program what is left (STICKY_TIMEOUTS), or could not
 */
struct ckpt_wait_room {
	pid_t tid;
	uint64_t stack_sp, stack_len;
	bool sticky;
};

/* Is this a call that may end by a time? @regs: of one that is to be made again, or rewound. */
bool ckpt_wait_call(const struct user_regs_struct *regs);

/**
 * ckpt_wait_timed - does a stopped thread wait for a time that began with its call?
 * @tid: as we see it
 * @regs: of one that is to be made again, or rewound
 */
bool ckpt_wait_timed(pid_t tid, const struct user_regs_struct *regs);

/**
 * ckpt_wait_rest - what is left of the time, by what stands in the program itself
 * @ret_ns: of when the call was interrupted
 *
 * Some calls let the program know.  And one that was let go after a stop has what was left in
 * its arguments, until it gets there: when the next stop comes before that, nothing else tells.
 * Return: false when this is none of them.
 */
bool ckpt_wait_rest(pid_t tid, const struct user_regs_struct *regs, int64_t *ret_ns);

/**
 * ckpt_wait_go_on - have a call last for what is left of its time
 * @room: of its thread
 * @regs: changed: one for which ckpt_wait_timed is true; it may be ended instead
 * @left_ns: not above zero: it has run out
 *
 * What is there for the call it gets all the same.  But one that is rewound and would need memory
 * is ended: a handler runs before it, whose frame would lie there.
 */
void ckpt_wait_go_on(const struct ckpt_wait_room *room, struct user_regs_struct *regs,
		     int64_t left_ns);

/**
 * ckpt_wait_cut_short - have a call end of which nobody knows how much of its time is left
 *
 * It never lasts longer than asked, and says what a program must be ready for: a wait for events
 * or signals that there are none, one for a futex that it was woken, a sleep that it was
 * interrupted.
 */
void ckpt_wait_cut_short(struct user_regs_struct *regs);

#endif
