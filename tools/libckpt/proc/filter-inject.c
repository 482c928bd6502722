// SPDX-License-Identifier: GPL-2.0-or-later
/* Which injected calls a thread with seccomp filters can be left in the middle of. */
#include <string.h>
#include <sys/syscall.h>

#include "proc/filter.h"
#include "proc/inject.h"

#define SYSCALL_LEN 2

extern const uint8_t ckpt_inject_code[], ckpt_inject_code_end[];

int ckpt_inject_check(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t,
		      uint64_t at, long nr, const uint64_t args[6], struct ckpt_err *err)
{
	if (!t->n_filters || ckpt_filters_spare(t, at + SYSCALL_LEN, nr, args))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has a seccomp filter (thread %d) by which system call %ld, which "
		"ckpt-tool makes there, could harm it", p->pid, p->comm, t->tid, nr);
}

/* Of the code of ours that makes the calls of a table, as it is in the process. */
static uint64_t call_at(const struct ckpt_inject *inject, bool last)
{
	static const uint8_t insn[] = { 0x0f, 0x05 };
	const uint8_t *hit = memmem(ckpt_inject_code, ckpt_inject_code_end - ckpt_inject_code,
				    insn, sizeof(insn));

	if (last)
		hit = memmem(hit + 1, ckpt_inject_code_end - hit - 1, insn, sizeof(insn));
	return inject->proc->page + (hit - ckpt_inject_code);
}

bool ckpt_inject_spared(const struct ckpt_inject *inject, size_t thread, long nr,
			const uint64_t args[6])
{
	const struct ckpt_held_thread *t = &inject->proc->threads[thread];

	return !t->n_filters ||
	       ckpt_filters_spare(t, call_at(inject, false) + SYSCALL_LEN, nr, args);
}

int ckpt_inject_check_table(const struct ckpt_inject *inject, size_t thread, struct ckpt_err *err)
{
	const struct ckpt_held_thread *t = &inject->proc->threads[thread];
	const struct ckpt_inject_slot *s = &inject->slots[thread];
	const struct ckpt_inject_call *call = (void *)(inject->local + s->calls);

	for (size_t i = 0; i < s->n && t->n_filters; i++) {
		if (ckpt_inject_check(inject->proc, t, call_at(inject, false), call[i].nr,
				      call[i].args, err))
			return -1;
	}
	return ckpt_inject_check(inject->proc, t, call_at(inject, true), SYS_rt_sigreturn,
				 (uint64_t[6]){ 0 }, err);
}
