/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Populated pages of an area, from /proc/PID/pagemap
 */
#ifndef CKPT_TRACK_POPULATED_H
#define CKPT_TRACK_POPULATED_H

#include <stdbool.h>

#include "base/err.h"
#include "track/take.h"

/**
 * ckpt_populated_add - add the populated pages of an area as dirty runs
 * @pagemap: open for reading
 * @pid: for error sentences
 * @area: from its start to its end; runs are added
 * @file: ckpt_area_line_of_file
 *
 * Where the kernel has PAGEMAP_SCAN (Linux 6.7) what was never touched costs
 * nothing: a runtime's reservation of terabytes is stepped over by page-table
 * levels.  Else every page has an entry to be read, 17 ms for a GiB.
 *
 * Return: 0 or -1.
 */
int ckpt_populated_add(int pagemap, int32_t pid, struct ckpt_take_area *area, bool file,
		       struct ckpt_err *err);

/*
 * The guard regions of a shared area, of which nothing else is told by pages.  Kernels that do not
 * show them have none there.
 */
int ckpt_populated_guards(int pagemap, int32_t pid, struct ckpt_take_area *area,
			  struct ckpt_err *err);

/* What a scan has to return, CKPT_SCAN_*, to tell the state of pages. */
uint64_t ckpt_populated_mask(bool file);

/* The two ways of it, for tests; the first returns 1 where the kernel has none. */
int ckpt_populated_scan(int pagemap, int32_t pid, struct ckpt_take_area *area, bool file,
			struct ckpt_err *err);
int ckpt_populated_read(int pagemap, int32_t pid, struct ckpt_take_area *area,
			struct ckpt_err *err);

#endif
