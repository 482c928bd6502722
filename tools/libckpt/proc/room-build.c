// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Room: areas at places that only the kernel chooses
 *
 * The memory of an io_uring is mapped where the kernel likes, never at an address that somebody
 * names.  So all room in the address space is taken but the one place: there is no choice then.
 * What takes it cannot be read, and has no pages.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/procfs.h"

#define FIRST 0x1000ull		/* from where on the kernel looks, whatever it lets us have */
#define LOWEST 0x10000ull	/* default vm.mmap_min_addr */
#define HIGHEST 0x7ffffffff000ull

static int take(struct ckpt_room *room, uint64_t start, uint64_t end, struct ckpt_err *err)
{
	struct ckpt_room_gap *gaps;
	int64_t at;

	if (start >= end)
		return 0;
	if (ckpt_site_try(room->site, err, &at, SYS_mmap,
			  ARGS(start, end - start, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
			       -1, 0)))
		return -1;
	/* nor does the kernel then give it to a process without the right to it */
	if (at == -EPERM && end <= LOWEST)
		return 0;
	if (at != (int64_t)start)
		return ckpt_fail(err, CKPT_FAILED, -at, "process %d: cannot take room",
				 room->site->name);
	gaps = ckpt_grow(room->gaps, &room->n, sizeof(*gaps));
	if (!gaps)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of areas");
	room->gaps = gaps;
	gaps[room->n - 1] = (struct ckpt_room_gap){ start, end };
	return 0;
}

int ckpt_room_take(struct ckpt_room *room, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	const char *maps;
	struct ckpt_maps_line m;
	uint64_t at = FIRST;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/maps", room->task->host);
	if (ckpt_build_text(path, &text, err))
		return -1;
	maps = text;
	while (ckpt_parse_maps_line(&maps, &m) > 0 && m.start < HIGHEST) {
		if (at < LOWEST && m.start > LOWEST) {
			if (take(room, at, LOWEST, err))
				return -1;
			at = LOWEST;
		}
		if (take(room, at, m.start, err))
			return -1;
		at = m.end > at ? m.end : at;
	}
	return take(room, at, HIGHEST, err);
}

int ckpt_room_map(struct ckpt_room *room, const struct ckpt_area *a, uint64_t fd,
		  struct ckpt_err *err)
{
	const struct ckpt_site *s = room->site;
	const uint64_t len = a->end - a->start;
	int64_t at;

	if (ckpt_site_call(s, err, "make room for an area", SYS_munmap, ARGS(a->start, len)) < 0 ||
	    ckpt_site_try(s, err, &at, SYS_mmap, ARGS(0, len, a->prot, MAP_SHARED, fd, a->pgoff)))
		return -1;
	if (at != (int64_t)a->start)
		return ckpt_fail(err, CKPT_FAILED, at < 0 ? -at : 0,
				 "process %d: cannot map an io_uring at 0x%lx", s->name, a->start);
	if ((a->flags & CKPT_AREA_F_DONTFORK &&
	     ckpt_site_call(s, err, "set flags of an area", SYS_madvise,
			    ARGS(a->start, len, MADV_DONTFORK)) < 0) ||
	    (a->flags & CKPT_AREA_F_DONTDUMP &&
	     ckpt_site_call(s, err, "set flags of an area", SYS_madvise,
			    ARGS(a->start, len, MADV_DONTDUMP)) < 0))
		return -1;
	return 0;
}

static int leave(const struct ckpt_room *room, uint64_t start, uint64_t end, struct ckpt_err *err)
{
	return start < end && ckpt_site_call(room->site, err, "leave room", SYS_munmap,
					     ARGS(start, end - start)) < 0 ? -1 : 0;
}

int ckpt_room_leave(struct ckpt_room *room, const struct ckpt_mm *mm, struct ckpt_err *err)
{
	for (size_t i = 0; i < room->n; i++) {
		uint64_t at = room->gaps[i].start;

		for (size_t j = 0; j < mm->n_areas; j++) {
			const struct ckpt_area *a = &mm->areas[j];

			if (a->kind != CKPT_AREA_KIND_URING || a->start < at ||
			    a->start >= room->gaps[i].end)
				continue;
			if (leave(room, at, a->start, err))
				return -1;
			at = a->end;
		}
		if (leave(room, at, room->gaps[i].end, err))
			return -1;
	}
	return 0;
}

void ckpt_room_done(struct ckpt_room *room)
{
	free(room->gaps);
}
