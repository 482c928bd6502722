// SPDX-License-Identifier: GPL-2.0-or-later
/* Address spaces: areas, layout, executable; content comes from memory-build.c. */
#include <errno.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proc/build.h"
#include "proc/guard.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

/* Not in the headers of older kernels. */
#define SET_MEMORY_MERGE 67
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

/* madvise calls that bring an area's flags back. */
static const struct {
	uint32_t flag;
	int advice;
} advices[] = {
	{ CKPT_AREA_F_DONTFORK, MADV_DONTFORK },
	{ CKPT_AREA_F_WIPEONFORK, MADV_WIPEONFORK },
	{ CKPT_AREA_F_DONTDUMP, MADV_DONTDUMP },
	{ CKPT_AREA_F_HUGEPAGE, MADV_HUGEPAGE },
	{ CKPT_AREA_F_NOHUGEPAGE, MADV_NOHUGEPAGE },
	{ CKPT_AREA_F_MERGEABLE, MADV_MERGEABLE },
	{ CKPT_AREA_F_SEQ, MADV_SEQUENTIAL },
	{ CKPT_AREA_F_RAND, MADV_RANDOM },
};

static bool is_ours(const struct ckpt_area *a)
{
	return a->kind == CKPT_AREA_KIND_ANON || a->kind == CKPT_AREA_KIND_FILE_PRIVATE ||
	       a->kind == CKPT_AREA_KIND_FILE_SHARED;
}

static uint64_t map_flags(const struct ckpt_area *a)
{
	uint64_t flags = MAP_FIXED_NOREPLACE;

	if (a->kind == CKPT_AREA_KIND_FILE_SHARED)
		return flags | MAP_SHARED | (a->flags & CKPT_AREA_F_NORESERVE ? MAP_NORESERVE : 0);
	if (a->flags & CKPT_AREA_F_DROPPABLE)
		return flags | MAP_DROPPABLE | MAP_ANONYMOUS;
	flags |= MAP_PRIVATE;
	if (a->kind == CKPT_AREA_KIND_ANON)
		flags |= MAP_ANONYMOUS;
	if (a->flags & CKPT_AREA_F_GROWSDOWN)
		flags |= MAP_GROWSDOWN;
	if (a->flags & CKPT_AREA_F_NORESERVE)
		flags |= MAP_NORESERVE;
	return flags;
}

/* DROPPABLE implies both. */
static uint32_t advised(const struct ckpt_area *a)
{
	if (a->flags & CKPT_AREA_F_DROPPABLE)
		return a->flags & ~(CKPT_AREA_F_WIPEONFORK | CKPT_AREA_F_DONTDUMP);
	return a->flags;
}

int ckpt_mm_try(const struct ckpt_area *a, void *page)
{
	void *drop;
	size_t i;

	if (!is_ours(a))
		return 0;
	if (a->flags & CKPT_AREA_F_DROPPABLE) {
		drop = mmap(NULL, CKPT_PAGE_LEN, PROT_READ, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
		if (drop == MAP_FAILED)
			return -1;
		munmap(drop, CKPT_PAGE_LEN);
	}
	/* a page of ours would be sealed for good: it is asked for nothing that there is */
	if (a->flags & CKPT_AREA_F_SEALED && syscall(SYS_mseal, page, 0, 1) && errno != EINVAL)
		return -1;
	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		if (advised(a) & advices[i].flag &&
		    madvise(page, CKPT_PAGE_LEN, advices[i].advice))
			return -1;
	}
	return a->name ? prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, page, CKPT_PAGE_LEN, a->name) : 0;
}

static int name_area(const struct ckpt_site *s, const struct ckpt_area *a, struct ckpt_err *err)
{
	uint64_t at = ckpt_site_put(s, 0, a->name, strlen(a->name) + 1, err);

	if (!at || ckpt_site_call(s, err, "name an area", SYS_prctl,
				  ARGS(PR_SET_VMA, PR_SET_VMA_ANON_NAME, a->start,
				       a->end - a->start, at)) < 0)
		return -1;
	return 0;
}

static int map_area(struct ckpt_restore *r, const struct ckpt_site *s, const struct ckpt_area *a,
		    struct ckpt_err *err)
{
	uint64_t fd = a->file == CKPT_NONE ? ~0ull : r->fd_base + a->file;
	int64_t at;

	if (ckpt_area_is_sysv(r->image, a))
		return ckpt_segment_attach(r, s, a, err);
	if (ckpt_site_try(s, err, &at, SYS_mmap, ARGS(a->start, a->end - a->start, a->prot,
						      map_flags(a), fd, a->pgoff)))
		return -1;
	if (at != (int64_t)a->start)
		return ckpt_fail(err, CKPT_FAILED, -at, "process %d: cannot map 0x%lx-0x%lx",
				 s->name, a->start, a->end);
	return 0;
}

static int build_area(struct ckpt_restore *r, const struct ckpt_site *s, const struct ckpt_area *a,
		      struct ckpt_err *err)
{
	size_t i;

	if (map_area(r, s, a, err))
		return -1;
	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		if (advised(a) & advices[i].flag &&
		    ckpt_site_call(s, err, "set flags of an area", SYS_madvise,
				   ARGS(a->start, a->end - a->start, advices[i].advice)) < 0)
			return -1;
	}
	return a->name ? name_area(s, a, err) : 0;
}

