// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Filters of system calls: their programs, as their threads gave them to the kernel
 *
 * A filter that asks somebody else (SECCOMP_RET_USER_NOTIF) is refused: who answers has a
 * descriptor for it, and nothing tells who that is.
 */
#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "proc/filter.h"
#include "proc/hold.h"
#include "proc/procfs.h"

#define STRICT 1

/* As the kernel's struct seccomp_metadata. */
struct metadata {
	uint64_t offset, flags;
};

static int refuse(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t, int os,
		  const char *why, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, os,
		"pid %d (%s) has a seccomp filter (thread %d) %s", p->pid, p->comm, t->tid, why);
}

/* Can it ask somebody? A value that it calculates may be anything. */
static bool may_ask(const struct ckpt_filter *f)
{
	for (size_t i = 0; i < f->n_insns; i++) {
		struct sock_filter insn;

		memcpy(&insn, &f->insns[i], sizeof(insn));
		if (BPF_CLASS(insn.code) == BPF_RET &&
		    (BPF_RVAL(insn.code) == BPF_A ||
		     (insn.k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF))
			return true;
	}
	return false;
}

/* The filter of number @i, the oldest is 0. Return: 1, 0 when there is none, -1. */
static int read_one(const struct ckpt_held_proc *p, struct ckpt_held_thread *t, size_t i,
		    struct ckpt_err *err)
{
	struct metadata m = { .offset = i };
	struct ckpt_filter *list;
	long n = ptrace(PTRACE_SECCOMP_GET_FILTER, t->tid, i, NULL);

	if (n < 0 && errno == ENOENT)
		return 0;
	if (i == CKPT_FILTER_CHAIN)
		return refuse(p, t, 0, "and too many others", err);
	if (n <= 0 || n > CKPT_FILTER_INSNS)
		return refuse(p, t, errno, "that this kernel does not show to ckpt-tool", err);
	list = ckpt_grow(t->filters, &t->n_filters, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of filters");
	t->filters = list;
	list += i;
	list->insns = calloc(n, sizeof(*list->insns));
	if (!list->insns)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a filter");
	list->n_insns = n;
	if (ptrace(PTRACE_SECCOMP_GET_FILTER, t->tid, i, list->insns) != n ||
	    ptrace(PTRACE_SECCOMP_GET_METADATA, t->tid, sizeof(m), &m) < 0)
		return refuse(p, t, errno, "that this kernel does not show to ckpt-tool", err);
	list->flags = m.flags;
	if (m.flags & ~(uint64_t)SECCOMP_FILTER_FLAG_LOG)
		return refuse(p, t, 0, "with flags that this version does not know", err);
	return may_ask(list) ? refuse(p, t, 0, "that may ask another process about system calls, "
				      "which this version cannot restore", err) : 1;
}

int ckpt_filters_hold(const struct ckpt_held_proc *p, struct ckpt_held_thread *t,
		      struct ckpt_err *err)
{
	size_t i = 0;
	int more;

	if (!t->status.seccomp)
		return 0;
	if (t->status.seccomp == STRICT)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) is in strict seccomp mode (thread %d), in which calls of "
			"ckpt-tool could end it", p->pid, p->comm, t->tid);
	while ((more = read_one(p, t, i, err)) > 0)
		i++;
	if (more < 0)
		return -1;
	if (ptrace(PTRACE_SETOPTIONS, t->tid, 0,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP))
		return refuse(p, t, errno, "that this kernel does not suspend for ckpt-tool", err);
	return 0;
}

void ckpt_filters_done(struct ckpt_held_thread *t)
{
	for (size_t i = 0; i < t->n_filters; i++)
		free(t->filters[i].insns);
	free(t->filters);
}

static bool is_same(const struct ckpt_filter *a, const struct ckpt_filter *b)
{
	return a->flags == b->flags && a->n_insns == b->n_insns &&
	       !memcmp(a->insns, b->insns, a->n_insns * sizeof(*a->insns));
}

static int find(struct ckpt_image *image, const struct ckpt_filter *f, uint32_t *ret,
		struct ckpt_err *err)
{
	struct ckpt_filter *list;

	for (uint32_t i = 0; i < image->n_filters; i++) {
		if (is_same(&image->filters[i], f)) {
			*ret = i;
			return 0;
		}
	}
	list = ckpt_grow(image->filters, &image->n_filters, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of filters");
	image->filters = list;
	*ret = image->n_filters - 1;
	list += *ret;
	list->flags = f->flags;
	list->insns = malloc(f->n_insns * sizeof(*f->insns));
	if (!list->insns)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a filter");
	memcpy(list->insns, f->insns, f->n_insns * sizeof(*f->insns));
	list->n_insns = f->n_insns;
	return 0;
}

int ckpt_filters_keep(struct ckpt_image *image, const struct ckpt_held_thread *t, uint32_t **ret,
		      size_t *ret_n, struct ckpt_err *err)
{
	if (!t->n_filters)
		return 0;
	*ret = calloc(t->n_filters, sizeof(**ret));
	if (!*ret)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of filters");
	*ret_n = t->n_filters;
	for (size_t i = 0; i < t->n_filters; i++) {
		if (find(image, &t->filters[i], &(*ret)[i], err))
			return -1;
	}
	return 0;
}

bool ckpt_filters_spare(const struct ckpt_held_thread *t, uint64_t ip, long nr,
			const uint64_t args[6])
{
	struct seccomp_data data = { .nr = nr, .arch = AUDIT_ARCH_X86_64,
				     .instruction_pointer = ip };

	memcpy(data.args, args, sizeof(data.args));
	for (size_t i = 0; i < t->n_filters; i++) {
		const struct ckpt_filter *f = &t->filters[i];

		switch (ckpt_filter_run(f->insns, f->n_insns, &data) & SECCOMP_RET_ACTION_FULL) {
		case SECCOMP_RET_ALLOW:
		case SECCOMP_RET_LOG:
			break;
		case SECCOMP_RET_ERRNO:
			/* the way back must not fail */
			if (nr == SYS_rt_sigreturn)
				return false;
			break;
		default:
			return false;
		}
	}
	return true;
}
