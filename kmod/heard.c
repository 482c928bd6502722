// SPDX-License-Identifier: GPL-2.0
/*
 * What only probes tell of an address space
 *
 * That is where its memory has moved to, and what was written by force.  These places are dirty at
 * the take that hears of them.  Where some were not heard of, all of it is.
 */
#include <linux/atomic.h>
#include <linux/kprobes.h>

#include "forced.h"
#include "heard.h"
#include "limits.h"
#include "members.h"
#include "moves.h"
#include "witness.h"

/*
 * Probes can be switched off behind our back, by the sysctl ftrace_enabled or in debugfs, and
 * count nothing as missed then.  So each take rings a bell that is probed like them.
 */
static atomic_t rung;

static noinline void ckpt_heard_ring(void)
{
	barrier();
}

static int rings(struct kprobe *probe, struct pt_regs *regs)
{
	atomic_inc(&rung);
	return 0;
}

static struct kprobe bell = {
	.addr = (kprobe_opcode_t *)ckpt_heard_ring,
	.pre_handler = rings,
};

static bool has_bell;

static bool deaf(void)
{
	int before = atomic_read(&rung);

	if (!has_bell || !(ckpt_moves_heard() || ckpt_forced_heard()))
		return false;
	ckpt_heard_ring();
	return atomic_read(&rung) == before;
}

/**
 * ckpt_heard_take - what was heard of since the last call is to be told dirty
 * @m: the address space; it is walked after this
 *
 * Context: sleeps.
 */
void ckpt_heard_take(struct ckpt_mm *m)
{
	unsigned long missed = ckpt_moves_missed() + ckpt_forced_missed();
	struct ckpt_range place[CKPT_PLACES_MAX];
	unsigned int n = ckpt_witness_places(m, place), i;

	if (m->missed != missed || deaf())
		ckpt_ranges_set_whole(&m->carry);
	else
		for (i = 0; i < n; i++)
			ckpt_ranges_add(&m->carry, place[i].start, place[i].end, CKPT_RANGES_MAX);
	m->missed = missed;
}

/**
 * ckpt_heard_init - listen, as far as the kernel tells
 */
void ckpt_heard_init(void)
{
	ckpt_moves_init();
	ckpt_forced_init();
	has_bell = !register_kprobe(&bell);
}

/**
 * ckpt_heard_exit - no more
 */
void ckpt_heard_exit(void)
{
	ckpt_moves_exit();
	ckpt_forced_exit();
	if (has_bell)
		unregister_kprobe(&bell);
}
