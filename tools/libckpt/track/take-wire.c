// SPDX-License-Identifier: GPL-2.0-or-later
/* Takes as bytes: address spaces, each before its areas, each before its runs. */
#include <string.h>

#include "track/tracker-wire.h"

struct wire_mm {
	uint64_t cookie;
	int32_t pid;
	uint32_t flags;
	uint64_t n_areas;
};

struct wire_area {
	uint64_t start, end;
	uint64_t flags;
	uint64_t n_runs;
};

int ckpt_take_encode(const struct ckpt_take *take, struct ckpt_buf *ret)
{
	for (size_t m = 0; m < take->n_mms; m++) {
		const struct ckpt_take_mm *mm = &take->mms[m];
		struct wire_mm wire = { mm->cookie, mm->pid, mm->flags, mm->n_areas };

		ckpt_buf_put(ret, &wire, sizeof(wire));
		for (size_t a = 0; a < mm->n_areas; a++) {
			const struct ckpt_take_area *area = &mm->areas[a];
			struct wire_area head = { area->start, area->end, area->flags,
						  area->n_runs };

			ckpt_buf_put(ret, &head, sizeof(head));
			ckpt_buf_put(ret, area->runs, area->n_runs * sizeof(*area->runs));
		}
	}
	return ret->failed ? -1 : 0;
}

/* What is left of the bytes. */
struct rest {
	const uint8_t *at;
	size_t len;
};

static const void *next(struct rest *rest, size_t len)
{
	const void *at = rest->at;

	if (len > rest->len)
		return NULL;
	rest->at += len;
	rest->len -= len;
	return at;
}

static int decode_area(struct rest *rest, struct ckpt_take_mm *mm)
{
	const struct wire_area *head = next(rest, sizeof(*head));
	const struct ckpt_run *runs = NULL;
	struct ckpt_take_area *area;

	if (head && head->n_runs <= rest->len / sizeof(*runs))
		runs = next(rest, head->n_runs * sizeof(*runs));
	area = runs ? ckpt_take_add_area(mm, head->start, head->end, head->flags) : NULL;
	for (uint64_t i = 0; area && i < head->n_runs; i++) {
		if (ckpt_take_add_run(area, &runs[i]))
			return -1;
	}
	return area ? 0 : -1;
}

int ckpt_take_decode(const void *data, size_t len, struct ckpt_take *ret, struct ckpt_err *err)
{
	struct rest rest = { data, len };
	struct ckpt_take take = { 0 };

	while (rest.len) {
		const struct wire_mm *wire = next(&rest, sizeof(*wire));
		struct ckpt_take_mm *mm = NULL;
		uint64_t left = wire ? wire->n_areas : 0;

		if (wire)
			mm = ckpt_take_add_mm(&take, wire->cookie, wire->pid, wire->flags);
		while (mm && left && !decode_area(&rest, mm))
			left--;
		if (!mm || left) {
			ckpt_take_done(&take);
			return ckpt_fail(err, CKPT_FAILED, 0, "the tracker sent half a take");
		}
	}
	*ret = take;
	return 0;
}
