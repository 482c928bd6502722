// SPDX-License-Identifier: GPL-2.0
/*
 * What was written by force
 *
 * A debugger writes where the process may not (ptrace, /proc/pid/mem).  In an area that is
 * marked as a whole (VM_SOFTDIRTY) that leaves no trace in the entry of the page, and the mark
 * may be gone before the next take: what joins an area gives it its own.  So each such write is
 * told by its place: by every take while it is under way, and by the first one after its end.
 *
 * It is heard of by probes at the functions that all of them pass.  A kernel without such probes
 * tells of an area as a whole that begins or ends elsewhere now.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "forced.h"
#include "limits.h"
#include "probes.h"
#include "witness.h"

static bool forced = true;
module_param(forced, bool, 0444);
MODULE_PARM_DESC(forced, "hear of forced writes by probes");

/* Under way. */
struct write {
	const struct mm_struct *mm;
	u64 start, end, number;
};

/*
 * Also into memory of no group: it may be one's before the write is done.
 * Return: 1 for one that is not forced: its end does not matter.
 */
static int begins(struct kretprobe_instance *instance, const struct mm_struct *mm, u64 addr,
		  int len, unsigned int flags)
{
	struct write *write = (struct write *)instance->data;

	if ((flags & (FOLL_WRITE | FOLL_FORCE)) != (FOLL_WRITE | FOLL_FORCE) || len <= 0)
		return 1;
	write->mm = mm;
	write->start = addr & PAGE_MASK;
	write->end = PAGE_ALIGN(addr + len);
	/* an address may have a tag */
	if (write->end <= write->start || write->end > TASK_SIZE_MAX) {
		write->start = 0;
		write->end = TASK_SIZE_MAX;
	}
	write->number = ckpt_witness_write_begins(mm, write->start, write->end);
	return 0;
}

/* access_remote_vm(mm, addr, buf, len, gup_flags) */
static int begins_in_memory(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	return begins(instance, (const struct mm_struct *)regs->di, regs->si, regs->cx, regs->r8);
}

/* ptrace_access_vm(tsk, addr, buf, len, gup_flags); the mm is only compared, and may go */
static int begins_in_task(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct task_struct *task = (const struct task_struct *)regs->di;

	return begins(instance, READ_ONCE(task->mm), regs->si, regs->cx, regs->r8);
}

static int ends(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct write *write = (const struct write *)instance->data;

	ckpt_witness_write_ends(write->mm, write->start, write->end, write->number);
	return 0;
}

static struct ckpt_probe probes[] = {
	{
		.at.kp.symbol_name = "access_remote_vm",
		.at.entry_handler = begins_in_memory,
		.at.handler = ends,
		.at.data_size = sizeof(struct write),
		.at.maxactive = CKPT_PROBES_ACTIVE,
	},
	{
		.at.kp.symbol_name = "ptrace_access_vm",
		.at.entry_handler = begins_in_task,
		.at.handler = ends,
		.at.data_size = sizeof(struct write),
		.at.maxactive = CKPT_PROBES_ACTIVE,
	},
};

/**
 * ckpt_forced_heard - are all of them heard of?
 *
 * A kernel that was linked by LTO may have made these functions part of others.
 */
bool ckpt_forced_heard(void)
{
	return probes[0].listening && probes[1].listening && !IS_ENABLED(CONFIG_LTO);
}

/**
 * ckpt_forced_missed - those whose end was not heard of, because too many were under way
 */
unsigned long ckpt_forced_missed(void)
{
	return ckpt_probes_missed(probes, ARRAY_SIZE(probes));
}

/**
 * ckpt_forced_init - hear of them, if the kernel tells
 */
void ckpt_forced_init(void)
{
	if (forced)
		ckpt_probes_register(probes, ARRAY_SIZE(probes));
}

/**
 * ckpt_forced_exit - no more
 */
void ckpt_forced_exit(void)
{
	ckpt_probes_unregister(probes, ARRAY_SIZE(probes));
}
