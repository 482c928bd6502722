// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers of the module: every field, every truncation, impossible values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>

#include "nl/message.h"

/* Attributes as the kernel writes them, one after the other. */
static void put(struct ckpt_buf *b, uint16_t type, const void *data, size_t len)
{
	struct nlattr head = { .nla_len = NLA_HDRLEN + len, .nla_type = type };

	ckpt_buf_put(b, &head, sizeof(head));
	ckpt_buf_put(b, data, len);
	ckpt_buf_put(b, NULL, NLA_ALIGN(len) - len);
}

static void put_u32(struct ckpt_buf *b, uint16_t type, uint32_t v)
{
	put(b, type, &v, sizeof(v));
}

/* With the padding attribute that aligns 8-byte values. */
static void put_u64(struct ckpt_buf *b, uint16_t type, uint64_t v)
{
	if ((b->len + NLA_HDRLEN) % 8)
		put(b, CKPT_A_PAD, NULL, 0);
	put(b, type, &v, sizeof(v));
}

static void put_str(struct ckpt_buf *b, uint16_t type, const char *s)
{
	put(b, type, s, strlen(s) + 1);
}

static const uint8_t id[CKPT_ID_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static void sample_group(struct ckpt_buf *b)
{
	put_str(b, CKPT_A_GROUP_NAME, "web");
	put_str(b, CKPT_A_GROUP_CGROUP, "/agents/web");
	put_u64(b, CKPT_A_GROUP_GENERATION, 3);
	put_u32(b, CKPT_A_GROUP_STATE, CKPT_GROUP_TAKING);
	put_u32(b, CKPT_A_GROUP_TASKS, 23);
	put_str(b, CKPT_A_ROOT_PATH, "/work");
	put_str(b, CKPT_A_ROOT_PATH, "/tmp/x");
	put_u64(b, CKPT_A_LOAD_COOKIE, 0x1122334455667788ull);
	put_u32(b, CKPT_A_FEATURES, CKPT_FEATURE_PAGES | CKPT_FEATURE_INODES);
	put_u64(b, CKPT_A_EPOCH, 9);
	put_u32(b, CKPT_A_ROUND, 2);
	put(b, CKPT_A_CHECKPOINT_ID, id, sizeof(id));
	put_u64(b, CKPT_A_DIRTY_PAGES, 100);
	put_u64(b, CKPT_A_RESIDENT_PAGES, 1000);
	put_u64(b, CKPT_A_CHANGED_INODES, 4);
	put_u64(b, CKPT_A_TAKEN, 150);
	put_u64(b, CKPT_A_LOST, 1);
}

static void group_every_field(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_group g;

	(void)state;
	sample_group(&b);
	/* An attribute of a newer module is passed over. */
	put_u32(&b, CKPT_A_MAX + 7, 5);
	assert_int_equal(ckpt_nl_parse_group(b.data, b.len, &g, &err), 0);
	assert_string_equal(g.name, "web");
	assert_string_equal(g.cgroup, "/agents/web");
	assert_true(g.generation == 3 && g.state == CKPT_GROUP_TAKING && g.tasks == 23);
	assert_int_equal(g.n_roots, 2);
	assert_string_equal(g.roots[0], "/work");
	assert_string_equal(g.roots[1], "/tmp/x");
	assert_true(g.load_cookie == 0x1122334455667788ull && g.features == 3);
	assert_true(g.epoch == 9 && g.round == 2);
	assert_memory_equal(g.committed, id, sizeof(id));
	assert_true(g.dirty_pages == 100 && g.resident_pages == 1000 && g.changed_inodes == 4);
	assert_true(g.taken == 150 && g.lost == 1);
	ckpt_nl_group_done(&g);
	ckpt_buf_done(&b);
}

static void sample_round(struct ckpt_buf *b)
{
	put_u64(b, CKPT_A_EPOCH, 9);
	put_u32(b, CKPT_A_ROUND, 2);
	put(b, CKPT_A_CHECKPOINT_ID, id, sizeof(id));
	put_u64(b, CKPT_A_LOAD_COOKIE, 77);
	put_u64(b, CKPT_A_GROUP_GENERATION, 3);
	put_u64(b, CKPT_A_DIRTY_PAGES, 100);
	put_u64(b, CKPT_A_RESIDENT_PAGES, 1000);
	put_u64(b, CKPT_A_TAKEN_INODES, 12);
	put_u64(b, CKPT_A_LOST, 0);
}

static void round_every_field(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_round r;

	(void)state;
	sample_round(&b);
	assert_int_equal(ckpt_nl_parse_round(b.data, b.len, &r, &err), 0);
	assert_true(r.epoch == 9 && r.round == 2 && r.load_cookie == 77 && r.generation == 3);
	assert_memory_equal(r.committed, id, sizeof(id));
	assert_true(r.dirty_pages == 100 && r.resident_pages == 1000 && r.inodes == 12 && !r.lost);
	ckpt_buf_done(&b);
}

static void sample_area(struct ckpt_buf *b, const struct ckpt_run *runs, size_t n)
{
	put_u64(b, CKPT_A_MM_COOKIE, 5);
	put_u32(b, CKPT_A_MM_PID, 4711);
	put_u32(b, CKPT_A_MM_FLAGS, CKPT_MM_NEW);
	put_u64(b, CKPT_A_AREA_START, 0x10000);
	put_u64(b, CKPT_A_AREA_END, 0x20000);
	put_u64(b, CKPT_A_AREA_PGOFF, 7);
	put_u64(b, CKPT_A_AREA_DEV, 8ull << 32 | 1);
	put_u64(b, CKPT_A_AREA_INO, 99);
	put_u32(b, CKPT_A_AREA_FLAGS, CKPT_AREA_READ | CKPT_AREA_WRITE);
	if (n)
		put(b, CKPT_A_RUNS, runs, n * sizeof(*runs));
}

static const struct ckpt_run good_runs[] = {
	{ 0x10000, 2, CKPT_PAGE_ANON, CKPT_RUN_DIRTY },
	{ 0x12000, 1, CKPT_PAGE_ZERO, 0 },
	{ 0x15000, 11, CKPT_PAGE_SWAP, CKPT_RUN_DIRTY | CKPT_RUN_KSM },
};

static void area_every_field(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT, runs = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_area a;

	(void)state;
	sample_area(&b, good_runs, 3);
	assert_int_equal(ckpt_nl_parse_area(b.data, b.len, &runs, &a, &err), 0);
	assert_true(a.mm_cookie == 5 && a.mm_pid == 4711 && a.mm_flags == CKPT_MM_NEW);
	assert_true(a.has_area && a.start == 0x10000 && a.end == 0x20000 && a.pgoff == 7);
	assert_true(a.dev == (8ull << 32 | 1) && a.ino == 99);
	assert_true(a.flags == (CKPT_AREA_READ | CKPT_AREA_WRITE));
	assert_int_equal(a.n_runs, 3);
	assert_memory_equal(a.runs, good_runs, sizeof(good_runs));
	/* The buffer is used again; without runs there are none. */
	b.len = 0;
	sample_area(&b, NULL, 0);
	assert_int_equal(ckpt_nl_parse_area(b.data, b.len, &runs, &a, &err), 0);
	assert_true(a.has_area && !a.n_runs);
	ckpt_buf_done(&runs);
	ckpt_buf_done(&b);
}

static void area_of_an_mm_alone(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT, runs = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_area a;

	(void)state;
	put_u64(&b, CKPT_A_MM_COOKIE, 5);
	put_u32(&b, CKPT_A_MM_PID, 0);
	put_u32(&b, CKPT_A_MM_FLAGS, CKPT_MM_BUSY);
	assert_int_equal(ckpt_nl_parse_area(b.data, b.len, &runs, &a, &err), 0);
	assert_true(!a.has_area && !a.n_runs && a.mm_flags == CKPT_MM_BUSY);
	ckpt_buf_done(&runs);
	ckpt_buf_done(&b);
}

static void area_impossible_runs(void **state)
{
	static const struct ckpt_run bad[] = {
		{ 0x10001, 1, CKPT_PAGE_ANON, 0 },	/* inside a page */
		{ 0xf000, 1, CKPT_PAGE_ANON, 0 },	/* before the area */
		{ 0x20000, 1, CKPT_PAGE_ANON, 0 },	/* after it */
		{ 0x1f000, 2, CKPT_PAGE_ANON, 0 },	/* over its end */
		{ 0x10000, 0, CKPT_PAGE_ANON, 0 },	/* nothing */
		{ 0x10000, UINT32_MAX, CKPT_PAGE_ANON, 0 },
		{ 0x10000, 1, CKPT_PAGE_SPECIAL + 1, 0 },
		{ UINT64_MAX & ~0xfffull, 1, CKPT_PAGE_ANON, 0 },
	};
	static const struct ckpt_run over[] = {
		{ 0x10000, 2, CKPT_PAGE_ANON, 0 }, { 0x11000, 1, CKPT_PAGE_ANON, 0 },
	};
	struct ckpt_buf b = CKPT_BUF_INIT, runs = CKPT_BUF_INIT;
	struct ckpt_nl_area a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ckpt_err err = CKPT_ERR_INIT;

		b.len = 0;
		sample_area(&b, &bad[i], 1);
		assert_int_equal(ckpt_nl_parse_area(b.data, b.len, &runs, &a, &err), -1);
		assert_int_equal(err.status, CKPT_FAILED);
	}
	b.len = 0;
	sample_area(&b, over, 2);
	assert_int_equal(ckpt_nl_parse_area(b.data, b.len, &runs, &a, NULL), -1);
	/* A run and a half. */
	b.len = 0;
	sample_area(&b, NULL, 0);
	put(&b, CKPT_A_RUNS, good_runs, sizeof(good_runs[0]) * 3 / 2);
	assert_int_equal(ckpt_nl_parse_area(b.data, b.len, &runs, &a, NULL), -1);
	ckpt_buf_done(&runs);
	ckpt_buf_done(&b);
}

