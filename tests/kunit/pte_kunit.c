// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of kmod/pte.c: what a processor, or another thread, does in the middle of a step
 *
 * kernel: debug
 * needs: pages.c dirty.c ranges.c
 *
 * No test that runs beside a step comes into these windows often enough to be relied on.  So the
 * file is included here, and what it asks at the edge of each window is answered by a fake, which
 * does then what the other one would.
 */
#include <kunit/test.h>
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/pgtable.h>
#include <linux/sched/coredump.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "leaf.h"
#include "members.h"
#include "pages.h"
#include "pte.h"
#include "tlb.h"

#define ADDR 0x40000000UL	/* of the first page under a pmd */

static struct fake {
	struct ckpt_walk w;
	struct ckpt_mm m;
	struct mm_struct *mm;
	struct vm_area_struct vma;
	struct page *page;
	struct page *huge;
	pte_t *table;
	pmd_t pmd;
	spinlock_t ptl;	/* of the table */
	unsigned int flushes, locked, asked, unprotected, unlocked, loose;
	pmd_t then;	/* what the pmd becomes when the lock of its table is asked for */
	bool change;
	int more;	/* references that nothing explains */
} *fake;

static bool is_locked(void)
{
	if (!spin_trylock(&fake->ptl))
		return true;
	spin_unlock(&fake->ptl);
	return false;
}

static void fake_flush(void)
{
	fake->flushes++;
	fake->unlocked += !is_locked();
}

/* Asked for with a local value, since the entry itself may change; and here it does. */
static spinlock_t *fake_lockptr(struct mm_struct *mm, pmd_t *pmd)
{
	fake->locked += pmd != &fake->pmd;
	/* what lockdep knows, which the debug kernel has */
	fake->loose += !rcu_read_lock_held();
	if (fake->change)
		fake->pmd = fake->then;
	return &fake->ptl;
}

/* Of a huge page's entry, which hangs in no table here. */
static spinlock_t *fake_pmd_lock(struct mm_struct *mm, pmd_t *pmd)
{
	spin_lock(&fake->ptl);
	return &fake->ptl;
}

/* As many references as there are mappings, and some more; a fast GUP may come until now. */
static int fake_ref_count(const struct folio *folio)
{
	bool huge = folio == page_folio(fake->huge);

	fake->asked++;
	fake->unprotected += huge ? pmd_write(fake->pmd) : pte_write(fake->table[0]);
	return ckpt_anon_mapcount((struct folio *)folio) + fake->more;
}

#define ckpt_tlb_flush() fake_flush()
#define pte_lockptr(mm, pmd) fake_lockptr(mm, pmd)
#define pmd_lock(mm, pmd) fake_pmd_lock(mm, pmd)
#define folio_ref_count(folio) fake_ref_count(folio)
#define ckpt_walk_pmd fake_walk_pmd
#include "pte.c"

static pte_t entry(void)
{
	/* not one of user space: those the kernel counts */
	return pte_mksoft_dirty(pte_mkdirty(pte_mkwrite(mk_pte(fake->page, PAGE_KERNEL_RO))));
}

static pmd_t huge_entry(void)
{
	return pmd_mkhuge(pmd_mkwrite(pmd_mkclean(pfn_pmd(page_to_pfn(fake->huge),
							  PAGE_KERNEL_RO))));
}

static int set_up(struct kunit *test)
{
	fake = kvzalloc(sizeof(*fake), GFP_KERNEL);
	if (!fake)
		return -ENOMEM;
	fake->mm = kzalloc(sizeof(*fake->mm), GFP_KERNEL);
	fake->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	fake->table = (pte_t *)get_zeroed_page(GFP_KERNEL);
	fake->huge = alloc_pages(GFP_KERNEL | __GFP_COMP, HPAGE_PMD_ORDER);
	if (!fake->mm || !fake->page || !fake->table || !fake->huge)
		return -ENOMEM;
	spin_lock_init(&fake->ptl);
	spin_lock_init(&fake->mm->page_table_lock);
	fake->page->mapping = (void *)PAGE_MAPPING_ANON;
	SetPageAnonExclusive(fake->page);
	atomic_set(&fake->page->_mapcount, 0);
	fake->table[0] = entry();
	fake->pmd = __pmd(__pa(fake->table) | _KERNPG_TABLE);
	fake->vma.vm_mm = fake->mm;
	fake->w.m = &fake->m;
	fake->w.mm = fake->mm;
	fake->w.vma = &fake->vma;
	fake->w.private = true;
	fake->w.clear = true;
	fake->w.framed = true;
	/* as the take before has left it */
	fake->m.based = true;
	if (ckpt_tables_reserve(&fake->m.tables, 1))
		return -ENOMEM;
	ckpt_tables_add(&fake->m.tables, ADDR & PMD_MASK, (u64)pmd_pfn(fake->pmd) << 1);
	return ckpt_tables_reserve(&fake->w.tables, 8);
}

