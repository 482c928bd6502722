// SPDX-License-Identifier: GPL-2.0
/*
 * One step of a walk: the pages under one pmd
 *
 * Three passes under the page-table lock: read and clear every entry; look for
 * references that no mapping explains (they count only once the entry is
 * write-protected: a fast GUP may come until then); set the bit of such pages
 * again.  Then, without the lock, the states become runs.
 */
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/pgtable.h>
#include <linux/sched/coredump.h>
#include <linux/swap.h>
#include <linux/userfaultfd_k.h>

#include "leaf.h"
#include "limits.h"
#include "members.h"
#include "pages.h"
#include "pte.h"
#include "tlb.h"

/*
 * Compare what hangs on the pmd with the last take.  A table that was not
 * here then holds pages of which the bits tell nothing about this place.
 */
static void compare_table(struct ckpt_walk *w, u64 addr, u64 end, u64 id)
{
	u64 then;
	u32 i;

	ckpt_tables_add(&w->tables, addr & PMD_MASK, id);
	w->split_from = 0;
	if (!w->private || !w->m->based)
		return;
	then = ckpt_tables_lookup(&w->m->tables, &w->table_cursor, addr & PMD_MASK);
	if (then == id)
		return;
	w->moved = true;
	if ((then & 1) && !(id & 1) && !w->m->pieces && w->holds < 2) {
		/*
		 * Split since: each page must be the piece that belongs here.  Between two holds
		 * of the lock it may have been walked as a table elsewhere and be back.
		 */
		w->split_from = then >> 1;
		return;
	}
	for (i = pte_index(addr); addr < end; addr += PAGE_SIZE, i++)
		w->run_flags[i] |= CKPT_RUN_DIRTY;
}

/*
 * A reference beyond those of mappings and swap cache: direct I/O, io_uring,
 * RDMA may write the page behind the mapping.  Pages that wait in a CPU's LRU
 * batch look the same and are reported once too often.
 */
static bool has_strange_reference(struct folio *folio)
{
	int refs, maps, tries;

	for (tries = 0; tries < 2; tries++) {
		refs = folio_ref_count(folio);
		maps = ckpt_anon_mapcount(folio);
		if (folio_test_swapcache(folio))
			maps += folio_nr_pages(folio);
		if (refs != maps)
			return true;
		smp_rmb();	/* read both again: they may have changed between */
	}
	return false;
}

/* --- entries of a page table --- */

/*
 * Where nothing can be written, pages that khugepaged made into a larger folio in place have new
 * entries without a bit (6.18 and later).
 */
static bool may_be_new(const struct ckpt_walk *w, struct page *page)
{
	return w->readonly && folio_test_large(page_folio(page));
}

/*
 * In an area that is marked a writable entry may be all that tells of a write,
 * and fork() takes that away: then the page is nobody's own any more.  So does userfaultfd.
 */
static bool unsure(const struct ckpt_walk *w, struct page *page)
{
	return w->marked && (!PageAnonExclusive(page) || userfaultfd_wp(w->vma));
}

/* As of a swap entry: what it was when it went may have been told by a mark that is gone. */
static bool came_back(const struct ckpt_walk *w, struct page *page)
{
	return !w->framed && folio_test_swapcache(page_folio(page));
}

/*
 * No take of ours stands behind the bits: what one that is not writable and not marked owes to us,
 * to be told again since it may be written unseen, somebody else may have taken.
 */
static bool unknown(const struct ckpt_walk *w)
{
	return !w->m->based;
}

static void take_anon(struct ckpt_walk *w, pte_t *ptep, u64 addr, u32 i, pte_t pte,
		      struct page *page)
{
	bool written = pte_soft_dirty(pte) || pte_write(pte) || pte_dirty(pte) ||
		       unsure(w, page) || unknown(w);

