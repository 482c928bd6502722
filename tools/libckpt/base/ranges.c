// SPDX-License-Identifier: GPL-2.0-or-later
/* Sets of page numbers. */
#include <stdlib.h>

#include "base/ranges.h"

void ckpt_ranges_done(struct ckpt_ranges *s)
{
	free(s->r);
	*s = (struct ckpt_ranges){ 0 };
}

int ckpt_ranges_append(struct ckpt_ranges *s, uint64_t start, uint64_t end)
{
	if (start >= end)
		return 0;
	if (s->n && s->r[s->n - 1].end >= start) {
		if (s->r[s->n - 1].end < end)
			s->r[s->n - 1].end = end;
		return 0;
	}
	/* Capacity is the next power of two. */
	if (!(s->n & (s->n - 1))) {
		struct ckpt_range *r = realloc(s->r, (s->n ? 2 * s->n : 1) * sizeof(*r));

		if (!r)
			return -1;
		s->r = r;
	}
	s->r[s->n++] = (struct ckpt_range){ start, end };
	return 0;
}

int ckpt_ranges_join(struct ckpt_ranges *s, const struct ckpt_ranges *other)
{
	struct ckpt_ranges sum = { 0 };
	size_t i = 0, j = 0;

	if (!other->n)
		return 0;
	while (i < s->n || j < other->n) {
		const struct ckpt_range *next;

		if (j == other->n || (i < s->n && s->r[i].start <= other->r[j].start))
			next = &s->r[i++];
		else
			next = &other->r[j++];
		if (ckpt_ranges_append(&sum, next->start, next->end)) {
			ckpt_ranges_done(&sum);
			return -1;
		}
	}
	ckpt_ranges_done(s);
	*s = sum;
	return 0;
}

int ckpt_ranges_subtract(struct ckpt_ranges *s, const struct ckpt_ranges *other)
{
	struct ckpt_ranges rest = { 0 };
	struct ckpt_range r;

	for (size_t i = 0; i < s->n; i++) {
		uint64_t at = s->r[i].start;

		while (ckpt_ranges_missing(other, at, s->r[i].end, &r)) {
			if (ckpt_ranges_append(&rest, r.start, r.end)) {
				ckpt_ranges_done(&rest);
				return -1;
			}
			at = r.end;
		}
	}
	ckpt_ranges_done(s);
	*s = rest;
	return 0;
}

/* Index of the first range that ends after @at. */
static size_t find(const struct ckpt_ranges *s, uint64_t at)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->r[mid].end > at)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

bool ckpt_ranges_overlap(const struct ckpt_ranges *s, uint64_t start, uint64_t end,
			 struct ckpt_range *ret)
{
	size_t i = find(s, start);

	if (start >= end || i == s->n || s->r[i].start >= end)
		return false;
	ret->start = s->r[i].start > start ? s->r[i].start : start;
	ret->end = s->r[i].end < end ? s->r[i].end : end;
	return true;
}

bool ckpt_ranges_missing(const struct ckpt_ranges *s, uint64_t start, uint64_t end,
			 struct ckpt_range *ret)
{
	size_t i = find(s, start);

	if (i < s->n && s->r[i].start <= start)
		start = s->r[i++].end;
	if (start >= end)
		return false;
	ret->start = start;
	ret->end = i < s->n && s->r[i].start < end ? s->r[i].start : end;
	return true;
}