static void tear_down(struct kunit *test)
{
	if (!fake)
		return;
	if (fake->page) {
		ClearPageAnonExclusive(fake->page);
		ClearPageDirty(fake->page);
		fake->page->mapping = NULL;
		atomic_set(&fake->page->_mapcount, -1);
		__free_page(fake->page);
	}
	if (fake->huge) {
		ClearPageDirty(fake->huge);
		__free_pages(fake->huge, HPAGE_PMD_ORDER);
	}
	free_page((unsigned long)fake->table);
	ckpt_tables_free(&fake->m.tables);
	ckpt_tables_free(&fake->w.tables);
	ckpt_runs_free(&fake->w.runs);
	ckpt_areas_free(&fake->m.areas);
	kfree(fake->mm);
	kvfree(fake);
	fake = NULL;
}

static bool take(void)
{
	return take_table(&fake->w, &fake->pmd, fake->pmd, ADDR, ADDR + PAGE_SIZE);
}

/* The plain case, so that the others fail for what they are about. */
static void pte_taken(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.state[0], CKPT_PAGE_ANON);
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], CKPT_RUN_DIRTY);
	KUNIT_EXPECT_FALSE(test, pte_write(fake->table[0]));
	KUNIT_EXPECT_FALSE(test, pte_soft_dirty(fake->table[0]));
	KUNIT_EXPECT_FALSE(test, pte_dirty(fake->table[0]));
	KUNIT_EXPECT_EQ(test, fake->locked, 1);
	KUNIT_EXPECT_FALSE(test, is_locked());
}

/* Until its lock is held a table is freed after a grace period alone. */
static void pte_table_is_kept(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, IS_ENABLED(CONFIG_PROVE_RCU));
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->loose, 0);
	KUNIT_EXPECT_FALSE(test, rcu_read_lock_held());
}

/* The dirty bit that goes from the entry stays with the page. */
static void pte_dirty_moves(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_TRUE(test, PageDirty(fake->page));
}

/* Reclaim may start I/O for a clean entry, so the flush comes before the lock is let go. */
static void pte_cleaned_is_told(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->flushes, 1);
	KUNIT_EXPECT_EQ(test, fake->unlocked, 0);
	/* nothing is cleaned: no flush but the round's */
	fake->table[0] = pte_mkclean(entry());
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->flushes, 1);
}

/* References are counted once nobody can come by without a fault. */
static void pte_references_after(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_GT(test, fake->asked, 0);
	KUNIT_EXPECT_EQ(test, fake->unprotected, 0);
}

/* Who may write behind the mapping: told, and marked to be told again. */
static void pte_strange_reference(struct kunit *test)
{
	fake->more = 1;
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], CKPT_RUN_DIRTY | CKPT_RUN_DMA);
	KUNIT_EXPECT_TRUE(test, pte_soft_dirty(fake->table[0]));
	KUNIT_EXPECT_FALSE(test, pte_write(fake->table[0]));
}

/* The table was taken away before its lock was asked for. */
static void pte_table_gone(struct kunit *test)
{
	pmd_t before = fake->pmd;

	fake->pmd = __pmd(0);
	KUNIT_EXPECT_FALSE(test, take_table(&fake->w, &fake->pmd, before, ADDR, ADDR + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, pte_val(fake->table[0]), pte_val(entry()));
	KUNIT_EXPECT_EQ(test, fake->locked, 0);
	KUNIT_EXPECT_EQ(test, fake->w.state[0], 0);
}

/* It was taken away, or another one came, while the lock was waited for. */
static void pte_table_changed(struct kunit *test)
{
	pmd_t before = fake->pmd;

	fake->change = true;
	fake->then = __pmd(0);
	KUNIT_EXPECT_FALSE(test, take_table(&fake->w, &fake->pmd, before, ADDR, ADDR + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, pte_val(fake->table[0]), pte_val(entry()));
	KUNIT_EXPECT_EQ(test, fake->w.state[0], 0);
	KUNIT_EXPECT_FALSE(test, is_locked());
	KUNIT_EXPECT_EQ(test, fake->w.tables.nr, 0);
}

/* A number without a page behind it: to look at that page would be the end. */
static void pte_special_first(struct kunit *test)
{
	unsigned long nowhere = (1UL << (boot_cpu_data.x86_phys_bits - PAGE_SHIFT)) - 1;

	KUNIT_ASSERT_FALSE(test, pfn_valid(nowhere));
	fake->table[0] = pte_mkspecial(pfn_pte(nowhere, PAGE_KERNEL));
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.state[0], CKPT_PAGE_SPECIAL);
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], CKPT_RUN_DIRTY);
	fake->w.run_flags[0] = 0;
	fake->table[0] = pfn_pte(nowhere, PAGE_KERNEL);
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.state[0], CKPT_PAGE_SPECIAL);
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], CKPT_RUN_DIRTY);
}

