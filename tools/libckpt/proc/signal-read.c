// SPDX-License-Identifier: GPL-2.0-or-later
/* Signals that are queued and not delivered. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#include "proc/procfs.h"
#include "proc/read.h"

#define AT_ONCE 32

/* As the kernel's struct ptrace_peeksiginfo_args. */
struct peek {
	uint64_t off;
	uint32_t flags;
	int32_t nr;
};

/*
 * Above RLIMIT_SIGPENDING of a user a signal comes alone, without what tells who has sent it.
 * Who takes it gets zeros and SI_USER, as of one that is queued so; for one of real time, too,
 * for of that number nothing else waits then.
 */
static siginfo_t alone(int sig)
{
	return (siginfo_t){ .si_signo = sig, .si_code = SI_USER };
}

/* Behind @list those that wait and are not in it. */
static int add_alone(uint64_t waiting, siginfo_t **list, size_t *n, struct ckpt_err *err)
{
	for (size_t i = 0; i < *n; i++)
		waiting &= ~(1ull << (((*list)[i].si_signo - 1) & 63));
	for (int sig = 1; sig <= CKPT_NSIG; sig++) {
		siginfo_t *more;

		if (!(waiting & 1ull << (sig - 1)) || sig == SIGKILL || sig == SIGSTOP)
			continue;
		more = reallocarray(*list, *n + 1, sizeof(*more));
		if (!more)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for queued signals");
		*list = more;
		more[(*n)++] = alone(sig);
	}
	return 0;
}

static int get_queued(struct ckpt_held_proc *p, pid_t tid, bool shared, siginfo_t **list,
		      size_t *n, struct ckpt_err *err)
{
	siginfo_t some[AT_ONCE];

	for (;;) {
		struct peek args = { .off = *n, .flags = shared, .nr = AT_ONCE };
		long got = ptrace(PTRACE_PEEKSIGINFO, tid, &args, some);
		siginfo_t *more;

		if (got < 0)
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "cannot read the queued signals of pid %d (%s)", p->pid,
					 p->comm);
		if (!got)
			return 0;
		more = reallocarray(*list, *n + got, sizeof(*more));
		if (!more)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for queued signals");
		*list = more;
		memcpy(more + *n, some, got * sizeof(*more));
		*n += got;
	}
}

int ckpt_read_pending(struct ckpt_held_proc *p, pid_t tid, bool shared, uint64_t waiting,
		      siginfo_t **ret, size_t *ret_n, struct ckpt_err *err)
{
	siginfo_t *list = NULL;
	size_t n = 0;

	if (get_queued(p, tid, shared, &list, &n, err) || add_alone(waiting, &list, &n, err)) {
		free(list);
		return -1;
	}
	free(*ret);
	*ret = list;
	*ret_n = n;
	return 0;
}
