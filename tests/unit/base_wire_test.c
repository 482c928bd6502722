// SPDX-License-Identifier: GPL-2.0-or-later
/* Tagged records: round trip, truncation, unknown tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

static void sample(struct ckpt_buf *b)
{
	size_t at;

	ckpt_wire_u64(b, 1, 0x1122334455667788ull);
	at = ckpt_wire_begin(b, 2);
	ckpt_wire_str(b, 3, "hello");
	ckpt_wire_bytes(b, 4, NULL, 0);
	ckpt_wire_end(b, at);
	ckpt_wire_u64(b, 9 | CKPT_WIRE_OPTIONAL, 5);
}

static void round_trip(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_wire w, in;
	struct ckpt_record r;
	uint64_t v;
	char *s;

	(void)state;
	sample(&b);
	assert_false(b.failed);
	w = ckpt_wire_of(b.data, b.len);
	assert_int_equal(ckpt_wire_next(&w, &r, &err), 1);
	assert_int_equal(ckpt_record_u64(&r, &v, &err), 0);
	assert_true(v == 0x1122334455667788ull);
	assert_int_equal(ckpt_wire_next(&w, &r, &err), 1);
	in = ckpt_wire_in(&r);
	assert_int_equal(ckpt_wire_next(&in, &r, &err), 1);
	assert_int_equal(ckpt_record_str(&r, &s, &err), 0);
	assert_string_equal(s, "hello");
	free(s);
	assert_int_equal(ckpt_wire_next(&in, &r, &err), 1);
	assert_int_equal(r.len, 0);
	assert_int_equal(ckpt_wire_next(&in, &r, &err), 0);
	assert_int_equal(ckpt_wire_next(&w, &r, &err), 1);
	assert_int_equal(ckpt_record_unknown(&r, &err), 0);
	r.tag &= ~CKPT_WIRE_OPTIONAL;
	assert_int_equal(ckpt_record_unknown(&r, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	ckpt_buf_done(&b);
}

/* Walk everything; only the result that no byte outside is read counts here. */
static int walk(const uint8_t *data, size_t len, int depth)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_wire w = ckpt_wire_of(data, len);
	struct ckpt_record r;
	int more;

	while ((more = ckpt_wire_next(&w, &r, &err)) > 0)
		if (depth && r.tag == 2 && walk(r.data, r.len, depth - 1) < 0)
			return -1;
	return more;
}

static void every_cut_inside_a_record_is_refused(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT;
	size_t whole = 0;

	(void)state;
	sample(&b);
	for (size_t cut = 0; cut <= b.len; cut++) {
		uint8_t *copy = malloc(cut + !cut);

		assert_non_null(copy);
		memcpy(copy, b.data, cut);
		whole += walk(copy, cut, 1) == 0;
		free(copy);
	}
	/* Only the cuts between the three top records (and the empty one) are whole. */
	assert_int_equal(whole, 4);
	ckpt_buf_done(&b);
}

static void random_bytes_stay_inside(void **state)
{
	size_t refused = 0;

	(void)state;
	srand(7);
	for (int round = 0; round < 20000; round++) {
		size_t len = rand() % 64;
		uint8_t *data = malloc(len + !len);

		assert_non_null(data);
		for (size_t i = 0; i < len; i++)
			data[i] = rand() % 4 ? 0 : rand();
		refused += walk(data, len, 4) < 0;
		free(data);
	}
	assert_true(refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(every_cut_inside_a_record_is_refused),
		cmocka_unit_test(random_bytes_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
