// SPDX-License-Identifier: GPL-2.0-or-later
/* Clone: a new process or thread with the id that the image gives it. */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "proc/build.h"
#include "proc/remote.h"

static int remember(struct ckpt_restore *r, pid_t host, struct ckpt_err *err)
{
	pid_t *bigger = realloc(r->made, (r->n_made + 1) * sizeof(*r->made));

	if (!bigger) {
		kill(host, SIGKILL);
		waitpid(host, NULL, __WALL);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for another task");
	}
	r->made = bigger;
	r->made[r->n_made++] = host;
	return 0;
}

void ckpt_build_forget(struct ckpt_restore *r, pid_t host)
{
	size_t i;

	for (i = 0; i < r->n_made && r->made[i] != host; i++)
		;
	if (i == r->n_made)
		return;
	r->n_made--;
	memmove(&r->made[i], &r->made[i + 1], (r->n_made - i) * sizeof(*r->made));
}

int ckpt_build_clone(struct ckpt_restore *r, const struct ckpt_site *s, uint64_t flags,
		     int32_t pid, int exit_signal, pid_t *ret_host, struct ckpt_err *err)
{
	uint64_t set_tid_at = s->scratch + sizeof(struct clone_args);
	struct {
		struct clone_args args;
		int32_t pid;
	} at = {
		.args = {
			.flags = flags,
			.exit_signal = exit_signal,
			.set_tid = pid ? set_tid_at : 0,
			.set_tid_size = pid ? 1 : 0,
			.cgroup = flags & CLONE_INTO_CGROUP ? CKPT_INIT_CGROUP_FD : 0,
		},
		.pid = pid,
	};
	const uint64_t all = ~0ull;
	int64_t value;
	pid_t host = 0;

	if (!ckpt_site_put(s, 0, &at, sizeof(at), err) ||
	    ckpt_remote_clone(s->tid, s->at, s->scratch, sizeof(at.args), &value, &host, err))
		return -1;
	if (value == -EEXIST && pid && r->params.ret_taken)
		*r->params.ret_taken = pid;
	if (value == -EEXIST)
		return ckpt_fail(err, CKPT_FAILED, 0, "somebody took pid %d of the checkpoint just "
				 "now; try again", pid);
	if (value < 0)
		return ckpt_fail(err, CKPT_FAILED, -value, "cannot make a task with pid %d", pid);
	if (remember(r, host, err))
		return -1;
	if (ptrace(PTRACE_SETSIGMASK, host, 8, &all))
		return ckpt_fail(err, CKPT_FAILED, errno, "process %d: cannot block its signals",
				 pid);
	*ret_host = host;
	return 0;
}
