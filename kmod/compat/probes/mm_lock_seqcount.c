// SPDX-License-Identifier: GPL-2.0
/* 6.14 API change: taking the mmap lock for writing begins a sequence. */
#include <linux/mm.h>

void probe(struct mm_struct *mm);
void probe(struct mm_struct *mm)
{
	mm_lock_seqcount_begin(mm);
}
