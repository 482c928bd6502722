/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions to one process, asked through injected calls. */
#ifndef CKPT_PROC_ASK_H
#define CKPT_PROC_ASK_H

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#include "proc/read.h"

#define CKPT_PKEYS 15
#define CKPT_STATES 8
#define CKPT_ASK_RINGS 16	/* as many registered io_urings as a thread can have */

/**
 * struct ckpt_ask_strange - what is asked only to be refused
 * @policy, @policy_call: get_mempolicy
 * @keyrings: of the thread and of the process, when they exist
 * @pkeys: the leader's alone: is a protection key allocated; NULL: no such thing
 */
struct ckpt_ask_strange {
	const int *policy;
	const struct ckpt_inject_call *policy_call;
	const struct ckpt_inject_call *keyrings[2];
	const struct ckpt_inject_call *pkeys[CKPT_PKEYS];
};

/* A question of strange-state.c; @call: NULL: not asked; @out: the value, NULL: it is in @call */
struct ckpt_ask_state {
	const struct ckpt_inject_call *call;
	const uint64_t *out;
};

/* Where the answers of a thread come. */
struct ckpt_ask_thread {
	const stack_t *altstack;
	const uint64_t *clear_tid;
	const int *pdeath;
	const struct ckpt_inject_call *calls[5];
	struct ckpt_ask_strange strange;
	struct ckpt_ask_state states[CKPT_STATES];
	const struct ckpt_inject_call *rings[CKPT_ASK_RINGS];
};

/**
 * struct ckpt_ask - the questions of a process and where their answers come
 * @actions, @action_calls: by signal number less one; NULL: not asked
 */
struct ckpt_ask {
	struct ckpt_inject inject;
	const void *actions[CKPT_NSIG];
	const struct ckpt_inject_call *action_calls[CKPT_NSIG];
	const struct itimerval *itimers[3];
	const struct ckpt_inject_call *itimer_calls[3];
	const int *subreaper;
	const struct ckpt_inject_call *task_calls[3];
	const struct ckpt_inject_call *membarrier;
	struct ckpt_ask_thread *threads;
};

/* uring-ask.c: in a process that holds an io_uring, that no thread has registered one. */
void ckpt_urings_ask(struct ckpt_inject *inject, size_t thread,
		     const struct ckpt_inject_call *ret[CKPT_ASK_RINGS]);
int ckpt_urings_none(const struct ckpt_inject *inject, size_t thread,
		     const struct ckpt_inject_call *const calls[CKPT_ASK_RINGS],
		     struct ckpt_err *err);
/* strange.c: the calls that find what is refused, and the refusals; what is slow to learn. */
void ckpt_strange_warm_up(void);
void ckpt_strange_ask(struct ckpt_inject *inject, size_t thread, struct ckpt_ask_strange *ret);
int ckpt_strange_check(const struct ckpt_inject *inject, size_t thread,
		       const struct ckpt_ask_strange *strange, struct ckpt_err *err);
/*
 * strange-state.c: the same of what prctl and the like set; what the kernel shows of it from
 * outside, the registers of @t and its status are known; what of it is in a text of status, of who
 * has seccomp filters or not, or NULL.
 */
void ckpt_states_ask(struct ckpt_inject *inject, size_t thread, struct ckpt_ask_state *ret);
int ckpt_states_check(const struct ckpt_inject *inject, size_t thread,
		      const struct ckpt_ask_state *asked, struct ckpt_err *err);
int ckpt_states_seen(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t,
		     struct ckpt_err *err);
const char *ckpt_state_of_status(const char *text, bool filtered);
/* Is all memory locked that is mapped from now on? Seen by the page that we map. */
int ckpt_strange_locks(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
		       struct ckpt_err *err);

/*
 * timer-ask.c: POSIX timers, looked at before the queued signals and after them, shared ones by
 * then in @task; those of threads are read once more in between.
 */
int ckpt_timers_look(struct ckpt_ask *ask, struct ckpt_task *task, struct ckpt_err *err);
int ckpt_timers_settle(struct ckpt_ask *ask, struct ckpt_task *task, struct ckpt_err *err);

/* Start the calls in all threads; the page is mapped. */
int ckpt_ask_start(struct ckpt_ask *ask, struct ckpt_err *err);
/* Wait for them and fill in what they say, queued shared signals included. */
int ckpt_ask_finish(struct ckpt_ask *ask, struct ckpt_task *task, struct ckpt_mm *mm,
		    struct ckpt_err *err);
/* Free; after a failure also bring the threads back and unmap the page. */
void ckpt_ask_done(struct ckpt_ask *ask);

#endif
