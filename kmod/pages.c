// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of one step of a walk: what is doubted of them before, and their runs after
 *
 * Most pages of a big process have not been written since the last take.  So they are looked at
 * many at a time here, where one look is enough.
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "members.h"
#include "pages.h"

#define TIMES4(value) ((u64)(u16)(value) * 0x0001000100010001ULL)

static void fill(u16 *to, u32 nr, u16 value)
{
	/* whole page tables are the rule */
	if (IS_ALIGNED((unsigned long)to, sizeof(u64)) && !(nr % 4))
		memset64((u64 *)to, TIMES4(value), nr / 4);
	else
		memset16(to, value, nr);
}

/**
 * ckpt_pages_doubt - what is known of pages before their entries are read: doubt = dirty
 * @w: the walk
 * @addr: first address
 * @end: first address after them, under the same pmd
 *
 * All of them are CKPT_PAGE_NONE then.
 */
void ckpt_pages_doubt(struct ckpt_walk *w, u64 addr, u64 end)
{
	const struct ckpt_mm *m = w->m;
	const struct ckpt_area *then;
	u64 until, carried_until;
	bool doubt, both;
	u32 i, nr;

	w->readonly = false;
	while (addr < end) {
		doubt = ckpt_ranges_cover(&m->carry, &w->carry_cursor, addr, &carried_until);
		until = U64_MAX;
		if (!w->private || !m->based || (w->area.flags & CKPT_AREA_WHOLE) ||
		    (m->flags & CKPT_MM_NOTIFIERS) || m->merged) {
			doubt = true;
		} else {
			then = ckpt_areas_lookup(&m->areas, &w->page_cursor, &w->area, addr,
						 &until);
			both = then && (then->flags & w->area.flags & CKPT_AREA_WRITE);
			doubt |= !then || ((w->marked || w->unheard) && !both);
			w->readonly |= !both;
		}
		until = min3(until, carried_until, end);
		i = pte_index(addr);
		nr = (until - addr) >> PAGE_SHIFT;
		fill(&w->state[i], nr, CKPT_PAGE_NONE);
		fill(&w->run_flags[i], nr, doubt ? CKPT_RUN_DIRTY : 0);
		addr = until;
	}
}

/**
 * ckpt_pages_plain - may entries be believed without a look at the page behind them?
 * @w: the walk; compare_table() has looked at the table
 *
 * Where nobody but this address space writes the pages, each is anonymous, at the place
 * where it was, and no kind of page may be there that its entry does not show: those of a file,
 * merged ones, and those that came back from swap where that counts.  (A device's drivers have
 * notifiers; what a child has of its pages is copied on a write like any other.)
 */
bool ckpt_pages_plain(const struct ckpt_walk *w)
{
	return w->private && vma_is_anonymous(w->vma) && w->framed && !w->marked &&
	       !w->split_from && !w->readonly && !w->m->merged &&
	       !(w->m->flags & CKPT_MM_NOTIFIERS);
}

/**
 * ckpt_pages_all_plain - take CKPT_PLAIN_ENTRIES entries at once, if nothing is to be done
 * @w: the walk; ckpt_pages_plain() is true
 * @first: the first of them
 * @i: its index in the table, a multiple of their number
 *
 * Context: under the lock of the page table.
 * Return: false if they must be taken one by one; nothing was done then.
 */
bool ckpt_pages_all_plain(struct ckpt_walk *w, const pte_t *first, u32 i)
{
	pteval_t val, any = 0;
	bool plain = true;
	u32 n;

	for (n = 0; n < CKPT_PLAIN_ENTRIES; n++) {
		val = native_pte_val(READ_ONCE(first[n]));
		any |= val;
		plain &= ckpt_pte_plain(val);
	}
	if (plain)
		fill(&w->state[i], CKPT_PLAIN_ENTRIES, CKPT_PAGE_ANON);
	return plain || !any;
}

/* Of a private page that is not there, or is the file's, the state says it all. */
static bool says_all(const struct ckpt_walk *w, u16 state)
{
	return state == CKPT_PAGE_NONE || state == CKPT_PAGE_ZERO || state == CKPT_PAGE_GUARD ||
	       (state == CKPT_PAGE_FILE && w->private);
}

/* The index after the last page that is as page @i is; @to: after all. */
static u32 end_of_run(const struct ckpt_walk *w, u32 i, u32 to)
{
	u64 states = TIMES4(w->state[i]), flags = TIMES4(w->run_flags[i]);
	u32 last = i + 1;

	while (last < to) {
		if (!(last % 4) && last + 4 <= to && *(const u64 *)&w->state[last] == states &&
		    *(const u64 *)&w->run_flags[last] == flags)
			last += 4;
		else if (w->state[last] == w->state[i] && w->run_flags[last] == w->run_flags[i])
			last++;
		else
			break;
	}
	return last;
}

/**
 * ckpt_pages_record - what was found becomes runs, and is counted
 * @w: the walk
 * @addr: first address
 * @end: first address after the pages, under the same pmd
 */
void ckpt_pages_record(struct ckpt_walk *w, u64 addr, u64 end)
{
	u32 i, last, from = pte_index(addr), to = from + ((end - addr) >> PAGE_SHIFT);
	u16 flags;

	for (i = from; i < to; i = last) {
		last = end_of_run(w, i, to);
		flags = w->run_flags[i];
		if (says_all(w, w->state[i]))
			flags &= ~CKPT_RUN_DIRTY;
		else
			w->resident_pages += last - i;
		if (flags & CKPT_RUN_DIRTY)
			w->dirty_pages += last - i;
		if (!w->overflow)
			ckpt_runs_add(&w->runs, w->area.run,
				      addr + ((u64)(i - from) << PAGE_SHIFT), last - i,
				      w->state[i], flags);
	}
}
