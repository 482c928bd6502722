// SPDX-License-Identifier: GPL-2.0
/*
 * One walk over an address space: read and clear
 *
 * The walk goes from pgd to pte by hand, under the mmap write lock, given up
 * and taken again every CKPT_WALK_CHUNK page tables.  What it finds of a page
 * is decided in pte.c; here are the areas, the levels and the locks.
 *
 * LOCKING
 * group->lock > mmap_lock (write) > page-table lock.  The mmap lock is only tried
 * for: a reader stuck in a fault (FUSE, userfaultfd) plus a queued writer would
 * block every fault of the process, and in the final round whoever the fault
 * waits for may be stopped.
 *
 * WHAT IS PROTECTED
 * Private areas.  Their anonymous pages lose the write, dirty and soft-dirty
 * bits; the next write faults and sets the latter two again.  The bits of
 * shared areas are no record (they die with the pte, and the page is written
 * by other mappings and by write(2)), so shared areas are mapped out, reported
 * dirty (AREA_WHOLE) and not touched; whether their inode changed is for the
 * file side and a comparison of content.  A page of an inode is told once in a
 * round, with the first area that has it.
 *
 * WHEN A PRIVATE PAGE IS DIRTY
 * - its area was not there, with the same identity, at the last take;
 * - the page table it hangs on is another one than at the last take (mremap
 *   moves whole tables and marks nothing, and may move the same way twice);
 * - a bit says so: soft-dirty, writable, or dirty.  The dirty bit is moved to
 *   the page at every take, so it is a second record, of the hardware's, that
 *   an upgrade to writable by mprotect does not slip by;
 * - it cannot be known: an mm that ever asked for KSM (whose pages lose the
 *   bit and may be split or swapped out since), a migration entry, a reference
 *   that no mapping explains, uprobes.
 * VM_SOFTDIRTY alone is not a reason: the kernel sets it on a whole area when
 * a neighbour is merged into it (every growth of a heap).  New memory in an
 * old area is seen by its bits and, where there are none, by its state.  Only
 * where the area cannot be written (now or at the last take) it makes all of it
 * dirty, because a debugger's write there leaves no other trace in the entries (it is
 * heard of as well, where probes are had); and everywhere its swap entries, which carry
 * no dirty bit.  Those are dirty as well where the
 * area does not begin or end where it did, since a merge may have dropped the mark,
 * and where a fault handler may bring them.
 * Who else clears soft-dirty bits is seen by a witness (witness.c).
 *
 * WHAT IS NOT SEEN
 * Without kretprobes, memory that is moved away by whole page tables and back to
 * the very same place while a live round copies it (moves.c), and a debugger's forced
 * write into an area that was joined by others and split again, or made writable again,
 * within an epoch (forced.c).
 * docs/testing.md has the rest, of single kernels.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/hugetlb_inline.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/sched/coredump.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>
#include <linux/slab.h>

#include "forced.h"
#include "heard.h"
#include "limits.h"
#include "members.h"
#include "pagewalk.h"
#include "pte.h"
#include "told.h"
#include "witness.h"

static unsigned int runs_max = CKPT_RUNS_MAX;
module_param(runs_max, uint, 0644);
MODULE_PARM_DESC(runs_max, "runs of one address space that a round keeps");

static unsigned int tables_max = CKPT_WALK_CHUNK;
module_param(tables_max, uint, 0644);
MODULE_PARM_DESC(tables_max, "page tables walked in one hold of an address space's lock");

/* VMs of the kernel that are neither anonymous nor plain page cache. */
#define VM_STRANGE (VM_IO | VM_PFNMAP | VM_MIXEDMAP)

static bool is_page_cache(const struct vm_area_struct *vma)
{
	const struct inode *inode;

	if (!vma->vm_file)
		return false;
	inode = file_inode(vma->vm_file);
	return S_ISREG(inode->i_mode) && !IS_DAX(inode) &&
	       inode->i_sb->s_magic != SECRETMEM_MAGIC &&
	       inode->i_sb->s_magic != ANON_INODE_FS_MAGIC;
}

