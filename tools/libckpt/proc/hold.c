// SPDX-License-Identifier: GPL-2.0-or-later
/* Held tree: its table, and the steps of a stop in their order. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "proc/filter.h"
#include "proc/hold.h"
#include "proc/keeper.h"
#include "proc/procfs.h"
#include "proc/unix-waiting.h"

#define MS 1000000ull

/* How long the tree runs on, again and again, for the sake of requests to io_urings. */
#define URING_MS 300

/* What a thread may take to stop where nothing is in its way. */
#define SOON (5 * MS)

int ckpt_hold_init(struct ckpt_hold *hold, const struct ckpt_stop_params *params, pid_t caller,
		   struct ckpt_err *err)
{
	*hold = (struct ckpt_hold){
		.cgroup = -1,
		.freeze = -1,
		.events = -1,
		.peek = { .program = -1 },
		.events_peek = { .program = -1 },
		.waiting_peek = { .program = -1 },
		.mqueues = -1,
		.undo_peek = CKPT_UNDO_PEEK_NONE,
		.due = CKPT_DUE_NONE,
		.guarded = -1,
		.root = params->pid,
		.unhurried = params->unhurried || params->hold_ms > CKPT_HOLD_MS,
		.watched = params->watched,
		.tcp_repair = params->tcp_repair,
		.caller = caller,
		.path_of = params->path_of,
		.path_arg = params->path_arg,
		.freeze_ms = params->freeze_ms ? params->freeze_ms : 500,
		.vfork_ms = params->vfork_ms ? params->vfork_ms : 2000,
	};
	if (access("/proc/thread-self/children", R_OK))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "the kernel does not list children in /proc");
	if (ckpt_vdso_survey(getpid(), &hold->vdso, err))
		return -1;
	if (params->cgroup)
		return ckpt_freeze_open(hold, params->cgroup, err);
	return 0;
}

void ckpt_hold_drop(struct ckpt_held_proc *p)
{
	for (size_t j = 0; j < p->n_threads; j++) {
		free(p->threads[j].xstate);
		ckpt_filters_done(&p->threads[j]);
		free(p->threads[j].status_text);
	}
	free(p->threads);
	close(p->dir);
}

void ckpt_hold_forget(struct ckpt_hold *hold)
{
	for (size_t i = 0; i < hold->n_procs; i++)
		ckpt_hold_drop(&hold->procs[i]);
	free(hold->procs);
	hold->procs = NULL;
	hold->n_procs = 0;
}

void ckpt_hold_done(struct ckpt_hold *hold)
{
	ckpt_hold_forget(hold);
	for (size_t i = 0; i < hold->n_seen; i++) {
		ckpt_smaps_done(&hold->seen[i].smaps);
		free(hold->seen[i].guessed);
	}
	free(hold->seen);
	free(hold->queues);
	for (size_t i = 0; i < hold->n_watches; i++)
		free(hold->watches[i].path);
	free(hold->watches);
	free(hold->label);
	free(hold->ttys);
	ckpt_net_forget(hold);
	free(hold->wanted);
	for (size_t i = 0; i < hold->n_tcps; i++) {
		if (hold->tcps[i].own >= 0)
			close(hold->tcps[i].own);
	}
	free(hold->tcps);
	ckpt_buf_done(&hold->scratch);
	ckpt_buf_done(&hold->maps);
	if (hold->cgroup >= 0)
		close(hold->cgroup);
	if (hold->freeze >= 0)
		close(hold->freeze);
	if (hold->events >= 0)
		close(hold->events);
	ckpt_pty_peek_close(&hold->peek);
	ckpt_inotify_peek_close(&hold->events_peek);
	ckpt_waiting_peek_close(&hold->waiting_peek);
	ckpt_undo_peek_close(&hold->undo_peek);
	if (hold->mqueues >= 0)
		close(hold->mqueues);
	ckpt_due_close(&hold->due);
	ckpt_flight_done(hold);
	ckpt_limits_settle(hold);
}

enum outcome {
	FAILED = -1,
	STOPPED,
	IN_VFORK,	/* a vfork is in flight */
	BUSY,		/* something waits that cannot be told, or requests are under way */
	STUCK,		/* a thread cannot be interrupted */
};

/* Who keeps the tree from standing: the two of a vfork, or thread @tid of @who. */
struct culprit {
	pid_t parent, child, tid;
	struct ckpt_held_proc *who;
};