static const struct ckpt_extent good_ranges[] = { { 0, 1 }, { 7, 3 }, { 1ull << 40, 1 } };

static void sample_inode(struct ckpt_buf *b)
{
	put_u64(b, CKPT_A_INODE_DEV, 254ull << 32);
	put_u64(b, CKPT_A_INODE_INO, 131077);
	put_u32(b, CKPT_A_INODE_GENERATION, 0xfedcba98);
	put_u32(b, CKPT_A_INODE_MASK, CKPT_INODE_DATA | CKPT_INODE_SUSPECT);
	put_u32(b, CKPT_A_INODE_FLAGS, CKPT_INODE_F_OUTSIDE | CKPT_INODE_F_RANGES);
	put(b, CKPT_A_INODE_RANGES, good_ranges, sizeof(good_ranges));
}

static void inode_every_field(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT, ranges = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_inode i;

	(void)state;
	sample_inode(&b);
	assert_int_equal(ckpt_nl_parse_inode(b.data, b.len, &ranges, &i, &err), 0);
	assert_true(i.dev == 254ull << 32 && i.ino == 131077 && i.generation == 0xfedcba98);
	assert_true(i.mask == (CKPT_INODE_DATA | CKPT_INODE_SUSPECT));
	assert_true(i.flags == (CKPT_INODE_F_OUTSIDE | CKPT_INODE_F_RANGES));
	assert_int_equal(i.n_ranges, 3);
	assert_memory_equal(i.ranges, good_ranges, sizeof(good_ranges));
	ckpt_buf_done(&ranges);
	ckpt_buf_done(&b);
}

