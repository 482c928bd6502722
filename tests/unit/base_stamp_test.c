// SPDX-License-Identifier: GPL-2.0-or-later
/* Stamps: the same for the same bytes under the same key, and for nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/stamp.h"

#define LEN 8192

static void are_those_of_their_bytes(void **state)
{
	const struct ckpt_stamp_key key = ckpt_stamp_key_new();
	struct ckpt_stamper *s = ckpt_stamper_new(&key), *other = ckpt_stamper_new(&key);
	struct ckpt_stamp first, again;
	uint8_t data[LEN];

	(void)state;
	for (size_t i = 0; i < LEN; i++)
		data[i] = i * 31 >> 3;
	assert_true(key.known);
	assert_non_null(s);
	assert_int_equal(ckpt_stamp(s, data, LEN, &first), 0);
	for (size_t i = 0; i < LEN; i += 7) {
		data[i] ^= 1 << i % 8;
		assert_int_equal(ckpt_stamp(s, data, LEN, &again), 0);
		assert_false(ckpt_stamp_equal(&first, &again));
		data[i] ^= 1 << i % 8;
	}
	assert_int_equal(ckpt_stamp(s, data, LEN - 1, &again), 0);
	assert_false(ckpt_stamp_equal(&first, &again));
	assert_int_equal(ckpt_stamp(other, data, LEN, &again), 0);
	assert_true(ckpt_stamp_equal(&first, &again));
	ckpt_stamper_free(s);
	ckpt_stamper_free(other);
}

static void keys_differ(void **state)
{
	const struct ckpt_stamp_key one = ckpt_stamp_key_new(), two = ckpt_stamp_key_new();
	struct ckpt_stamper *first = ckpt_stamper_new(&one), *second = ckpt_stamper_new(&two);
	static const uint8_t data[LEN];
	struct ckpt_stamp a, b;

	(void)state;
	assert_int_equal(ckpt_stamp(first, data, LEN, &a), 0);
	assert_int_equal(ckpt_stamp(second, data, LEN, &b), 0);
	assert_false(ckpt_stamp_equal(&a, &b));
	ckpt_stamper_free(first);
	ckpt_stamper_free(second);
}

static void without_a_key_there_are_none(void **state)
{
	const struct ckpt_stamp_key none = { .known = false };
	struct ckpt_stamp stamp;

	(void)state;
	assert_null(ckpt_stamper_new(&none));
	assert_int_equal(ckpt_stamp(NULL, "x", 1, &stamp), -1);
	ckpt_stamper_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(are_those_of_their_bytes),
		cmocka_unit_test(keys_differ),
		cmocka_unit_test(without_a_key_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