/* Bounds of code, data, heap, stack, arguments; auxiliary vector; executable. */
static int set_layout(struct ckpt_restore *r, const struct ckpt_site *s, const struct ckpt_mm *mm,
		      struct ckpt_err *err)
{
	struct prctl_mm_map map;
	uint64_t at;

	memcpy(&map, mm->layout, sizeof(mm->layout));
	map.auxv = (void *)ckpt_site_put(s, sizeof(map), mm->auxv, mm->auxv_len, err);
	map.auxv_size = mm->auxv_len;
	/* who was forked has it, and areas of it */
	map.exe_fd = s->memory ? (uint32_t)-1 : r->fd_base + mm->exe;
	at = map.auxv ? ckpt_site_put(s, 0, &map, sizeof(map), err) : 0;
	if (!at || ckpt_site_call(s, err, "set the layout of its memory", SYS_prctl,
				  ARGS(PR_SET_MM, PR_SET_MM_MAP, at, sizeof(map), 0)) < 0)
		return -1;
	return 0;
}

/* Filling page by page must not make huge pages out of sparse memory. */
static int set_thp(const struct ckpt_site *s, bool disabled, struct ckpt_err *err)
{
	return ckpt_site_call(s, err, "set its use of huge pages", SYS_prctl,
			      ARGS(PR_SET_THP_DISABLE, disabled, 0, 0, 0)) < 0 ? -1 : 0;
}

/* As ckpt-tool may have it; who has it in the tree is refused. Most kernels know no such thing. */
static int no_merging(const struct ckpt_site *s, struct ckpt_err *err)
{
	int64_t value;

	return ckpt_site_try(s, err, &value, SYS_prctl, ARGS(SET_MEMORY_MERGE, 0, 0, 0, 0));
}

int ckpt_build_mm(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	struct ckpt_site s;
	size_t i;

	if (t->forked ? ckpt_build_forked(r, t, err) : ckpt_vdso_place(r, t, err))
		return -1;
	s = ckpt_build_site(r, t, 0);
	/* The executable cannot be named once an area maps the one of ckpt-tool. */
	if (set_thp(&s, true, err) || no_merging(&s, err) || set_layout(r, &s, mm, err) ||
	    ckpt_build_urings(r, t, err))
		return -1;
	for (i = 0; i < mm->n_areas; i++) {
		if (is_ours(&mm->areas[i]) && !(t->kept && t->kept[i]) &&
		    build_area(r, &s, &mm->areas[i], err))
			return -1;
	}
	return 0;
}

static int register_membarrier(const struct ckpt_site *s, uint32_t commands, struct ckpt_err *err)
{
	for (uint32_t one = 1; one; one <<= 1) {
		if (commands & CKPT_BARRIERS & one &&
		    ckpt_site_call(s, err, "register a memory barrier", SYS_membarrier,
				   ARGS(one, 0, 0)) < 0)
			return -1;
	}
	return 0;
}

/* What cannot be read cannot be brought in, which mlock says when all is marked already. */
static int lock(const struct ckpt_site *s, uint64_t start, uint64_t end, bool readable,
		struct ckpt_err *err)
{
	int64_t value;

	if (ckpt_site_try(s, err, &value, SYS_mlock, ARGS(start, end - start)))
		return ckpt_fail_at(err, "process %d: cannot lock an area", s->name);
	if (!value || (value == -ENOMEM && !readable))
		return 0;
	return ckpt_fail(err, CKPT_FAILED, -value, "process %d: cannot lock an area", s->name);
}

/* All of it, which ends at the first guard page; and then what lies between them. */
static int lock_area(const struct ckpt_site *s, const struct ckpt_mm *mm,
		     const struct ckpt_area *a, struct ckpt_err *err)
{
	struct ckpt_guard g = ckpt_guard_next(mm, a->start, a->end);
	uint64_t at = a->start;

	if (!(a->flags & CKPT_AREA_F_LOCKED))
		return 0;
	if (lock(s, a->start, a->end, a->prot && g.start == a->end, err))
		return -1;
	for (; g.start < a->end; g = ckpt_guard_next(mm, at, a->end)) {
		if (g.start > at && lock(s, at, g.start, a->prot, err))
			return -1;
		at = g.end;
	}
	return at > a->start && at < a->end ? lock(s, at, a->end, a->prot, err) : 0;
}

static int seal_area(const struct ckpt_site *s, const struct ckpt_area *a, struct ckpt_err *err)
{
	return a->flags & CKPT_AREA_F_SEALED &&
	       ckpt_site_call(s, err, "seal an area", SYS_mseal,
			      ARGS(a->start, a->end - a->start, 0)) < 0 ? -1 : 0;
}

int ckpt_build_mm_finish(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	size_t i;

	/* before the locks: older kernels make none in what is locked */
	if (ckpt_build_guards(mm, &s, err))
		return -1;
	for (i = 0; i < mm->n_areas; i++) {
		if (is_ours(&mm->areas[i]) && lock_area(&s, mm, &mm->areas[i], err))
			return -1;
	}
	/* nothing is done with an area after that */
	for (i = 0; i < mm->n_areas; i++) {
		if (is_ours(&mm->areas[i]) && seal_area(&s, &mm->areas[i], err))
			return -1;
	}
	if (!mm->thp_disabled && set_thp(&s, false, err))
		return -1;
	return register_membarrier(&s, mm->membarrier, err);
}
