// SPDX-License-Identifier: GPL-2.0
/*
 * Has somebody else cleared soft-dirty bits?
 *
 * Another program (CRIU --track-mem, "4" written to clear_refs) takes the bits
 * of pages away that this module has not read yet; those that were swapped out
 * or forked since they were written keep no other trace.  But it takes the mark
 * of each area, VM_SOFTDIRTY, as well, in the same hold of the mmap lock.  So one
 * area keeps its mark as a witness: the vdso, which every process has, whose
 * pages nobody asks for, and which is never merged with a neighbour.
 */
#include <linux/mm.h>

#include "members.h"
#include "witness.h"

static struct vm_area_struct *find_witness(struct mm_struct *mm)
{
	unsigned long at = (unsigned long)mm->context.vdso;
	struct vm_area_struct *vma = at ? find_vma(mm, at) : NULL;

	/* where it was there may be something else by now */
	if (!vma || vma->vm_start != at || vma->vm_file || vma_is_anonymous(vma))
		return NULL;
	return vma;
}

/**
 * ckpt_witness_holds - may bits be believed that were left since the last call?
 * @m: the address space
 *
 * The witness is set up again, so the next call answers for the time from this
 * one on.  Without a vdso nothing is ever believed.
 *
 * Context: under the mmap write lock.
 * Return: false if somebody else may have cleared bits since then, or if this
 * is the first call.
 */
bool ckpt_witness_holds(struct ckpt_mm *m)
{
	struct vm_area_struct *vma = find_witness(m->mm);
	bool held = m->witness && vma && (vma->vm_flags & VM_SOFTDIRTY);

	m->witness = vma;
	if (vma && !(vma->vm_flags & VM_SOFTDIRTY))
		ckpt_vma_set_soft_dirty(vma);
	return held;
}
