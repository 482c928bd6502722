// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * State of processor, scheduler and memory that prctl and the like set, and that no restore
 * brings back: each has a usual value, and another one is refused
 *
 * What a seccomp filter does not let a thread ask without harm is not asked: a checkpoint of who
 * has such a filter must not fail for what it mostly cannot have either.
 */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proc/ask.h"
#include "proc/sched-attr.h"

/* Not in the headers of older kernels, or of other libraries. */
#define ASK_THP_DISABLE 42
#define ASK_IO_FLUSHER 58
#define ASK_MEMORY_MERGE 68
#define ASK_CPUID 0x1011
#define ASK_XCOMP_PERM 0x1022
#define XTILE_DATA (1ull << 18)
#define THP_EXCEPT_ADVISED 2
#define IO_PERMISSIONS 0x201

/* @out: the value comes where the second argument points; @mask: what of it counts */
static const struct state {
	bool leader, out;
	long nr;
	uint64_t first, mask, usual;
	const char *what;
} states[CKPT_STATES] = {
	{ false, true, SYS_prctl, PR_GET_TSC, ~0u, PR_TSC_ENABLE,
	  "no right to read the time stamp counter (PR_SET_TSC)" },
	{ false, false, SYS_arch_prctl, ASK_CPUID, ~0u, 1, "no right to cpuid (ARCH_SET_CPUID)" },
	{ false, false, SYS_prctl, PR_MCE_KILL_GET, ~0u, PR_MCE_KILL_DEFAULT,
	  "a way of its own with memory errors (PR_MCE_KILL)" },
	{ false, false, SYS_prctl, ASK_IO_FLUSHER, ~0u, 0,
	  "the mark of who writes for a file system (PR_SET_IO_FLUSHER)" },
	{ true, false, SYS_prctl, ASK_THP_DISABLE, THP_EXCEPT_ADVISED, 0,
	  "huge pages where it asks for them alone (PR_THP_DISABLE_EXCEPT_ADVISED)" },
	{ true, false, SYS_prctl, ASK_MEMORY_MERGE, ~0u, 0,
	  "all of its memory merged with alike (PR_SET_MEMORY_MERGE)" },
	{ true, true, SYS_arch_prctl, ASK_XCOMP_PERM, XTILE_DATA, 0,
	  "the right to AMX tiles (ARCH_REQ_XCOMP_PERM)" },
	{ true, false, SYS_modify_ldt, 0, ~0u, 0, "segments of its own (modify_ldt)" },
};

void ckpt_states_ask(struct ckpt_inject *inject, size_t thread, struct ckpt_ask_state *ret)
{
	for (size_t i = 0; i < CKPT_STATES; i++) {
		const struct state *s = &states[i];
		uint64_t args[6] = { s->first };
		const void *out = NULL;

		ret[i] = (struct ckpt_ask_state){ 0 };
		if (s->leader && thread)
			continue;
		if (s->out || s->nr == SYS_modify_ldt)
			args[1] = ckpt_inject_out(inject, thread, sizeof(uint64_t), &out);
		if (s->nr == SYS_modify_ldt)
			args[2] = sizeof(uint64_t);
		if (!ckpt_inject_spared(inject, thread, s->nr, args))
			continue;
		ret[i].out = s->out ? out : NULL;
		ret[i].call = ckpt_inject_call(inject, thread, s->nr, args[0], args[1], args[2], 0);
	}
}

static int refuse(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t,
		  const char *what, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has %s (thread %d), which this version cannot restore", p->pid,
		p->comm, what, t->tid);
}

int ckpt_states_check(const struct ckpt_inject *inject, size_t thread,
		      const struct ckpt_ask_state *asked, struct ckpt_err *err)
{
	for (size_t i = 0; i < CKPT_STATES; i++) {
		const struct ckpt_inject_call *call = asked[i].call;
		uint64_t value;

		/* a kernel, a processor or a filter without it, or who may not even ask */
		if (!call || (call->value < 0 && call->value > -4096))
			continue;
		value = asked[i].out ? *asked[i].out : (uint64_t)call->value;
		if ((value & states[i].mask) != states[i].usual)
			return refuse(inject->proc, &inject->proc->threads[thread],
				      states[i].what, err);
	}
	return 0;
}

#define FULL 1024

/* A kernel that has no such thing says zeros, also of us, who have asked for none. */
static bool clamped(pid_t tid)
{
	struct ckpt_sched_attr own, a;
	bool fixed;

	if (syscall(SYS_sched_getattr, tid, &a, sizeof(a), 0) || a.size < sizeof(a))
		return false;
	fixed = a.policy == SCHED_FIFO || a.policy == SCHED_RR;
	if (a.util_max == FULL && (!a.util_min || (fixed && a.util_min == FULL)))
		return false;
	return !syscall(SYS_sched_getattr, 0, &own, sizeof(own), 0) && own.util_max;
}

static bool has_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	return at && (at == text || at[-1] == '\n');
}

const char *ckpt_state_of_status(const char *text, bool filtered)
{
	static const char *const speculation[] = {
		"Speculation_Store_Bypass:\tthread mitigated\n",
		"Speculation_Store_Bypass:\tthread force mitigated\n",
		"SpeculationIndirectBranch:\tconditional disabled\n",
		"SpeculationIndirectBranch:\tconditional force disabled\n",
	};
	static const char tags[] = "untag_mask:\t0x";
	const char *at = strstr(text, tags);

	/* some kernels mitigate for who has a filter; it comes with that */
	for (size_t i = 0; !filtered && i < sizeof(speculation) / sizeof(*speculation); i++) {
		if (has_line(text, speculation[i]))
			return "speculation forbidden to it (PR_SET_SPECULATION_CTRL)";
	}
	if (at && strtoull(at + sizeof(tags) - 1, NULL, 16) != UINT64_MAX)
		return "addresses with tags (ARCH_ENABLE_TAGGED_ADDR)";
	return NULL;
}

int ckpt_states_seen(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t,
		     struct ckpt_err *err)
{
	static uint8_t ports[8192];
	struct iovec iov = { ports, sizeof(ports) };
	const char *what = ckpt_state_of_status(t->status_text, t->n_filters);

	if (!ptrace(PTRACE_GETREGSET, t->tid, IO_PERMISSIONS, &iov) && iov.iov_len)
		what = "the right to I/O ports (ioperm)";
	if (clamped(t->tid))
		what = "bounds for the speed of its processor (uclamp)";
	return what ? refuse(p, t, what, err) : 0;
}
