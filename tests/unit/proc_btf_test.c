// SPDX-License-Identifier: GPL-2.0-or-later
/* BTF: offsets are found, and no damaged byte leads astray. */
#include <linux/btf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proc/btf.h"

#define INFO(kind, n) ((uint32_t)(kind) << 24 | (n))

/* An int, an enumeration, a structure with two members, one with bit fields. */
struct blob {
	struct btf_header head;
	struct btf_type number;
	uint32_t bits;
	struct btf_type list;
	struct btf_enum items[2];
	struct btf_type pair;
	struct btf_member members[2];
	struct btf_type packed;
	struct btf_member field;
	char names[32];
};

static struct blob make(void)
{
	struct blob b = {
		.head = {
			.magic = 0xeb9f, .version = 1, .hdr_len = sizeof(struct btf_header),
			.type_len = offsetof(struct blob, names) - sizeof(struct btf_header),
			.str_off = offsetof(struct blob, names) - sizeof(struct btf_header),
			.str_len = 32,
		},
		.number = { .info = INFO(BTF_KIND_INT, 0) },
		.list = { .info = INFO(BTF_KIND_ENUM, 2) },
		.pair = { .name_off = 1, .info = INFO(BTF_KIND_STRUCT, 2) },
		.members = { { .name_off = 6, .offset = 0 }, { .name_off = 12, .offset = 8 * 24 } },
		.packed = { .name_off = 19, .info = INFO(BTF_KIND_STRUCT, 1) | 1u << 31 },
		.field = { .name_off = 12, .offset = 3u << 24 | 8 * 5 },
	};

	memcpy(b.names, "\0pair\0first\0second\0packed", 26);
	return b;
}

static int find(const struct blob *b, size_t len, struct ckpt_btf_member *m, size_t n)
{
	void *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, b, len);
	r = ckpt_btf_find(copy, len, m, n);
	free(copy);
	return r;
}

static void test_found(void **state)
{
	struct ckpt_btf_member m[] = { { "packed", "second", 0 }, { "pair", "second", 0 },
				       { "pair", "first", 0 } };
	const struct blob b = make();

	(void)state;
	assert_int_equal(find(&b, sizeof(b), m, 3), 0);
	assert_int_equal(m[0].offset, 5);
	assert_int_equal(m[1].offset, 24);
	assert_int_equal(m[2].offset, 0);
}

static void test_missing(void **state)
{
	struct ckpt_btf_member m[] = { { "pair", "second", 0 }, { "pair", "third", 0 } };
	const struct blob b = make();

	(void)state;
	assert_int_equal(find(&b, sizeof(b), m, 2), -1);
}

static void test_damaged(void **state)
{
	struct ckpt_btf_member m[] = { { "packed", "second", 0 } };
	const struct blob b = make();
	struct blob bad;

	(void)state;
	for (size_t len = 0; len < sizeof(b); len++)
		assert_int_equal(find(&b, len, m, 1), -1);
	for (size_t i = 0; i < 8 * sizeof(b); i++) {
		bad = b;
		((uint8_t *)&bad)[i / 8] ^= 1u << i % 8;
		find(&bad, sizeof(bad), m, 1);
	}
	bad = b;
	bad.list.info = INFO(25, 2);
	assert_int_equal(find(&bad, sizeof(bad), m, 1), -1);
	bad = b;
	bad.names[31] = 'x';
	assert_int_equal(find(&bad, sizeof(bad), m, 1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests_name("proc btf", tests, NULL, NULL);
}