static u32 area_flags(struct vm_area_struct *vma)
{
	static const struct { unsigned long vm; u32 area; } map[] = {
		{ VM_READ, CKPT_AREA_READ },
		{ VM_WRITE, CKPT_AREA_WRITE },
		{ VM_EXEC, CKPT_AREA_EXEC },
		{ VM_SHARED, CKPT_AREA_SHARED },
		{ VM_MAYWRITE, CKPT_AREA_MAYWRITE },
		{ VM_HUGETLB, CKPT_AREA_HUGETLB },
		{ VM_GROWSDOWN, CKPT_AREA_GROWSDOWN },
		{ VM_WIPEONFORK, CKPT_AREA_WIPEONFORK },
	};
	u32 flags = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(map); i++)
		if (vma->vm_flags & map[i].vm)
			flags |= map[i].area;
	/* VM_SHARED is dropped from read-only shared mappings, VM_MAYSHARE is not. */
	if (vma->vm_flags & VM_MAYSHARE)
		flags |= CKPT_AREA_SHARED;
	return flags;
}

/* Describe the rest of @vma from @start and decide how it is walked. */
static void enter_area(struct ckpt_walk *w, struct vm_area_struct *vma, u64 start)
{
	struct ckpt_area *area = &w->area;
	const struct inode *inode;

	*area = (struct ckpt_area){
		.start = start,
		.end = vma->vm_end,
		.pgoff = vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT),
		.flags = area_flags(vma),
		.run = w->runs.nr,
	};
	/* A private map of /dev/zero has a file and is plain anonymous memory. */
	if (vma->vm_file && !vma_is_anonymous(vma)) {
		inode = file_inode(vma->vm_file);
		area->dev = (u64)MAJOR(inode->i_sb->s_dev) << 32 | MINOR(inode->i_sb->s_dev);
		area->ino = inode->i_ino;
		area->inode = inode;
		area->generation = inode->i_generation;
		area->flags |= CKPT_AREA_FILE;
		if (inode->i_sb->s_magic == TMPFS_MAGIC)
			area->flags |= CKPT_AREA_SHMEM;
	}
	w->vma = vma;
	w->private = !(area->flags & CKPT_AREA_SHARED);
	w->clear = w->private && !(w->m->flags & CKPT_MM_NOTIFIERS);
	w->marked = (vma->vm_flags & VM_SOFTDIRTY) || start < w->marked_to;
	/* Breakpoints are set wherever code may be, also where it cannot run just now. */
	w->uprobes = vma->vm_file && (vma->vm_flags & VM_MAYEXEC) &&
		     w->m->probed;
	if (is_vm_hugetlb_page(vma) || (vma->vm_flags & VM_STRANGE) ||
	    !(vma_is_anonymous(vma) || is_page_cache(vma)))
		area->flags |= CKPT_AREA_UNWALKED;
	/* Shadow stacks are written by calls, whatever the bits say. */
	if (!w->private || (vma->vm_flags & VM_SHADOW_STACK)) {
		area->flags |= CKPT_AREA_WHOLE;
		w->clear = false;
	}
	w->framed = w->m->based && ckpt_areas_framed(&w->m->areas, &w->area_cursor, area,
						     vma->vm_start, vma->vm_end);
	/* What joined it may have taken its mark away, the one trace of a forced write. */
	w->unheard = !w->framed && !ckpt_forced_heard();
	/* UFFDIO_MOVE brings swap entries, without a mark before 6.15 and its stable trees. */
	w->framed &= !userfaultfd_armed(vma);
	if (!w->m->based || !ckpt_areas_known(&w->m->areas, &w->area_cursor, area))
		area->flags |= CKPT_AREA_NEW;
}

/*
 * Find the next pmd in use; whole empty subtrees are stepped over.
 * Return: NULL at the end, or where the lock must be given up.
 */
static pmd_t *next_pmd(struct ckpt_walk *w, u64 *addr, u64 end)
{
	for (; *addr < end && w->work < w->work_max; w->work++) {
		pgd_t *pgd = pgd_offset(w->mm, *addr);
		p4d_t *p4d;
		pud_t *pudp, pud;
		pmd_t *pmd;

		if (pgd_none(*pgd)) {
			*addr = pgd_addr_end(*addr, end);
			continue;
		}
		p4d = p4d_offset(pgd, *addr);
		if (p4d_none(*p4d)) {
			*addr = p4d_addr_end(*addr, end);
			continue;
		}
		pudp = pud_offset(p4d, *addr);
		/* Once: a fault that does not take the mmap lock may fill it in meanwhile. */
		pud = READ_ONCE(*pudp);
		/* Leaves at this level are hugetlb or DAX, which are not walked. */
		if (pud_none(pud) || WARN_ON_ONCE(!pud_present(pud) || pud_bad(pud))) {
			/* What is there is not known: all of the mm is reported. */
			if (!pud_none(pud))
				w->overflow = true;
			*addr = pud_addr_end(*addr, end);
			continue;
		}
		pmd = pmd_offset(&pud, *addr);
		if (!pmd_none(READ_ONCE(*pmd)))
			return pmd;
		*addr = pmd_addr_end(*addr, end);
	}
	return NULL;
}

