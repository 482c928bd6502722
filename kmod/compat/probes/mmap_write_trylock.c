// SPDX-License-Identifier: GPL-2.0
/* 6.8 API change: mmap_write_trylock is gone. */
#include <linux/mm.h>

bool probe(struct mm_struct *mm);
bool probe(struct mm_struct *mm)
{
	return mmap_write_trylock(mm);
}