	w->state[i] = CKPT_PAGE_ANON;
	if (folio_test_ksm(page_folio(page))) {
		w->run_flags[i] |= CKPT_RUN_DIRTY | CKPT_RUN_KSM;
		return;
	}
	if (written || w->uprobes || may_be_new(w, page) || came_back(w, page) ||
	    (w->split_from && page_to_pfn(page) != w->split_from + i))
		w->run_flags[i] |= CKPT_RUN_DIRTY;
	if (!written || !w->clear)
		return;
	pte = ptep_modify_prot_start(w->vma, addr, ptep);
	if (pte_dirty(pte)) {
		folio_mark_dirty(page_folio(page));
		w->cleaned = true;
	}
	ptep_modify_prot_commit(w->vma, addr, ptep, pte,
				pte_clear_soft_dirty(pte_mkclean(pte_wrprotect(pte))));
	__set_bit(i, w->cleared);
}

static void take_present(struct ckpt_walk *w, pte_t *ptep, u64 addr, u32 i, pte_t pte)
{
	unsigned long pfn = pte_pfn(pte);
	struct page *page;

	/* In this order: not every pfn has a struct page. */
	if (pte_special(pte) || !pfn_valid(pfn) || is_zone_device_page(pfn_to_page(pfn))) {
		w->state[i] = is_zero_pfn(pfn) ? CKPT_PAGE_ZERO : CKPT_PAGE_SPECIAL;
		if (w->state[i] == CKPT_PAGE_SPECIAL)
			w->run_flags[i] |= CKPT_RUN_DIRTY;
		return;
	}
	page = pfn_to_page(pfn);
	if (is_zero_pfn(pfn))
		w->state[i] = CKPT_PAGE_ZERO;
	else if (PageAnon(page) && w->private)
		take_anon(w, ptep, addr, i, pte, page);
	else
		w->state[i] = CKPT_PAGE_FILE;
}

static void take_marker(struct ckpt_walk *w, u32 i, pte_marker marker)
{
	if (marker & CKPT_MARKER_GUARD) {
		w->state[i] = CKPT_PAGE_GUARD;
	} else if (marker & CKPT_MARKER_POISON) {
		w->state[i] = CKPT_PAGE_SPECIAL;
		w->run_flags[i] |= CKPT_RUN_DIRTY;
	}
	/* A write-protect marker of userfaultfd stands where there is no page. */
}

static void take_absent(struct ckpt_walk *w, pte_t *ptep, u64 addr, u32 i, pte_t pte)
{
	enum ckpt_leaf leaf = ckpt_pte_leaf(pte);

	switch (leaf) {
	case CKPT_LEAF_MARKER:
		take_marker(w, i, ckpt_pte_marker(pte));
		break;
	case CKPT_LEAF_SWAP:
		w->state[i] = CKPT_PAGE_SWAP;
		/* A mark that was there when it was written may have gone with a merge. */
		if (pte_swp_soft_dirty(pte) || w->marked || !w->framed || w->split_from)
			w->run_flags[i] |= CKPT_RUN_DIRTY;
		/*
		 * The bit stays, and comes back with the page: only there can be seen whether
		 * direct I/O that began before the page went has yet to write it.
		 */
		if (unknown(w) && w->clear && !pte_swp_soft_dirty(pte))
			set_pte_at(w->mm, addr, ptep, pte_swp_mksoft_dirty(pte));
		break;
	default:
		/*
		 * A migration entry is left alone: its bit comes back with the
		 * page, and this round copies it.
		 */
		w->state[i] = leaf == CKPT_LEAF_MIGRATION ? CKPT_PAGE_MIGRATION : CKPT_PAGE_SPECIAL;
		w->run_flags[i] |= CKPT_RUN_DIRTY;
	}
}

/* Pages whose bits were cleared and that somebody may write unseen: again next time. */
static void remark(struct ckpt_walk *w, pte_t *first, u64 base)
{
	struct folio *folio, *last = NULL;
	bool strange = false;
	u64 addr;
	pte_t pte;
	u32 i;

	for_each_set_bit(i, w->cleared, PTRS_PER_PTE) {
		/* All entries here are protected by now: one answer for a whole folio. */
		folio = page_folio(pte_page(first[i]));
		if (folio != last)
			strange = has_strange_reference(folio);
		last = folio;
		if (!strange)
			continue;
		addr = base + ((u64)i << PAGE_SHIFT);
		pte = ptep_modify_prot_start(w->vma, addr, &first[i]);
		ptep_modify_prot_commit(w->vma, addr, &first[i], pte, pte_mksoft_dirty(pte));
		w->run_flags[i] |= CKPT_RUN_DMA;
	}
}