/*
 * Walk the area entered, from its start.
 * Return: up to where; less than its end if the lock must be given up.
 */
static u64 walk_area(struct ckpt_walk *w)
{
	u64 addr = w->area.start, end = w->area.end, next;
	pmd_t *pmd;

	while ((pmd = next_pmd(w, &addr, end))) {
		next = pmd_addr_end(addr, end);
		ckpt_walk_pmd(w, pmd, addr, next);
		addr = next;
		w->work += CKPT_TABLE_WORK;
		cond_resched();
	}
	return addr;
}

/* @piece: the last one was of the same area.  Return: 0 or a negative errno. */
static int add_area(struct ckpt_walk *w, bool piece)
{
	return piece ? ckpt_areas_go_on(&w->areas, &w->area, CKPT_AREAS_MAX) :
		       ckpt_areas_add(&w->areas, &w->area, CKPT_AREAS_MAX);
}

/*
 * Walk areas from @pos on, as far as one hold of the mmap lock may go.
 * Return: true at the end of the address space.
 */
static bool walk_chunk(struct ckpt_walk *w, u64 *pos)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(vmi, w->mm, *pos);

	w->work = 0;
	for_each_vma(vmi, vma) {
		enter_area(w, vma, max_t(u64, *pos, vma->vm_start));
		/* Before its pages: a fault that comes meanwhile must set their bits. */
		if (w->marked && w->clear && w->area.start == vma->vm_start &&
		    !(w->area.flags & CKPT_AREA_UNWALKED))
			ckpt_vma_clear_soft_dirty(vma);
		if (!(w->area.flags & CKPT_AREA_UNWALKED))
			w->area.end = walk_area(w);
		w->area.nr_runs = w->runs.nr - w->area.run;
		/* Of an area that is not told nobody knows: all of the mm is reported. */
		if (add_area(w, w->area.start > vma->vm_start))
			w->overflow = true;
		*pos = w->area.end;
		if (*pos < vma->vm_end) {
			/* The rest has lost its mark with the start. */
			if (w->marked)
				w->marked_to = max_t(u64, w->marked_to, vma->vm_end);
			return false;
		}
		if (++w->work >= w->work_max)
			return false;
	}
	return true;
}

static int lock_mm(struct mm_struct *mm, bool final)
{
	const int most = final ? CKPT_LOCK_TRIES_FINAL : CKPT_LOCK_TRIES;
	int tries, wait;

	for (tries = 0; !ckpt_mmap_write_trylock(mm); tries++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (tries == most)
			return -EAGAIN;
		wait = final ? min(10 + 10 * tries, CKPT_LOCK_WAIT_FINAL_US) : CKPT_LOCK_WAIT_US;
		usleep_range(wait, 2 * wait);
	}
	return 0;
}

/* Somebody else has cleared bits: what was written meanwhile is not known any more. */
static void doubt_all(struct ckpt_walk *w)
{
	if (w->holds) {
		/* Also of what this walk has cleared: the next one tells all, too. */
		w->unbased = true;
		return;
	}
	w->m->based = false;
	w->m->flags |= CKPT_MM_NEW;
}