/* Back from swap, in an area that may have had a mark when the page was written. */
static void pte_came_back(struct kunit *test)
{
	fake->table[0] = pte_mkclean(pte_wrprotect(mk_pte(fake->page, PAGE_READONLY)));
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], 0);
	SetPageSwapBacked(fake->page);
	SetPageSwapCache(fake->page);
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], 0);
	fake->w.framed = false;
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], CKPT_RUN_DIRTY);
	KUNIT_EXPECT_EQ(test, fake->w.state[0], CKPT_PAGE_ANON);
	ClearPageSwapCache(fake->page);
	ClearPageSwapBacked(fake->page);
}

/* The processor sets the dirty bit after the entry was read: it must end up with the page. */
static void pmd_dirty_between(struct kunit *test)
{
	pmd_t read = huge_entry(), now;

	KUNIT_ASSERT_FALSE(test, pmd_dirty(read));
	fake->pmd = pmd_mkdirty(read);
	now = change_huge(&fake->pmd, read, true);
	KUNIT_EXPECT_TRUE(test, PageDirty(fake->huge));
	KUNIT_EXPECT_TRUE(test, pmd_same(now, fake->pmd));
	KUNIT_EXPECT_FALSE(test, pmd_dirty(fake->pmd));
	KUNIT_EXPECT_FALSE(test, pmd_write(fake->pmd));
	KUNIT_EXPECT_FALSE(test, pmd_soft_dirty(fake->pmd));
}

/* The same where the mark is set again: the bit stays in the entry. */
static void pmd_dirty_between_marks(struct kunit *test)
{
	pmd_t read = pmd_wrprotect(huge_entry());

	fake->pmd = pmd_mkdirty(read);
	change_huge(&fake->pmd, read, false);
	KUNIT_EXPECT_TRUE(test, pmd_dirty(fake->pmd));
	KUNIT_EXPECT_TRUE(test, pmd_soft_dirty(fake->pmd));
	KUNIT_EXPECT_FALSE(test, PageDirty(fake->huge));
}

/*
 * A page on its way to another place comes back with the entry's bits, whatever is done to the
 * entry: so it is told, and left as it is.
 */
static void migrating(struct kunit *test, swp_entry_t entry, bool soft_dirty)
{
	pte_t pte = swp_entry_to_pte(entry);

	if (soft_dirty)
		pte = pte_swp_mksoft_dirty(pte);
	fake->w.state[0] = 0;
	fake->w.run_flags[0] = 0;
	fake->table[0] = pte;
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.state[0], CKPT_PAGE_MIGRATION);
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], CKPT_RUN_DIRTY);
	KUNIT_EXPECT_EQ(test, pte_val(fake->table[0]), pte_val(pte));
	KUNIT_EXPECT_EQ(test, fake->asked, 0);
}

static void pte_migration(struct kunit *test)
{
	unsigned long pfn = page_to_pfn(fake->page);

	migrating(test, make_writable_migration_entry(pfn), true);
	migrating(test, make_writable_migration_entry(pfn), false);
	migrating(test, make_readable_migration_entry(pfn), true);
	migrating(test, make_readable_migration_entry(pfn), false);
	migrating(test, make_readable_exclusive_migration_entry(pfn), false);
}

/* The same of a huge page: pmd_bad() is true of its entry, and it is no reason to step over it. */
static void pmd_migration(struct kunit *test)
{
	pmd_t pmd = swp_entry_to_pmd(make_writable_migration_entry(page_to_pfn(fake->huge)));
	struct ckpt_area known = { .start = ADDR, .end = ADDR + PMD_SIZE };
	u32 i, told = 0;

	fake->pmd = pmd;
	fake->w.area = known;
	KUNIT_ASSERT_TRUE(test, pmd_bad(pmd));
	/* all that the last take says is that nothing need be written here */
	KUNIT_ASSERT_EQ(test, ckpt_areas_add(&fake->m.areas, &known, 1), 0);
	fake->w.runs_max = 2 * PTRS_PER_PTE;
	fake_walk_pmd(&fake->w, &fake->pmd, ADDR, ADDR + PMD_SIZE);
	for (i = 0; i < PTRS_PER_PTE; i++)
		told += fake->w.state[i] == CKPT_PAGE_MIGRATION &&
			fake->w.run_flags[i] == (CKPT_RUN_DIRTY | CKPT_RUN_HUGE);
	KUNIT_EXPECT_EQ(test, told, PTRS_PER_PTE);
	KUNIT_ASSERT_EQ(test, fake->w.runs.nr, 1);
	KUNIT_EXPECT_EQ(test, fake->w.runs.run[0].pages, PTRS_PER_PTE);
	KUNIT_EXPECT_EQ(test, fake->w.dirty_pages, PTRS_PER_PTE);
	KUNIT_EXPECT_TRUE(test, pmd_same(fake->pmd, pmd));
	KUNIT_EXPECT_FALSE(test, is_locked());
}