static void put_inode(struct ckpt_buf *b, uint32_t flags)
{
	b->len = 0;
	put_u64(b, CKPT_A_INODE_DEV, 1);
	put_u64(b, CKPT_A_INODE_INO, 2);
	put_u32(b, CKPT_A_INODE_GENERATION, 3);
	put_u32(b, CKPT_A_INODE_MASK, CKPT_INODE_SUSPECT);
	put_u32(b, CKPT_A_INODE_FLAGS, flags);
}

/* What is told with the flag: all of it; nothing is an empty array and not its absence. */
static void inode_impossible_ranges(void **state)
{
	static const struct ckpt_extent bad[][2] = {
		{ { 5, 0 }, { 9, 1 } },			/* empty */
		{ { 5, 5 }, { 9, 1 } },			/* over another */
		{ { 9, 1 }, { 5, 1 } },			/* out of order */
		{ { 5, 1 }, { 9, UINT64_MAX - 8 } },	/* past the last page */
	};
	struct ckpt_buf b = CKPT_BUF_INIT, ranges = CKPT_BUF_INIT;
	struct ckpt_nl_inode i;
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		put_inode(&b, CKPT_INODE_F_RANGES);
		put(&b, CKPT_A_INODE_RANGES, bad[n], sizeof(bad[n]));
		assert_int_equal(ckpt_nl_parse_inode(b.data, b.len, &ranges, &i, NULL), -1);
	}
	put_inode(&b, CKPT_INODE_F_RANGES);
	put(&b, CKPT_A_INODE_RANGES, good_ranges, sizeof(good_ranges[0]) * 3 / 2);
	assert_int_equal(ckpt_nl_parse_inode(b.data, b.len, &ranges, &i, NULL), -1);
	put_inode(&b, CKPT_INODE_F_RANGES);
	assert_int_equal(ckpt_nl_parse_inode(b.data, b.len, &ranges, &i, NULL), -1);
	put(&b, CKPT_A_INODE_RANGES, NULL, 0);
	assert_int_equal(ckpt_nl_parse_inode(b.data, b.len, &ranges, &i, NULL), 0);
	assert_int_equal(i.n_ranges, 0);
	put_inode(&b, 0);
	put(&b, CKPT_A_INODE_RANGES, good_ranges, sizeof(good_ranges));
	assert_int_equal(ckpt_nl_parse_inode(b.data, b.len, &ranges, &i, NULL), 0);
	assert_int_equal(i.n_ranges, 0);
	ckpt_buf_done(&ranges);
	ckpt_buf_done(&b);
}

