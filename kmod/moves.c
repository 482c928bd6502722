// SPDX-License-Identifier: GPL-2.0
/*
 * Where memory has moved to
 *
 * mremap moves whole page tables and marks nothing.  A table that is at another
 * place than at the last take is seen; one that went away and came back between
 * two takes is not, and whoever copied its pages meanwhile has read something
 * else, or nothing.  So what mremap has brought is dirty at the next take.
 *
 * It is heard of by a probe at the end of the system call.  A kernel without
 * such probes tells as much as the tables do.
 */
#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/sched.h>

#include "limits.h"
#include "moves.h"
#include "probes.h"
#include "witness.h"

static bool moves = true;
module_param(moves, bool, 0644);
MODULE_PARM_DESC(moves, "hear of mremap by probes");

/* Of a call under way. */
struct move {
	unsigned long from;
	unsigned long len;
	unsigned long to;	/* if it was asked for, else 0 */
};

/*
 * Return: 1 for who is in no group: his calls must not use up what there is to remember them by.
 * An address space that is first walked while one is under way is told by its tables.
 */
static int begins(struct kretprobe_instance *instance, u64 from, u64 old_len, u64 new_len,
		  u64 flags, u64 to)
{
	struct move *move = (struct move *)instance->data;

	if (!READ_ONCE(moves) || !ckpt_witness_walks(current->mm))
		return 1;
	*move = (struct move){
		.from = from,
		.len = max(old_len, new_len),
		.to = flags & MREMAP_FIXED ? to : 0,
	};
	return 0;
}

/* The arguments are in the registers of the process, where the first one points. */
static int begins_64(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct pt_regs *user = (const struct pt_regs *)regs->di;

	return begins(instance, user->di, user->si, user->dx, user->r10, user->r8);
}

static int begins_32(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct pt_regs *user = (const struct pt_regs *)regs->di;

	return begins(instance, (u32)user->bx, (u32)user->cx, (u32)user->dx, (u32)user->si,
		      (u32)user->di);
}

static int ends(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct move *move = (const struct move *)instance->data;
	unsigned long to = regs_return_value(regs);

	/*
	 * Of several areas, some may have moved before it failed (6.17 and later).  What was
	 * asked for may be no place at all, and then nothing has moved.
	 */
	if (IS_ERR_VALUE(to))
		to = move->to ?: move->from;
	if (offset_in_page(to) || to + PAGE_ALIGN(move->len) < to)
		return 0;
	/* A table moves as a whole only to a place that lies alike in its 2 MiB. */
	if (to == move->from || (to ^ move->from) & ~PMD_MASK)
		return 0;
	ckpt_witness_moved(current->mm, to, to + PAGE_ALIGN(move->len));
	return 0;
}

static struct ckpt_probe probes[] = {
	{
		.at.kp.symbol_name = "__x64_sys_mremap",
		.at.entry_handler = begins_64,
		.at.handler = ends,
		.at.data_size = sizeof(struct move),
		.at.maxactive = CKPT_PROBES_ACTIVE,
	},
	{
		.at.kp.symbol_name = "__ia32_sys_mremap",
		.at.entry_handler = begins_32,
		.at.handler = ends,
		.at.data_size = sizeof(struct move),
		.at.maxactive = CKPT_PROBES_ACTIVE,
	},
};

/**
 * ckpt_moves_heard - are moves heard of?
 */
bool ckpt_moves_heard(void)
{
	return READ_ONCE(moves) && (probes[0].listening || probes[1].listening);
}

/**
 * ckpt_moves_missed - calls whose end was not heard of, because too many were under way
 */
unsigned long ckpt_moves_missed(void)
{
	return ckpt_probes_missed(probes, ARRAY_SIZE(probes));
}

/**
 * ckpt_moves_init - hear of them, if the kernel tells
 */
void ckpt_moves_init(void)
{
	ckpt_probes_register(probes, ARRAY_SIZE(probes));
}

/**
 * ckpt_moves_exit - no more
 */
void ckpt_moves_exit(void)
{
	ckpt_probes_unregister(probes, ARRAY_SIZE(probes));
}
