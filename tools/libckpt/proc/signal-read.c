// SPDX-License-Identifier: GPL-2.0-or-later
/* Signals that are queued and not delivered. */
#include <errno.h>
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

int ckpt_read_pending(struct ckpt_held_proc *p, pid_t tid, bool shared, siginfo_t **ret,
		      size_t *ret_n, struct ckpt_err *err)
{
	siginfo_t some[AT_ONCE];
	siginfo_t *all = NULL;
	size_t n = 0;

	for (;;) {
		struct peek args = { .off = n, .flags = shared, .nr = AT_ONCE };
		long got = ptrace(PTRACE_PEEKSIGINFO, tid, &args, some);
		siginfo_t *more;

		if (got < 0) {
			free(all);
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "cannot read the queued signals of pid %d (%s)", p->pid,
					 p->comm);
		}
		if (!got)
			break;
		more = reallocarray(all, n + got, sizeof(*all));
		if (!more) {
			free(all);
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for queued signals");
		}
		all = more;
		memcpy(all + n, some, got * sizeof(*all));
		n += got;
	}
	free(*ret);
	*ret = all;
	*ret_n = n;
	return 0;
}
