// SPDX-License-Identifier: GPL-2.0-or-later
/* Zombies: processes that have ended and that nobody has waited for. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/build.h"

/* Make it leave the kernel by the call that it exits with. */
static int start_call(const struct ckpt_site *s, long nr, uint64_t a, uint64_t b,
		      struct ckpt_err *err)
{
	struct user_regs_struct regs;
	const uint64_t none = 0;

	if (ptrace(PTRACE_GETREGS, s->tid, 0, &regs))
		return ckpt_fail(err, CKPT_FAILED, errno, "zombie %d: cannot read registers",
				 s->name);
	regs.rip = s->at;
	regs.rax = nr;
	regs.orig_rax = -1;
	regs.rdi = a;
	regs.rsi = b;
	if (ptrace(PTRACE_SETREGS, s->tid, 0, &regs) ||
	    ptrace(PTRACE_SETSIGMASK, s->tid, 8, &none) || ptrace(PTRACE_CONT, s->tid, 0, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "zombie %d: cannot end it", s->name);
	return 0;
}

/* Pass its own signal on to it, until it is dead for its tracer; its parent sees a zombie. */
static int wait_end(const struct ckpt_site *s, int wanted, struct ckpt_err *err)
{
	int status, sig;

	for (;;) {
		if (waitpid(s->tid, &status, __WALL) != s->tid) {
			if (errno == EINTR)
				continue;
			return ckpt_fail(err, CKPT_FAILED, errno, "zombie %d: cannot wait",
					 s->name);
		}
		if (!WIFSTOPPED(status))
			break;
		sig = status >> 16 ? 0 : WSTOPSIG(status);
		if (ptrace(PTRACE_CONT, s->tid, 0, sig))
			return ckpt_fail(err, CKPT_FAILED, errno, "zombie %d: cannot end it",
					 s->name);
	}
	if (status != wanted)
		return ckpt_fail(err, CKPT_FAILED, 0, "zombie %d ended with status 0x%x, not 0x%x",
				 s->name, status, wanted);
	return 0;
}

int ckpt_build_end(struct ckpt_restore *r, const struct ckpt_site *s, int code,
		   struct ckpt_err *err)
{
	int sig = code & 0x7f;

	if (sig == SIGKILL)
		kill(s->tid, SIGKILL);
	else if (sig ? start_call(s, SYS_tkill, s->name, sig, err)
		     : start_call(s, SYS_exit_group, code >> 8, 0, err))
		return -1;
	if (wait_end(s, code, err))
		return -1;
	ckpt_build_forget(r, s->tid);
	return 0;
}

static int end(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	uint64_t at = ckpt_site_put(&s, 0, t->task->comm, sizeof(t->task->comm), err);

	if (!at || ckpt_site_call(&s, err, "name a zombie", SYS_prctl,
				  ARGS(PR_SET_NAME, at)) < 0)
		return -1;
	/* images of old do not have them: it stays who ckpt-tool is */
	if (t->task->creds_known && ckpt_build_creds(&s, &t->task->creds, err))
		return -1;
	return ckpt_build_end(r, &s, t->task->exit_code, err);
}

int ckpt_build_zombies(struct ckpt_restore *r, struct ckpt_err *err)
{
	struct ckpt_build_task *t;

	for (t = r->tasks; t < r->tasks + r->image->n_tasks; t++) {
		if (t->task->state == CKPT_TASK_ZOMBIE && end(r, t, err))
			return -1;
	}
	return 0;
}