/*
 * Reclaim takes a clean entry for one through which no CPU writes any more, and
 * starts its I/O without a flush.  So the flush cannot wait for the end of the
 * round where a dirty bit went: it comes before the page-table lock is let go.
 */
static void tell_cleaned(struct ckpt_walk *w)
{
	if (w->cleaned)
		ckpt_tlb_flush();
	w->cleaned = false;
}

/* Read and clear the entries of a table, which is locked. */
static void take_entries(struct ckpt_walk *w, pte_t *first, u64 addr, u64 end)
{
	u32 i = pte_index(addr), to = i + ((end - addr) >> PAGE_SHIFT);
	bool plain = ckpt_pages_plain(w);
	pte_t pte;

	for (; i < to; i++, addr += PAGE_SIZE) {
		if (plain && !(i % CKPT_PLAIN_ENTRIES) && i + CKPT_PLAIN_ENTRIES <= to &&
		    ckpt_pages_all_plain(w, &first[i], i)) {
			i += CKPT_PLAIN_ENTRIES - 1;
			addr += (CKPT_PLAIN_ENTRIES - 1) * PAGE_SIZE;
			continue;
		}
		pte = READ_ONCE(first[i]);
		if (pte_none(pte))
			continue;
		if (plain && ckpt_pte_plain(native_pte_val(pte)))
			w->state[i] = CKPT_PAGE_ANON;
		else if (pte_present(pte))
			take_present(w, &first[i], addr, i, pte);
		else
			take_absent(w, &first[i], addr, i, pte);
	}
}

/* Return: false if the table went away; nothing was done then. */
static bool take_table(struct ckpt_walk *w, pmd_t *pmd, pmd_t pmdval, u64 addr, u64 end)
{
	u64 base = addr & PMD_MASK;
	spinlock_t *ptl;	/* the table's own */
	pte_t *first;

	/* The table may be freed under us until its lock is held and it is still there. */
	rcu_read_lock();
	if (!pmd_same(pmdval, READ_ONCE(*pmd))) {
		rcu_read_unlock();
		return false;
	}
	ptl = pte_lockptr(w->mm, &pmdval);
	spin_lock(ptl);
	if (!pmd_same(pmdval, READ_ONCE(*pmd))) {
		spin_unlock(ptl);
		rcu_read_unlock();
		return false;
	}
	compare_table(w, addr, end, (u64)pmd_pfn(pmdval) << 1);
	bitmap_zero(w->cleared, PTRS_PER_PTE);
	first = pte_offset_kernel(&pmdval, base);
	take_entries(w, first, addr, end);
	remark(w, first, base);
	tell_cleaned(w);
	spin_unlock(ptl);
	rcu_read_unlock();
	return true;
}

/* --- huge pages --- */

/* A huge page, or an entry that stands for one: not none, and no table hangs on it. */
static bool is_huge(pmd_t val)
{
	return !pmd_none(val) && (!pmd_present(val) || pmd_leaf(val));
}

/*
 * Change a huge entry.  The CPU may set bits in it at any time and none may be
 * lost (a dirty bit dropped is data dropped), so never a blind exchange.
 */
static pmd_t change_huge(pmd_t *pmd, pmd_t old, bool clear)
{
	pmd_t now, new;

	for (;;) {
		if (clear && pmd_dirty(old))
			folio_mark_dirty(page_folio(pmd_page(old)));
		new = clear ? pmd_clear_soft_dirty(pmd_mkclean(pmd_wrprotect(old))) :
			      pmd_mksoft_dirty(old);
		now = native_make_pmd(cmpxchg((pmdval_t *)pmd, native_pmd_val(old),
					      native_pmd_val(new)));
		if (pmd_same(now, old))
			return new;
		old = now;
	}
}

