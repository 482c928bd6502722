/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Set of page numbers as sorted, disjoint, non-touching ranges. */
#ifndef CKPT_BASE_RANGES_H
#define CKPT_BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ckpt_range {
	uint64_t start;	/* first */
	uint64_t end;	/* one past the last */
};

struct ckpt_ranges {
	struct ckpt_range *r;
	size_t n;
};

void ckpt_ranges_done(struct ckpt_ranges *s);
/* Append a range that starts at or after the end of the last. Return: 0, or -1 without memory. */
int ckpt_ranges_append(struct ckpt_ranges *s, uint64_t start, uint64_t end);
/* Make @s the union of itself and @other. Return: 0, or -1 without memory (@s unchanged). */
int ckpt_ranges_join(struct ckpt_ranges *s, const struct ckpt_ranges *other);
/* Take @other out of @s. Return: 0, or -1 without memory (@s unchanged). */
int ckpt_ranges_subtract(struct ckpt_ranges *s, const struct ckpt_ranges *other);
/* The first part of [start, end) that is in the set. Return: whether there is one. */
bool ckpt_ranges_overlap(const struct ckpt_ranges *s, uint64_t start, uint64_t end,
			 struct ckpt_range *ret);
/* The first part of [start, end) that is not in the set. Return: whether there is one. */
bool ckpt_ranges_missing(const struct ckpt_ranges *s, uint64_t start, uint64_t end,
			 struct ckpt_range *ret);

#endif
