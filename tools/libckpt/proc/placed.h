/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Placed: what was written into an address space, to be known again
 *
 * A stamp of each batch, made of the bytes that the source gave.  Memory that has all stamps holds
 * what was placed; when one is missing or differs, it is compared with the source, page by page.
 */
#ifndef CKPT_PROC_PLACED_H
#define CKPT_PROC_PLACED_H

#include <stdint.h>
#include <sys/types.h>

#include "base/stamp.h"

struct ckpt_placed;

/* NULL without memory. */
struct ckpt_placed *ckpt_placed_new(void);
/* NULL is allowed, here and in what follows. */
void ckpt_placed_free(struct ckpt_placed *p);

/* Of whom a thread has for its batches; NULL: it makes no stamps. */
struct ckpt_stamper *ckpt_placed_stamper(const struct ckpt_placed *p);
/* @n pages from @page on were placed, and are at @data; in any thread. */
void ckpt_placed_add(struct ckpt_placed *p, struct ckpt_stamper *s, uint64_t page, size_t n,
		     const void *data);
/* Is all that was placed, @pages pages, as it was, in the memory of @host? In doubt not. */
bool ckpt_placed_same(struct ckpt_placed *p, pid_t host, uint64_t pages);

#endif