/* List, seize and interrupt until nothing new appears. @ret: who it was for, if not STOPPED. */
static enum outcome seize_until_stable(struct ckpt_hold *hold, uint64_t until,
				       struct culprit *ret, struct ckpt_err *err)
{
	for (;;) {
		ssize_t added = 0, n;
		uint64_t now;
		int r;

		if (hold->cgroup >= 0) {
			n = ckpt_tree_list_cgroup(hold, err);
			if (n < 0)
				return FAILED;
			added += n;
		}
		n = ckpt_tree_list_threads(hold, err);
		if (n < 0)
			return FAILED;
		added += n;
		n = ckpt_tree_list_children(hold, err);
		if (n < 0)
			return FAILED;
		added += n;
		if (ckpt_seize_all(hold, err))
			return FAILED;
		ckpt_fault("keeper.seized");
		/* its parent cannot be stopped before it has gone on: no use to wait */
		if (ckpt_tree_vfork(hold, &ret->parent, &ret->child) > 0) {
			ckpt_fault("keeper.vforked");
			return IN_VFORK;
		}
		now = ckpt_now_ns();
		r = ckpt_seize_wait(hold, now + SOON < until ? now + SOON : until, &ret->who,
				    &ret->tid);
		if (r && ckpt_tree_vfork(hold, &ret->parent, &ret->child) > 0)
			return IN_VFORK;
		if (r && ckpt_now_ns() >= until)
			return STUCK;
		/* whoever was still running may have made children: look again */
		if (!r && !added)
			return STOPPED;
	}
}

/*
 * Calls that the freezer has ended with EINTR are made again only by who goes
 * through a ptrace stop: take everybody who can be stopped through one.
 */
static void give_up(struct ckpt_hold *hold)
{
	struct ckpt_held_proc *who;
	struct ckpt_err ignored = CKPT_ERR_INIT;
	pid_t tid;

	if (!ckpt_seize_all(hold, &ignored))
		ckpt_seize_wait(hold, ckpt_now_ns() + 50 * MS, &who, &tid);
	ckpt_hold_release(hold);
}

/* Until when the tree is let run on for the sake of what is under way, CLOCK_MONOTONIC. */
struct patience {
	uint64_t until, uring_until;
};

/* What is there for longer is refused by its name when it is read. */
static bool is_busy(struct ckpt_hold *hold, const struct patience *patience)
{
	uint64_t now = ckpt_now_ns();

	return (now <= patience->until && ckpt_pty_busy(hold)) ||
	       (now <= patience->uring_until && ckpt_uring_at_work(hold));
}

/*
 * One attempt: unless it is stopped, everything runs again.  @ret_why: what to refuse when it
 * comes to nothing else.
 */
static enum outcome attempt(struct ckpt_hold *hold, const struct patience *patience,
			    struct ckpt_err *ret_why, struct ckpt_err *err)
{
	struct culprit by = { 0 };
	enum outcome out;
	int r;

	ckpt_limits_settle(hold);
	hold->began_ns = ckpt_now_ns();
	hold->stopped_ns = 0;
	if (hold->cgroup >= 0) {
		if (ckpt_freeze_on(hold, err)) {
			give_up(hold);
			return FAILED;
		}
		ckpt_fault("keeper.frozen");
	}
	out = seize_until_stable(hold, ckpt_now_ns() + hold->freeze_ms * MS, &by, err);
	if (out == IN_VFORK)
		ckpt_fail(ret_why, CKPT_REFUSED, 0,
			  "pid %d shares the address space of its parent %d for longer than %u ms "
			  "(vfork or CLONE_VM), which this version cannot restore",
			  by.child, by.parent, hold->vfork_ms);
	if (out == STUCK)
		out = ckpt_fail(err, CKPT_FAILED, 0,
				"thread %d of pid %d (%s) did not stop in %u ms, it cannot be "
				"interrupted; the tree runs on, try again",
				by.tid, by.who->pid, by.who->comm, hold->freeze_ms);
	if (out != STOPPED)
		goto fail;
	out = FAILED;
	hold->stopped_ns = ckpt_now_ns();
	ckpt_tree_prune(hold);
	if (!hold->n_procs) {
		ckpt_fail(err, CKPT_FAILED, 0, "the cgroup has no process");
		goto fail;
	}
	ckpt_fault("keeper.stopped");
	ckpt_freeze_off(hold);
	ckpt_fault("keeper.thawed");
	/* now and not before: a freeze that comes in between must not hold what we inject */
	if (ckpt_freeze_foreign(hold, err))
		goto fail;
	r = ckpt_queues_check(hold, ret_why, err);
	if (!r && is_busy(hold, patience))
		r = 1;
	if (!r)
		return STOPPED;
	if (r > 0)
		out = BUSY;
fail:
	ckpt_hold_release(hold);
	return out;
}

int ckpt_hold_stop(struct ckpt_hold *hold, struct ckpt_err *err)
{
	const struct patience patience = {
		.until = ckpt_now_ns() + hold->vfork_ms * MS,
		.uring_until = ckpt_now_ns() + URING_MS * MS,
	};
	unsigned int wait_us = 500;

	/* without it calls are cut short */
	if (hold->due.map < 0)
		(void)ckpt_due_open(&hold->due);
	for (;;) {
		struct ckpt_err why = CKPT_ERR_INIT;
		enum outcome out;

		ckpt_hold_forget(hold);
		if (hold->events_wanted)
			ckpt_queue_ready(hold);
		out = attempt(hold, &patience, &why, err);
		if (out <= STOPPED)
			return out;
		if (ckpt_now_ns() > patience.until && why.status != CKPT_OK) {
			*err = why;
			return -1;
		}
		ckpt_sleep_us(wait_us);
		/* a vfork is over in a moment; who has events to read needs the processor for it */
		if (wait_us < (out == IN_VFORK ? 8000 : 256000))
			wait_us *= 2;
	}
}
