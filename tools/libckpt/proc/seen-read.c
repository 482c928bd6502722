// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flags of memory, which smaps alone tells, and smaps is slow: it counts every
 * page.  So they are read before the stop and once more after the release.
 *
 * What has grown since the look before the stop has the flags of what was there (flags-read.c).
 * An area whose line in maps is the same at the stop as before it may have got
 * other flags in between (madvise, mlock) as long as all of it did.  What is
 * the same before and after is taken for what was there at the stop; a
 * difference fails the stop, to be tried again.  What stays unseen are flags
 * that were changed and changed back between the two looks, and those of an
 * area, or a process, that was gone at the second one.  PROCMAP_QUERY does not
 * help: it tells protection and sharing, which maps has as well.
 *
 * Advice on huge pages and on reading ahead is kept as it was before the stop
 * and not looked at again: it changes no result of the program, and an area that
 * was unmapped and mapped anew after the release (a thread's stack becomes a
 * heap) mostly differs in that.
 */
#include <errno.h>
#include <string.h>

#include "proc/procfs.h"
#include "proc/read.h"

/* What a call can change without a trace in maps. */
#define ADVISED (CKPT_AREA_F_LOCKED | CKPT_AREA_F_DONTFORK | CKPT_AREA_F_WIPEONFORK | \
		 CKPT_AREA_F_DONTDUMP | CKPT_AREA_F_MERGEABLE)

/* What an area has from when it was mapped. */
#define MAPPED (CKPT_AREA_F_GROWSDOWN | CKPT_AREA_F_NORESERVE | CKPT_AREA_F_DROPPABLE)

int ckpt_seen_read(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_err *err)
{
	struct ckpt_smaps smaps;
	struct ckpt_seen *seen;
	int r = ckpt_smaps_read(p, &smaps);

	/* a text that is not understood is read once more in the stop, and refused there */
	if (ckpt_procfs_gone(r) || r == -EIO)
		return 0;
	if (r)
		return ckpt_fail(err, CKPT_FAILED, -r, "cannot read the areas of pid %d", p->pid);
	seen = ckpt_grow(hold->seen, &hold->n_seen, sizeof(*seen));
	if (!seen) {
		ckpt_smaps_done(&smaps);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of areas");
	}
	hold->seen = seen;
	seen[hold->n_seen - 1] = (struct ckpt_seen){
		.pid = p->pid, .start_time = p->start_time, .smaps = smaps,
	};
	return 0;
}

struct ckpt_seen *ckpt_seen_find(const struct ckpt_hold *hold, const struct ckpt_held_proc *p)
{
	/* who has time has them read within the stop */
	for (size_t i = 0; i < hold->n_seen && !hold->unhurried; i++) {
		if (hold->seen[i].pid == p->pid && hold->seen[i].start_time == p->start_time)
			return &hold->seen[i];
	}
	return NULL;
}

/* Two areas that overlap: the very same one, or what became of it. */
static bool same_flags(const struct ckpt_hold *hold, const struct ckpt_smaps_area *a,
		       const struct ckpt_smaps_area *b, const struct ckpt_seen *seen)
{
	uint32_t which = ckpt_flags_guessed(seen, &b->line) ? ADVISED | MAPPED : ADVISED;
	struct ckpt_vm_flags before = a->flags, after = b->flags;

	ckpt_area_forgive(hold, &a->line, &before);
	ckpt_area_forgive(hold, &b->line, &after);
	return !((before.area ^ after.area) & which) && before.other == after.other;
}

/* The first area of @seen that has other flags in @after. */
static bool find_changed(const struct ckpt_hold *hold, const struct ckpt_seen *seen,
			 const struct ckpt_smaps *after, uint64_t *ret_start)
{
	const struct ckpt_smaps_area *a = seen->smaps.areas, *a_end = a + seen->smaps.n;
	const struct ckpt_smaps_area *b = after->areas, *b_end = b + after->n;

	while (a < a_end && b < b_end) {
		if (a->line.start < b->line.end && b->line.start < a->line.end &&
		    !same_flags(hold, a, b, seen)) {
			*ret_start = a->line.start;
			return true;
		}
		if (a->line.end <= b->line.end)
			a++;
		else
			b++;
	}
	return false;
}

int ckpt_seen_verify(struct ckpt_hold *hold, struct ckpt_err *err)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		const struct ckpt_held_proc *p = &hold->procs[i];
		const struct ckpt_seen *seen = p->zombie ? NULL : ckpt_seen_find(hold, p);
		struct ckpt_smaps after;
		uint64_t start;
		bool changed;
		int r;

		if (!seen || !seen->used)
			continue;
		r = ckpt_smaps_read(p, &after);
		if (ckpt_procfs_gone(r))
			continue;
		if (r)
			return ckpt_fail(err, CKPT_FAILED, -r, "cannot read the areas of pid %d",
					 p->pid);
		changed = find_changed(hold, seen, &after, &start);
		ckpt_smaps_done(&after);
		if (changed)
			return ckpt_fail(err, CKPT_FAILED, 0,
				"pid %d (%s) has changed the flags of its memory at 0x%llx "
				"(madvise, mlock) while it was captured; it runs on, try again",
				p->pid, p->comm, (unsigned long long)start);
	}
	return 0;
}
