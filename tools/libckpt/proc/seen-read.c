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
#include <string.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* What a call can change without a trace in maps. */
#define ADVISED (CKPT_AREA_F_LOCKED | CKPT_AREA_F_DONTFORK | CKPT_AREA_F_WIPEONFORK | \
		 CKPT_AREA_F_DONTDUMP | CKPT_AREA_F_MERGEABLE)

/* What an area has from when it was mapped. */
#define MAPPED (CKPT_AREA_F_GROWSDOWN | CKPT_AREA_F_NORESERVE | CKPT_AREA_F_DROPPABLE)

int ckpt_seen_read(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	struct ckpt_seen *seen;
	int r = ckpt_procfs_read(p->dir, "smaps", &text);

	if (ckpt_procfs_gone(r))
		return 0;
	if (r)
		return ckpt_fail(err, CKPT_FAILED, -r, "cannot read the areas of pid %d", p->pid);
	seen = ckpt_grow(hold->seen, &hold->n_seen, sizeof(*seen));
	if (!seen)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of areas");
	hold->seen = seen;
	hold->seen[hold->n_seen - 1] = (struct ckpt_seen){
		.pid = p->pid, .start_time = p->start_time,
		.smaps = (char *)take_ptr(text.data),
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

/* An area of a smaps text. */
struct look {
	const char *at;
	struct ckpt_maps_line line;
	struct ckpt_vm_flags flags;
	const char *text;
	size_t len;
};

static bool next(struct look *l)
{
	return ckpt_parse_smaps_area(&l->at, &l->line, &l->flags, &l->text, &l->len) == 1;
}

/* Two areas that overlap: the very same one, or what became of it. */
static bool same_flags(const struct look *a, const struct look *b, const struct ckpt_seen *seen)
{
	uint32_t which = ckpt_flags_guessed(seen, &b->line) ? ADVISED | MAPPED : ADVISED;

	return !((a->flags.area ^ b->flags.area) & which) && a->flags.other == b->flags.other;
}

/* The first area of @seen that has other flags in @after. */
static bool find_changed(const struct ckpt_hold *hold, const struct ckpt_seen *seen,
			 const char *after, uint64_t *ret_start)
{
	struct look a = { .at = seen->smaps };
	struct look b = { .at = after };
	bool have_a = next(&a), have_b = next(&b);

	while (have_a && have_b) {
		ckpt_area_forgive(hold, &a.line, &a.flags);
		ckpt_area_forgive(hold, &b.line, &b.flags);
		if (a.line.start < b.line.end && b.line.start < a.line.end &&
		    !same_flags(&a, &b, seen)) {
			*ret_start = a.line.start;
			return true;
		}
		if (a.line.end <= b.line.end)
			have_a = next(&a);
		else
			have_b = next(&b);
	}
	return false;
}

int ckpt_seen_verify(struct ckpt_hold *hold, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;

	for (size_t i = 0; i < hold->n_procs; i++) {
		const struct ckpt_held_proc *p = &hold->procs[i];
		const struct ckpt_seen *seen = p->zombie ? NULL : ckpt_seen_find(hold, p);
		uint64_t start;

		if (!seen || !seen->used || ckpt_procfs_read(p->dir, "smaps", &text))
			continue;
		if (find_changed(hold, seen, (char *)text.data, &start))
			return ckpt_fail(err, CKPT_FAILED, 0,
				"pid %d (%s) has changed the flags of its memory at 0x%llx "
				"(madvise, mlock) while it was captured; it runs on, try again",
				p->pid, p->comm, (unsigned long long)start);
	}
	return 0;
}