static void take_huge_anon(struct ckpt_walk *w, pmd_t *pmd, pmd_t val, u16 *flags)
{
	bool written = pmd_soft_dirty(val) || pmd_write(val) || pmd_dirty(val) ||
		       unsure(w, pmd_page(val)) || unknown(w);

	if (written)
		*flags |= CKPT_RUN_DIRTY;
	if (!written || !w->clear)
		return;
	w->cleaned = true;	/* the CPU may set the bit until the exchange */
	val = change_huge(pmd, val, true);
	if (has_strange_reference(page_folio(pmd_page(val)))) {
		change_huge(pmd, val, false);
		*flags |= CKPT_RUN_DMA;
	}
}

/* Return: false if it is no huge page any more; nothing was done then. */
static bool take_huge(struct ckpt_walk *w, pmd_t *pmd, u64 addr, u64 end)
{
	u16 state = CKPT_PAGE_SPECIAL, flags = CKPT_RUN_HUGE;
	spinlock_t *ptl = pmd_lock(w->mm, pmd);
	pmd_t val = READ_ONCE(*pmd);
	struct page *page;
	u32 i;

	if (!is_huge(val)) {
		spin_unlock(ptl);
		return pmd_none(val);
	}
	if (!pmd_present(val)) {
		if (ckpt_pmd_leaf(val) == CKPT_LEAF_MIGRATION)
			state = CKPT_PAGE_MIGRATION;
		flags |= CKPT_RUN_DIRTY;
	} else if (is_zone_device_page(pmd_page(val))) {
		flags |= CKPT_RUN_DIRTY;
	} else {
		page = pmd_page(val);
		if (PageAnon(page) && w->private) {
			/* Pages of a file, and the one of zeros, may stand at many places. */
			compare_table(w, addr, end, (u64)pmd_pfn(val) << 1 | 1);
			state = CKPT_PAGE_ANON;
			take_huge_anon(w, pmd, val, &flags);
		} else if (w->private && !READ_ONCE(page->mapping)) {
			/* No file's and not anonymous: the huge zero page. */
			state = CKPT_PAGE_ZERO;
		} else {
			state = CKPT_PAGE_FILE;
		}
	}
	tell_cleaned(w);
	spin_unlock(ptl);
	for (i = pte_index(addr); addr < end; addr += PAGE_SIZE, i++) {
		w->state[i] = state;
		w->run_flags[i] |= flags;
	}
	return true;
}

/* --- the step --- */

/**
 * ckpt_walk_pmd - read and clear what is under one pmd
 * @w: the walk, an area entered
 * @pmd: the pmd
 * @addr: first address, inside the area
 * @end: first address after it, under the same pmd
 *
 * Context: under the mmap write lock; takes the page-table lock.
 */
void ckpt_walk_pmd(struct ckpt_walk *w, pmd_t *pmd, u64 addr, u64 end)
{
	u32 page_cursor = w->page_cursor, carry_cursor = w->carry_cursor;
	bool done = false;
	pmd_t val;

	if (!w->overflow && ckpt_runs_reserve(&w->runs, PTRS_PER_PTE, w->runs_max))
		w->overflow = true;
	if (ckpt_tables_reserve(&w->tables, CKPT_TABLES_MAX))
		w->unbased = true;
	while (!done) {
		/* A second try asks for the same addresses again. */
		w->page_cursor = page_cursor;
		w->carry_cursor = carry_cursor;
		ckpt_pages_doubt(w, addr, end);
		val = READ_ONCE(*pmd);
		if (pmd_none(val))
			return;
		if (is_huge(val)) {
			done = take_huge(w, pmd, addr, end);
		} else if (WARN_ON_ONCE(pmd_bad(val))) {
			/* What is there is not known: all of the mm is reported. */
			w->overflow = true;
			return;
		} else {
			done = take_table(w, pmd, val, addr, end);
		}
	}
	ckpt_pages_record(w, addr, end);
}
