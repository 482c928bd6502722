// SPDX-License-Identifier: GPL-2.0
/* 6.18 API change: the flags of an address space are read through a helper. */
#include <linux/mm.h>

bool probe(struct mm_struct *mm);
bool probe(struct mm_struct *mm)
{
	return mm_flags_test(MMF_HAS_UPROBES, mm);
}
