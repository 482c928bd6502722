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
 *
 * Another group of ours is somebody else, too: a process that moves between two
 * has one address space that both walk.  They tell one another.
 *
 * By the same table those are found to whom a place is told, of moves and of forced writes.
 *
 * LOCKING
 * by_mm_lock guards the table, places and writes under way; what else is written of an
 * address space in it is written, and read, under its mmap write lock.
 */
#include <linux/hashtable.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "limits.h"
#include "members.h"
#include "witness.h"

/* Of all groups. */
static DEFINE_HASHTABLE(by_mm, 10);
static DEFINE_RAW_SPINLOCK(by_mm_lock);

/* Number of the last forced write in the machine. */
static u64 last_write;

static struct vm_area_struct *find_witness(struct mm_struct *mm)
{
	unsigned long at = (unsigned long)mm->context.vdso;
	struct vm_area_struct *vma = at ? find_vma(mm, at) : NULL;

	/* where it was there may be something else by now */
	if (!vma || vma->vm_start != at || vma->vm_file || vma_is_anonymous(vma))
		return NULL;
	return vma;
}

/* Bits are about to be cleared: others that walk this address space must know. */
static bool tell_others(struct ckpt_mm *m)
{
	struct ckpt_mm *other;
	bool cleared;

	raw_spin_lock(&by_mm_lock);
	cleared = m->cleared;
	m->cleared = false;
	hash_for_each_possible(by_mm, other, by_mm, (unsigned long)m->mm)
		if (other != m && other->mm == m->mm)
			other->cleared = true;
	raw_spin_unlock(&by_mm_lock);
	return cleared;
}

/**
 * ckpt_witness_add - an address space may be walked from now on
 * @m: it
 */
void ckpt_witness_add(struct ckpt_mm *m)
{
	raw_spin_lock(&by_mm_lock);
	m->last_write = last_write;
	hash_add(by_mm, &m->by_mm, (unsigned long)m->mm);
	raw_spin_unlock(&by_mm_lock);
}

/**
 * ckpt_witness_del - it is walked no more
 * @m: it
 */
void ckpt_witness_del(struct ckpt_mm *m)
{
	raw_spin_lock(&by_mm_lock);
	hash_del(&m->by_mm);
	raw_spin_unlock(&by_mm_lock);
}

/**
 * ckpt_witness_merging - KSM begins to work on an address space
 * @mm: any; its mmap write lock is held
 *
 * Context: does not sleep.
 */
void ckpt_witness_merging(const struct mm_struct *mm)
{
	struct ckpt_mm *m;

	raw_spin_lock(&by_mm_lock);
	hash_for_each_possible(by_mm, m, by_mm, (unsigned long)mm)
		if (m->mm == mm)
			m->merged = true;
	raw_spin_unlock(&by_mm_lock);
}

/**
 * ckpt_witness_walks - does anybody walk an address space
 * @mm: any
 *
 * Context: any but interrupts.
 */
bool ckpt_witness_walks(const struct mm_struct *mm)
{
	const struct ckpt_mm *m;
	bool walks = false;

	raw_spin_lock(&by_mm_lock);
	hash_for_each_possible(by_mm, m, by_mm, (unsigned long)mm)
		walks |= m->mm == mm;
	raw_spin_unlock(&by_mm_lock);
	return walks;
}

/* By how many bytes a place grows when it takes in another one; 0: it has it already. */
static u64 growth(const struct ckpt_range *place, u64 start, u64 end)
{
	return max(place->end, end) - min(place->start, start) - (place->end - place->start);
}

static void widen(struct ckpt_range *place, u64 start, u64 end)
{
	place->start = min(place->start, start);
	place->end = max(place->end, end);
}

/*
 * One more place.  What touches another one is one with it: debuggers write at the same ones again
 * and again, or go on.  Where there is room for no more, the one that grows least takes it in.
 */
static void add_place(struct ckpt_mm *m, u64 start, u64 end)
{
	struct ckpt_range *least = &m->place[0], *place;

	for (place = m->place; place < m->place + m->nr_places; place++) {
		if (start <= place->end && end >= place->start) {
			widen(place, start, end);
			return;
		}
		if (growth(place, start, end) < growth(least, start, end))
			least = place;
	}
	if (m->nr_places < CKPT_PLACES_MAX)
		m->place[m->nr_places++] = (struct ckpt_range){ .start = start, .end = end };
	else
		widen(least, start, end);
}

/**
 * ckpt_witness_moved - memory has come to a place of an address space
 * @mm: any
 * @start: first byte
 * @end: first byte after it
 *
 * Context: any but interrupts.
 */
void ckpt_witness_moved(const struct mm_struct *mm, u64 start, u64 end)
{
	struct ckpt_mm *m;

	raw_spin_lock(&by_mm_lock);
	hash_for_each_possible(by_mm, m, by_mm, (unsigned long)mm)
		if (m->mm == mm)
			add_place(m, start, end);
	raw_spin_unlock(&by_mm_lock);
}

/**
 * ckpt_witness_write_begins - a place of an address space is about to be written by force
 * @mm: any
 * @start: first byte
 * @end: first byte after it
 *
 * Each take tells of the place until the write has ended.
 *
 * Context: any but interrupts.
 * Return: the number of the write.
 */
u64 ckpt_witness_write_begins(const struct mm_struct *mm, u64 start, u64 end)
{
	struct ckpt_mm *m;
	u64 number;

	raw_spin_lock(&by_mm_lock);
	number = ++last_write;
	hash_for_each_possible(by_mm, m, by_mm, (unsigned long)mm) {
		if (m->mm != mm)
			continue;
		add_place(m, start, end);
		m->writing++;
	}
	raw_spin_unlock(&by_mm_lock);
	return number;
}

/**
 * ckpt_witness_write_ends - it has been written
 * @mm: as it was given for the begin
 * @start: first byte
 * @end: first byte after it
 * @number: what ckpt_witness_write_begins() has returned
 *
 * Context: any but interrupts.
 */
void ckpt_witness_write_ends(const struct mm_struct *mm, u64 start, u64 end, u64 number)
{
	struct ckpt_mm *m;

	raw_spin_lock(&by_mm_lock);
	hash_for_each_possible(by_mm, m, by_mm, (unsigned long)mm) {
		if (m->mm != mm)
			continue;
		add_place(m, start, end);
		/* one that came in between has not counted it */
		if (number > m->last_write)
			m->writing--;
	}
	raw_spin_unlock(&by_mm_lock);
}

/**
 * ckpt_witness_places - take the places of an address space, but for writes under way
 * @m: it
 * @ret: the places
 *
 * Return: how many there are.
 */
unsigned int ckpt_witness_places(struct ckpt_mm *m, struct ckpt_range ret[CKPT_PLACES_MAX])
{
	unsigned int n;

	raw_spin_lock(&by_mm_lock);
	n = m->nr_places;
	memcpy(ret, m->place, sizeof(m->place));
	if (!m->writing)
		m->nr_places = 0;
	raw_spin_unlock(&by_mm_lock);
	return n;
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

	if (tell_others(m))
		held = false;
	m->witness = vma;
	if (vma && !(vma->vm_flags & VM_SOFTDIRTY))
		ckpt_vma_set_soft_dirty(vma);
	return held;
}
