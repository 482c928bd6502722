// SPDX-License-Identifier: GPL-2.0
/*
 * The TLB flush that ends a round
 *
 * Every translation on every CPU, always: a CPU that left an mm's cpumask may
 * keep stale writable entries of it under PCID, and the kernel's own narrower
 * flush is not exported.  Never narrow it.
 */
#include <linux/irqflags.h>
#include <linux/smp.h>
#include <asm/cpufeature.h>
#include <asm/invpcid.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>

#include "tlb.h"

/* Toggling CR4.PGE drops everything, global entries and all PCIDs included. */
static void toggle_pge(void)
{
	unsigned long flags, cr4;

	raw_local_irq_save(flags);
	cr4 = native_read_cr4();
	asm volatile("mov %0, %%cr4" : : "r" (cr4 ^ X86_CR4_PGE) : "memory");
	asm volatile("mov %0, %%cr4" : : "r" (cr4) : "memory");
	raw_local_irq_restore(flags);
}

static void flush_this_cpu(void *unused)
{
	if (boot_cpu_has(X86_FEATURE_INVPCID))
		invpcid_flush_all();
	else
		toggle_pge();
}

/**
 * ckpt_tlb_flush - drop every cached translation on every CPU
 *
 * Context: interrupts on; waits for all CPUs.
 */
void ckpt_tlb_flush(void)
{
	on_each_cpu(flush_this_cpu, NULL, 1);
}
