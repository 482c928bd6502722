/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The walk of one address space: notes-mm.c goes by its areas, notes-scan.c by their pages. */
#ifndef CKPT_TRACK_NOTES_WALK_H
#define CKPT_TRACK_NOTES_WALK_H

#include "track/area-line.h"
#include "track/notes.h"

/**
 * struct ckpt_walk_span - areas that are registered and scanned by one call each
 * @start, @end: of them and of the holes between them, bytes
 * @first: of the take's areas, of which the last is in it too; with @end 0 there is none
 */
struct ckpt_walk_span {
	uint64_t start, end;
	size_t first;
};

/**
 * struct ckpt_walk - an address space being walked
 * @whole: every page is dirty
 * @spans: areas may be taken together
 * @dirty: told so, in areas whose writes are noted from now on
 * @span: the areas before the line that is read, which have not been scanned
 */
struct ckpt_walk {
	struct ckpt_notes_mm *mm;
	struct ckpt_take_mm *take;
	int pagemap;
	bool whole, spans;
	struct ckpt_ranges dirty;
	struct ckpt_walk_span span;
};

/* A line of maps. @file: of one; @file_pages: it may hold such pages */
struct ckpt_walk_line {
	struct ckpt_area_line l;
	bool file, file_pages;
};

/* What is said then; @e: -errno of a scan. Return: -1. */
int ckpt_walk_no_memory(const struct ckpt_walk *w, struct ckpt_err *err);
int ckpt_walk_cannot(const struct ckpt_walk *w, int e, struct ckpt_err *err);

/*
 * Pages of an area as they are, and none of it is protected.  @ret_noted: whether the writes to
 * it are noted; not known of one without a page.
 */
int ckpt_walk_look(struct ckpt_walk *w, struct ckpt_take_area *area,
		   const struct ckpt_walk_line *line, bool *ret_noted, struct ckpt_err *err);

/*
 * All pages of an area whose writes are noted; what was written is protected from here on.
 * @end: behind it there is nothing of a file
 * @fresh: that is so since now, and all of it is dirty
 */
int ckpt_walk_scan(struct ckpt_walk *w, struct ckpt_take_area *area,
		   const struct ckpt_walk_line *line, uint64_t end, bool fresh,
		   struct ckpt_err *err);

/*
 * The same of the areas of the span, which has just been registered.  What is in a hole of it is a
 * page that the keeper has there for a moment: it may be protected, and is not told.  One that
 * came after the registration is not looked at.
 */
int ckpt_walk_scan_span(struct ckpt_walk *w, struct ckpt_err *err);

#endif
