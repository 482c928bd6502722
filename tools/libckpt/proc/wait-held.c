// SPDX-License-Identifier: GPL-2.0-or-later
/* Timed waits of a held tree: what is left, for the thread itself and for an image. */
#include "proc/hold.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/restart.h"
#include "proc/wait.h"

/*
 * When was the call to end? What the kernel tells the program itself is of some moment before
 * all threads stood; when it could not, the call has ended with EINTR.
 */
static bool due_at(const struct ckpt_hold *hold, const struct ckpt_held_thread *t,
		   struct ckpt_due_time *ret)
{
	struct user_regs_struct regs = t->regs;
	int64_t rest;

	if (ckpt_due_of(&hold->due, t->tid, hold->began_ns, ret))
		return true;
	regs.orig_rax = t->call;
	if (t->forgiven || !ckpt_wait_rest(t->tid, &regs, &rest))
		return false;
	*ret = (struct ckpt_due_time){
		.at_ns = (hold->stopped_ns ? hold->stopped_ns : ckpt_now_ns()) + rest,
	};
	return true;
}

/* One that ends with EINTR, or that the kernel would give what was left when it was stopped. */
bool ckpt_held_wait_go_on(const struct ckpt_hold *hold, struct ckpt_held_thread *t, bool rewound)
{
	struct ckpt_due_time due;

	if (!rewound) {
		if (!ckpt_restart_pending(&t->regs) || ckpt_restart_by_kernel(&t->regs))
			return false;
		t->call = t->regs.orig_rax;
	}
	if (!ckpt_wait_timed(t->tid, &t->regs))
		return false;
	if (due_at(hold, t, &due)) {
		const struct ckpt_wait_room room = {
			t->tid, due.stack_sp, due.stack_len, t->forgiven
		};

		ckpt_wait_go_on(&room, &t->regs, due.at_ns - ckpt_now_ns());
	} else {
		ckpt_wait_cut_short(&t->regs);
	}
	return true;
}

void ckpt_read_wait(const struct ckpt_reader *r, const struct ckpt_held_thread *t,
		    struct ckpt_thread *ret)
{
	struct user_regs_struct regs = t->regs;
	struct ckpt_due_time due;

	if (!ckpt_restart_pending(&regs))
		return;
	regs.orig_rax = t->call;
	if (!ckpt_wait_timed(t->tid, &regs))
		return;
	ret->wait = CKPT_WAIT_UNKNOWN;
	if (!due_at(r->hold, t, &due))
		return;
	ret->wait = CKPT_WAIT_LEFT;
	ret->wait_ns = due.at_ns - r->cut_ns;
}
