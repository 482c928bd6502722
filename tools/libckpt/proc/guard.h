/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guard regions: pages of an area that end whoever touches them, as the area has the rights to
 * them all the same (MADV_GUARD_INSTALL, Linux 6.13)
 *
 * They are no areas, but marks in the page table, so the trackers find them among the pages.
 */
#ifndef CKPT_PROC_GUARD_H
#define CKPT_PROC_GUARD_H

#include "proc/image.h"

#define CKPT_GUARD_INSTALL 102	/* MADV_GUARD_INSTALL */

/* Add the pages from @start to @end, which lie behind all others, to those of @mm. */
int ckpt_guard_add(struct ckpt_mm *mm, uint64_t start, uint64_t end, struct ckpt_err *err);

/**
 * ckpt_guard_next - the first guard region of @mm that ends behind @at
 *
 * Return: it, cut to what lies between @at and @end; of no bytes, at @end, when there is none.
 */
struct ckpt_guard ckpt_guard_next(const struct ckpt_mm *mm, uint64_t at, uint64_t end);

#endif