/* A huge page that somebody may write behind the mapping: marked to be told once more. */
static void pmd_strange_reference(struct kunit *test)
{
	u16 flags = 0;

	fake->more = 1;
	fake->pmd = pmd_mksoft_dirty(pmd_mkdirty(huge_entry()));
	take_huge_anon(&fake->w, &fake->pmd, fake->pmd, &flags);
	KUNIT_EXPECT_EQ(test, flags, CKPT_RUN_DIRTY | CKPT_RUN_DMA);
	KUNIT_EXPECT_TRUE(test, pmd_soft_dirty(fake->pmd));
	KUNIT_EXPECT_FALSE(test, pmd_write(fake->pmd));
	KUNIT_EXPECT_TRUE(test, PageDirty(fake->huge));
	flags = 0;
	fake->more = 0;
	take_huge_anon(&fake->w, &fake->pmd, fake->pmd, &flags);
	KUNIT_EXPECT_EQ(test, flags, CKPT_RUN_DIRTY);
	KUNIT_EXPECT_FALSE(test, pmd_soft_dirty(fake->pmd));
}

/*
 * Whoever cleared the bits last, it was not the take before: the mark that says "tell it again"
 * of a page that a device has may be gone, and is set anew.
 */
static void bits_unknown(struct kunit *test)
{
	pte_t clean = pte_clear_soft_dirty(pte_mkclean(pte_wrprotect(entry())));
	u16 flags = 0;

	fake->more = 1;
	fake->table[0] = clean;
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], 0);
	fake->m.based = false;
	fake->w.framed = false;
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.run_flags[0], CKPT_RUN_DIRTY | CKPT_RUN_DMA);
	KUNIT_EXPECT_TRUE(test, pte_soft_dirty(fake->table[0]));
	fake->pmd = pmd_wrprotect(pmd_clear_soft_dirty(huge_entry()));
	take_huge_anon(&fake->w, &fake->pmd, fake->pmd, &flags);
	KUNIT_EXPECT_EQ(test, flags, CKPT_RUN_DIRTY | CKPT_RUN_DMA);
	KUNIT_EXPECT_TRUE(test, pmd_soft_dirty(fake->pmd));
}

/* A page in swap has it back with the page. */
static void swap_unknown(struct kunit *test)
{
	pte_t pte = swp_entry_to_pte(swp_entry(0, 5));

	KUNIT_ASSERT_FALSE(test, pte_swp_soft_dirty(pte));
	fake->table[0] = pte;
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, fake->w.state[0], CKPT_PAGE_SWAP);
	KUNIT_EXPECT_EQ(test, pte_val(fake->table[0]), pte_val(pte));
	fake->m.based = false;
	fake->w.clear = false;
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, pte_val(fake->table[0]), pte_val(pte));
	fake->w.clear = true;
	KUNIT_EXPECT_TRUE(test, take());
	KUNIT_EXPECT_EQ(test, pte_val(fake->table[0]), pte_val(pte_swp_mksoft_dirty(pte)));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(pte_taken),
	KUNIT_CASE(pte_table_is_kept),
	KUNIT_CASE(pte_dirty_moves),
	KUNIT_CASE(pte_cleaned_is_told),
	KUNIT_CASE(pte_references_after),
	KUNIT_CASE(pte_strange_reference),
	KUNIT_CASE(pte_table_gone),
	KUNIT_CASE(pte_table_changed),
	KUNIT_CASE(pte_special_first),
	KUNIT_CASE(pte_came_back),
	KUNIT_CASE(pmd_dirty_between),
	KUNIT_CASE(pmd_dirty_between_marks),
	KUNIT_CASE(pmd_strange_reference),
	KUNIT_CASE(pte_migration),
	KUNIT_CASE(pmd_migration),
	KUNIT_CASE(bits_unknown),
	KUNIT_CASE(swap_unknown),
	{}
};

static struct kunit_suite ckpt_pte_suite = {
	.name = "ckpt_pte",
	.init = set_up,
	.exit = tear_down,
	.test_cases = cases,
};

kunit_test_suite(ckpt_pte_suite);
MODULE_LICENSE("GPL");