static int walk_all(struct ckpt_walk *w, bool final)
{
	bool done = false;
	int err;

	while (!done) {
		err = lock_mm(w->mm, final);
		if (err)
			return err;
		if (!ckpt_witness_holds(w->m))
			doubt_all(w);
		w->holds++;
		if (!w->m->flushing) {
			w->m->flushing = true;
			inc_tlb_flush_pending(w->mm);
		}
		/* Asked for at every hold: one may come, and go, in between. */
		w->m->merged |= ckpt_mm_flag(w->mm, MMF_VM_MERGEABLE);
		w->m->probed |= ckpt_mm_flag(w->mm, MMF_HAS_UPROBES);
		if (mm_has_notifiers(w->mm)) {
			w->m->flags |= CKPT_MM_NOTIFIERS;
			w->unbased = true;
		}
		done = walk_chunk(w, &w->pos);
		mmap_write_unlock(w->mm);
		if (!done && fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* The walk is complete: it is what the next one compares with. */
static void finish(struct ckpt_walk *w, struct ckpt_told *told)
{
	struct ckpt_mm *m = w->m;
	struct ckpt_told_count left_out = {};

	if (w->overflow || (w->unbased && !(m->flags & CKPT_MM_NOTIFIERS)))
		m->flags |= CKPT_MM_OVERFLOW;
	/* Runs that nobody gets tell nothing. */
	if (!(m->flags & CKPT_MM_OVERFLOW))
		left_out = ckpt_told_once(told, &w->areas, &w->runs);
	/*
	 * A table that moved while the lock was let go of was walked at two places: cleared at one
	 * of them, and told for that one alone.  At neither it is what the next walk may go by.
	 */
	m->pieces = w->holds > 1;
	if (m->pieces)
		ckpt_tables_drop_twins(&w->tables);
	swap(m->areas, w->areas);
	swap(m->tables, w->tables);
	/* What an overflow did not tell, the next round must. */
	m->based = !w->unbased && !w->overflow;
	m->dirty_pages = w->dirty_pages - left_out.dirty;
	m->resident_pages = w->resident_pages - left_out.pages;
	ckpt_ranges_merge(&m->taken, &m->carry, CKPT_RANGES_MAX);
	if (w->overflow || w->unbased)
		ckpt_ranges_set_whole(&m->taken);
	else
		ckpt_ranges_add_runs(&m->taken, &w->runs, CKPT_RANGES_MAX);
	if (!(m->flags & CKPT_MM_OVERFLOW))
		swap(m->runs, w->runs);
}

/* The walk stopped half way: what it cleared is for the next one to report. */
static void give_up(struct ckpt_walk *w)
{
	struct ckpt_mm *m = w->m;

	/*
	 * A table that moved may move back: what was cleared there is not known by place.  Nor is
	 * what somebody else has cleared, and the witness of that tells it but once.
	 */
	if (w->overflow || w->moved || w->unbased)
		ckpt_ranges_set_whole(&m->carry);
	else
		ckpt_ranges_add_runs(&m->carry, &w->runs, CKPT_RANGES_MAX);
	/* A mark that went before all of its area was walked. */
	if (w->pos < w->marked_to)
		ckpt_ranges_add(&m->carry, w->pos, w->marked_to, CKPT_RANGES_MAX);
	m->flags |= CKPT_MM_BUSY;
}

/**
 * ckpt_walk_mm - take what an address space has written since the last take
 * @m: the address space; mmget is held, and stays held until after the flush
 * @final: all its users are stopped: try longer for its lock
 * @told: what the round has told of shared inodes; grows
 *
 * On return ->flushing says whether a TLB flush and dec_tlb_flush_pending are
 * due; pages may be copied only after the flush.  An mm whose lock was not had
 * is flagged MM_BUSY and nothing of it is lost.
 *
 * Context: sleeps; under the group's lock.
 * Return: 0, -EINTR (killed; what was taken is carried) or -ENOMEM.
 */
int ckpt_walk_mm(struct ckpt_mm *m, bool final, struct ckpt_told *told)
{
	struct ckpt_walk *w = kvzalloc(sizeof(*w), GFP_KERNEL);
	int err;

	m->flags = m->based ? 0 : CKPT_MM_NEW;
	m->dirty_pages = 0;
	ckpt_runs_free(&m->runs);
	if (!w) {
		m->flags |= CKPT_MM_BUSY;
		return -ENOMEM;
	}
	w->m = m;
	w->mm = m->mm;
	w->runs_max = min_t(u32, READ_ONCE(runs_max), CKPT_RUNS_MAX);
	w->work_max = (u64)max(READ_ONCE(tables_max), 1U) * CKPT_TABLE_WORK;
	ckpt_heard_take(m);
	err = walk_all(w, final);
	if (err)
		give_up(w);
	else
		finish(w, told);
	ckpt_areas_free(&w->areas);
	ckpt_tables_free(&w->tables);
	ckpt_runs_free(&w->runs);
	kvfree(w);
	return err == -EAGAIN ? 0 : err;
}