static int parse(int kind, const void *data, size_t len, struct ckpt_buf *runs,
		 struct ckpt_err *err)
{
	struct ckpt_nl_group group;
	struct ckpt_nl_inode inode;
	struct ckpt_nl_round round;
	struct ckpt_nl_area area;

	switch (kind) {
	case 0:
		if (ckpt_nl_parse_group(data, len, &group, err))
			return -1;
		ckpt_nl_group_done(&group);
		return 0;
	case 1:
		return ckpt_nl_parse_round(data, len, &round, err);
	case 2:
		return ckpt_nl_parse_area(data, len, runs, &area, err);
	default:
		return ckpt_nl_parse_inode(data, len, runs, &inode, err);
	}
}

static void sample(int kind, struct ckpt_buf *b)
{
	switch (kind) {
	case 0:
		sample_group(b);
		break;
	case 1:
		sample_round(b);
		break;
	case 2:
		sample_area(b, good_runs, 3);
		break;
	default:
		sample_inode(b);
	}
}

/* Each length in a block of exactly that size, so that reading over it is seen. */
static void truncated_anywhere(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT, runs = CKPT_BUF_INIT;
	size_t len, accepted;
	int kind;

	(void)state;
	for (kind = 0; kind < 4; kind++) {
		b.len = 0;
		sample(kind, &b);
		for (accepted = len = 0; len < b.len; len++) {
			struct ckpt_err err = CKPT_ERR_INIT;
			void *cut = malloc(len ? len : 1);

			assert_non_null(cut);
			memcpy(cut, b.data, len);
			if (parse(kind, cut, len, &runs, &err)) {
				assert_int_equal(err.status, CKPT_FAILED);
				assert_true(err.text[0]);
			} else {
				accepted++;
			}
			free(cut);
		}
		/* What may be absent may be cut off: the area, also after its padding; runs. */
		assert_int_equal(accepted, kind == 2 ? 3 : 0);
	}
	ckpt_buf_done(&runs);
	ckpt_buf_done(&b);
}

