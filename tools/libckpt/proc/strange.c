// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What nothing outside a task shows and no restore brings back: memory policy,
 * keyrings, protection keys, the promise to lock what is mapped later
 *
 * The session keyring is not asked for: the question gives a process one that
 * has none.  A Landlock domain cannot be asked for by anybody.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "proc/ask.h"
#include "proc/procfs.h"

/* One page behind the last one that a process can have. */
#define NOWHERE 0x7ffffffff000ull

/* cpuid 7, ecx: the kernel has protection keys in use. */
#define OSPKE (1u << 4)

static bool ask_pkeys(void)
{
	unsigned int max = 0, leaf = 7, features = 0;

	__asm__ volatile("cpuid" : "+a"(max) : : "ebx", "ecx", "edx");
	if (max >= leaf)
		__asm__ volatile("cpuid" : "+a"(leaf), "+c"(features) : : "ebx", "edx");
	return features & OSPKE;
}

/* Asked once: a virtual machine takes its time for cpuid. */
static bool has_pkeys(void)
{
	static bool known, has;

	if (!known)
		has = ask_pkeys();
	known = true;
	return has;
}

void ckpt_strange_warm_up(void)
{
	has_pkeys();
}

void ckpt_strange_ask(struct ckpt_inject *inject, size_t thread, struct ckpt_ask_strange *ret)
{
	static const int keyrings[2] = { KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING };
	const void *out;
	uint64_t at = ckpt_inject_out(inject, thread, sizeof(int), &out);

	*ret = (struct ckpt_ask_strange){ .policy = out };
	ret->policy_call = ckpt_inject_call(inject, thread, SYS_get_mempolicy, at, 0, 0, 0);
	for (int i = 0; i < 2; i++)
		ret->keyrings[i] = ckpt_inject_call(inject, thread, SYS_keyctl,
						    KEYCTL_GET_KEYRING_ID, keyrings[i], 0, 0);
	/* where nothing can be mapped: no key of that number, or no memory there */
	for (int key = 1; !thread && has_pkeys() && key <= CKPT_PKEYS; key++)
		ret->pkeys[key - 1] = ckpt_inject_call(inject, 0, SYS_pkey_mprotect, NOWHERE, 4096,
						       0, key);
}

static int refuse(const struct ckpt_inject *inject, size_t thread, const char *what,
		  struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = inject->proc;

	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has %s (thread %d), which this version cannot restore", p->pid,
		p->comm, what, p->threads[thread].tid);
}

/* An answer that is none: no such keyring, or a kernel or a filter without the call. */
static bool is_none(const struct ckpt_inject_call *call)
{
	return call->value == -ENOKEY || call->value == -ENOSYS || call->value == -EOPNOTSUPP ||
	       call->value == -EPERM;
}

int ckpt_strange_check(const struct ckpt_inject *inject, size_t thread,
		       const struct ckpt_ask_strange *strange, struct ckpt_err *err)
{
	if (!strange->policy_call->value && *strange->policy != MPOL_DEFAULT)
		return refuse(inject, thread, "a memory policy of its own", err);
	if (!is_none(strange->keyrings[0]))
		return refuse(inject, thread, "a thread keyring", err);
	if (!is_none(strange->keyrings[1]))
		return refuse(inject, thread, "a process keyring", err);
	for (int i = 0; i < CKPT_PKEYS; i++) {
		if (strange->pkeys[i] && strange->pkeys[i]->value == -ENOMEM)
			return refuse(inject, thread, "allocated a protection key", err);
	}
	return 0;
}

int ckpt_strange_locks(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
		       struct ckpt_err *err)
{
	struct ckpt_proc_status s;
	int e = ckpt_procfs_read_piece(p->dir, "status", &hold->scratch);

	if (e || ckpt_parse_status((char *)hold->scratch.data, &s))
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the status of pid %d", p->pid);
	if (s.locked_kb <= p->threads[0].status.locked_kb)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) locks whatever it maps from now on (mlockall with MCL_FUTURE), which "
		"this version cannot restore", p->pid, p->comm);
}
