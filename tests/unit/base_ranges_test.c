// SPDX-License-Identifier: GPL-2.0-or-later
/* Ranges against a bitmap, with seeded random operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/ranges.h"

#define N 200

static void check(const struct ckpt_ranges *s, const bool *model)
{
	struct ckpt_range r;
	uint64_t at = 0;
	bool seen[N] = { false };

	while (ckpt_ranges_overlap(s, at, N, &r)) {
		assert_true(r.start >= at && r.start < r.end && r.end <= N);
		for (uint64_t i = r.start; i < r.end; i++)
			seen[i] = true;
		at = r.end;
	}
	assert_memory_equal(seen, model, N);
	at = 0;
	memset(seen, 1, N);
	while (ckpt_ranges_missing(s, at, N, &r)) {
		assert_true(r.start >= at && r.start < r.end && r.end <= N);
		for (uint64_t i = r.start; i < r.end; i++)
			seen[i] = false;
		at = r.end;
	}
	assert_memory_equal(seen, model, N);
	for (size_t i = 1; i < s->n; i++)
		assert_true(s->r[i - 1].end < s->r[i].start);
}

static void join_equals_the_bitmap(void **state)
{
	(void)state;
	srand(20261124);
	for (int round = 0; round < 300; round++) {
		struct ckpt_ranges all = { 0 };
		bool model[N] = { false };

		for (int step = 0; step < 8; step++) {
			struct ckpt_ranges more = { 0 };
			uint64_t at = rand() % 40;

			while (at < N) {
				uint64_t end = at + rand() % 12;

				end = end < N ? end : N;
				assert_int_equal(ckpt_ranges_append(&more, at, end), 0);
				for (; at < end; at++)
					model[at] = true;
				at += rand() % 30;
			}
			assert_int_equal(ckpt_ranges_join(&all, &more), 0);
			ckpt_ranges_done(&more);
			check(&all, model);
		}
		ckpt_ranges_done(&all);
	}
}

static void subtract_equals_the_bitmap(void **state)
{
	(void)state;
	srand(4);
	for (int round = 0; round < 300; round++) {
		struct ckpt_ranges set[2] = { { 0 } };
		bool model[2][N] = { { false } };

		for (int which = 0; which < 2; which++) {
			for (uint64_t at = rand() % 20, end; at < N; at = end + rand() % 20) {
				end = at + rand() % 15;
				end = end < N ? end : N;
				assert_int_equal(ckpt_ranges_append(&set[which], at, end), 0);
				for (; at < end; at++)
					model[which][at] = true;
			}
		}
		for (int i = 0; i < N; i++)
			model[0][i] &= !model[1][i];
		assert_int_equal(ckpt_ranges_subtract(&set[0], &set[1]), 0);
		check(&set[0], model[0]);
		ckpt_ranges_done(&set[0]);
		ckpt_ranges_done(&set[1]);
	}
}

static void empty_set_misses_everything(void **state)
{
	struct ckpt_ranges s = { 0 };
	struct ckpt_range r;

	(void)state;
	assert_false(ckpt_ranges_overlap(&s, 0, UINT64_MAX, &r));
	assert_true(ckpt_ranges_missing(&s, 5, 9, &r));
	assert_int_equal(r.start, 5);
	assert_int_equal(r.end, 9);
	assert_false(ckpt_ranges_missing(&s, 9, 9, &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(join_equals_the_bitmap),
		cmocka_unit_test(subtract_equals_the_bitmap),
		cmocka_unit_test(empty_set_misses_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