static void any_byte_changed(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT, runs = CKPT_BUF_INIT;
	unsigned int flips, refused = 0;
	size_t at;
	int kind;

	(void)state;
	for (kind = 0; kind < 4; kind++) {
		for (flips = 0; flips < 8; flips++) {
			b.len = 0;
			sample(kind, &b);
			for (at = 0; at < b.len; at++) {
				b.data[at] ^= 1u << flips;
				/* Accepted or refused, but never out of bounds. */
				refused += !!parse(kind, b.data, b.len, &runs, NULL);
				b.data[at] ^= 1u << flips;
			}
		}
	}
	assert_true(refused > 100);
	ckpt_buf_done(&runs);
	ckpt_buf_done(&b);
}

static void text_without_end(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_group g;

	(void)state;
	put(&b, CKPT_A_GROUP_CGROUP, "/x", 2);
	sample_group(&b);
	assert_int_equal(ckpt_nl_parse_group(b.data, b.len, &g, &err), -1);
	ckpt_buf_done(&b);
}

/* An error message as the kernel sends it, with a sentence. */
static struct nlmsghdr *refusal(struct ckpt_buf *b, int type, int code, int capped,
				const char *text)
{
	struct nlmsghdr head = { .nlmsg_type = type, .nlmsg_flags = NLM_F_ACK_TLVS };
	struct nlmsghdr request = { .nlmsg_len = NLMSG_HDRLEN + 20 };
	struct nlmsghdr *h;

	b->len = 0;
	ckpt_buf_put(b, &head, sizeof(head));
	ckpt_buf_put(b, &code, sizeof(code));
	if (type == NLMSG_ERROR) {
		ckpt_buf_put(b, &request, sizeof(request));
		if (!capped)
			ckpt_buf_put(b, NULL, 20);
	}
	if (text)
		put_str(b, NLMSGERR_ATTR_MSG, text);
	h = (void *)b->data;
	h->nlmsg_len = b->len;
	if (capped)
		h->nlmsg_flags |= NLM_F_CAPPED;
	return h;
}

static void refusal_with_its_sentence(void **state)
{
	static const int types[] = { NLMSG_ERROR, NLMSG_DONE };
	struct ckpt_buf b = CKPT_BUF_INIT;
	const char *text;
	int i, capped;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (capped = 0; capped < 2; capped++) {
			struct nlmsghdr *h = refusal(&b, types[i], -EBUSY, capped, "it is taken");

			assert_int_equal(ckpt_nl_refusal(h, &text), EBUSY);
			assert_string_equal(text, "it is taken");
			h = refusal(&b, types[i], -ENOENT, capped, NULL);
			assert_int_equal(ckpt_nl_refusal(h, &text), ENOENT);
			assert_null(text);
			h = refusal(&b, types[i], 0, capped, NULL);
			assert_int_equal(ckpt_nl_refusal(h, &text), 0);
		}
	}
	ckpt_buf_done(&b);
}

static void refusal_truncated_anywhere(void **state)
{
	struct ckpt_buf b = CKPT_BUF_INIT;
	const char *text;
	uint32_t len, full;

	(void)state;
	refusal(&b, NLMSG_ERROR, -EBUSY, 0, "it is taken");
	full = b.len;
	for (len = NLMSG_HDRLEN; len < full; len++) {
		struct nlmsghdr *h = malloc(len);
		int os;

		assert_non_null(h);
		memcpy(h, b.data, len);
		h->nlmsg_len = len;
		os = ckpt_nl_refusal(h, &text);
		assert_int_equal(os, len < NLMSG_HDRLEN + sizeof(int) ? EBADMSG : EBUSY);
		assert_null(text);
		free(h);
	}
	ckpt_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(group_every_field),
		cmocka_unit_test(round_every_field),
		cmocka_unit_test(area_every_field),
		cmocka_unit_test(area_of_an_mm_alone),
		cmocka_unit_test(area_impossible_runs),
		cmocka_unit_test(inode_every_field),
		cmocka_unit_test(inode_impossible_ranges),
		cmocka_unit_test(truncated_anywhere),
		cmocka_unit_test(any_byte_changed),
		cmocka_unit_test(text_without_end),
		cmocka_unit_test(refusal_with_its_sentence),
		cmocka_unit_test(refusal_truncated_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
