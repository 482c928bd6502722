// SPDX-License-Identifier: GPL-2.0
/*
 * Where KSM begins to work on an address space
 *
 * A merge takes a page's bit, and from 6.2 on the page that comes back when KSM
 * lets go has none either.  That KSM has been there shows in the address space
 * only as long as something in it is to be merged, which may be less than from
 * one take to the next.  So its begin is heard of, where the kernel tells it.
 * Before 6.2 a page comes back as if it had been written.
 */
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "ksm.h"
#include "witness.h"

static struct tracepoint *begins;

/* Under the mmap write lock, which the walks take as well. */
static void begun(void *data, void *mm)
{
	ckpt_witness_merging(mm);
}

static void find(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "ksm_enter"))
		begins = tp;
}

/**
 * ckpt_ksm_init - hear of it, if the kernel tells
 *
 * Return: 0 or a negative errno.
 */
int ckpt_ksm_init(void)
{
	for_each_kernel_tracepoint(find, NULL);
	return begins ? tracepoint_probe_register(begins, begun, NULL) : 0;
}

/**
 * ckpt_ksm_exit - no more
 */
void ckpt_ksm_exit(void)
{
	if (!begins)
		return;
	tracepoint_probe_unregister(begins, begun, NULL);
	tracepoint_synchronize_unregister();
}
