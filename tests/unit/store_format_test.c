// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store's bytes: decoders survive anything, one content has one encoding,
 * and the examples of docs/image-format.md are what is really written
 */
#include <stdio.h>

#include "base/cleanup.h"
#include "store/identity.h"
#include "store/node.h"
#include "store_model.h"

/* A leaf with zero pages and runs in a few blocks. */
static void random_leaf(uint64_t *seed, struct ckpt_leaf *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->number = model_random(seed) >> 9;
	for (unsigned int i = 0; i < CKPT_LEAF_PAGES; i++) {
		struct ckpt_hash name = { .b = { model_random(seed) % 5, 7 } };
		unsigned int what = model_random(seed) % 16;

		if (what == 1)
			ret->entry[i].kind = CKPT_PAGE_IS_ZERO;
		else if (what > 10 || !i || ret->entry[i - 1].slot > 100)
			ret->entry[i] = (struct ckpt_entry){ CKPT_PAGE_IS_DATA,
				model_random(seed) % 100, ckpt_leaf_block(ret, &name) };
		else if (what > 1)
			ret->entry[i] = ret->entry[i - 1];
		if (what > 1 && what <= 10 && i && ret->entry[i].kind == CKPT_PAGE_IS_DATA)
			ret->entry[i].slot++;
	}
}

static void a_leaf_has_one_encoding(void **state)
{
	uint64_t seed = 17;
	static struct ckpt_leaf leaf;
	static struct ckpt_node back;

	(void)state;
	for (int round = 0; round < 500; round++) {
		cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT, again = CKPT_BUF_INIT;
		struct ckpt_err err = CKPT_ERR_INIT;

		random_leaf(&seed, &leaf);
		must(ckpt_leaf_encode(&leaf, &b, &err));
		must(ckpt_node_decode(b.data, b.len, &back, &err));
		assert_true(back.is_leaf && back.leaf.number == leaf.number);
		for (unsigned int i = 0; i < CKPT_LEAF_PAGES; i++) {
			const struct ckpt_entry *x = &leaf.entry[i], *y = &back.leaf.entry[i];

			assert_int_equal(x->kind, y->kind);
			assert_int_equal(x->slot, y->slot);
			if (x->kind == CKPT_PAGE_IS_DATA)
				assert_memory_equal(&leaf.block[x->block],
						    &back.leaf.block[y->block], CKPT_HASH_LEN);
		}
		must(ckpt_leaf_encode(&back.leaf, &again, &err));
		assert_int_equal(b.len, again.len);
		assert_memory_equal(b.data, again.data, b.len);
	}
}

/* Any accepted node, however it came about, encodes to the same bytes. */
static void a_changed_node_is_refused_or_the_only_one(void **state)
{
	uint64_t seed = 23;
	static struct ckpt_leaf leaf;
	static struct ckpt_node back;
	unsigned int accepted = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT, again = CKPT_BUF_INIT;
		struct ckpt_inner inner = { .level = model_random(&seed) % 14, .digits = 0x41 };
		struct ckpt_err err = CKPT_ERR_INIT;

		if (round % 2) {
			if (round % 64 == 1)
				random_leaf(&seed, &leaf);
			must(ckpt_leaf_encode(&leaf, &b, &err));
		} else {
			must(ckpt_inner_encode(&inner, &b, &err));
		}
		for (unsigned int n = 1 + model_random(&seed) % 3; n; n--)
			b.data[model_random(&seed) % (round % 4 ? b.len : 24)] ^=
				1 << model_random(&seed) % 8;
		if (ckpt_node_decode(b.data, b.len - (round % 16 == 3), &back, &err)) {
			assert_int_equal(err.status, CKPT_DAMAGED);
			continue;
		}
		must(back.is_leaf ? ckpt_leaf_encode(&back.leaf, &again, &err) :
		     ckpt_inner_encode(&back.inner, &again, &err));
		assert_int_equal(b.len, again.len);
		assert_memory_equal(b.data, again.data, b.len);
		accepted++;
	}
	assert_true(accepted > 1000);
}

static const uint8_t uuid[CKPT_UUID_LEN] = "0123456789abcdef";

static void example_manifest(struct ckpt_manifest *m)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	*m = (struct ckpt_manifest){ .name = "fix-bug", .id = 7, .parent = 6,
		.kind = CKPT_KIND_INCREMENTAL, .tracker = "kmod", .why = strdup("policy"),
		.time_ns = 1700000000000000000, .next_space = 40, .has_root = true,
		.has_pack = true,
		.lineage = { "8f2c8d5e-0c5c-4d53-8d0e-1c6f7a3b9e10", 0x1122334455667788, 1, 7 },
		.counts = { 100, 3, 409600, 430000, 52000, 4000000, 90000000 } };
	memcpy(m->uuid, uuid, sizeof(uuid));
	memset(m->parent_uuid, 0xaa, sizeof(m->parent_uuid));
	memset(m->root.b, 0xbb, sizeof(m->root.b));
	must(ckpt_manifest_set_blob(m, "tasks", 12, 5000, &err));
	must(ckpt_manifest_set_note(m, "stop", "yes", 3, &err));
}

/* With the hash made right again, so that what lies behind it is reached. */
static void a_changed_manifest_is_survived(void **state)
{
	cleanup_manifest struct ckpt_manifest m = { 0 };
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	uint64_t seed = 29;
	unsigned int accepted = 0, refused = 0;

	(void)state;
	example_manifest(&m);
	must(ckpt_manifest_encode(&m, &b, &err));
	for (int round = 0; round < 30000; round++) {
		cleanup_free uint8_t *copy = malloc(b.len);
		cleanup_manifest struct ckpt_manifest back = { 0 };
		size_t cut = round % 8 ? 0 : model_random(&seed) % (b.len - 100);
		size_t len = b.len - CKPT_HASH_LEN - cut;
		struct ckpt_hash hash;

		memcpy(copy, b.data, b.len);
		for (unsigned int n = 1 + model_random(&seed) % 4; n; n--)
			copy[model_random(&seed) % len] = model_random(&seed);
		ckpt_hash_of(copy, len, &hash);
		memcpy(copy + len, hash.b, CKPT_HASH_LEN);
		if (ckpt_manifest_decode(copy, len + CKPT_HASH_LEN, &back, &err))
			refused++;
		else
			accepted++;
	}
	assert_true(accepted > 1000 && refused > 1000);
}

static void example_objects(struct ckpt_object *o)
{
	memset(o, 0, 2 * sizeof(*o));
	o[0] = (struct ckpt_object){ .offset = 64, .stored_len = 1000, .raw_len = 65536,
		.crc = 0xdeadbeef, .type = CKPT_OBJECT_BLOCK, .codec = CKPT_CODEC_ZSTD };
	o[1] = (struct ckpt_object){ .offset = 64 + 56 + 1000, .stored_len = 80, .raw_len = 80,
		.crc = 0x12345678, .type = CKPT_OBJECT_NODE };
	memset(o[0].hash.b, 0x11, CKPT_HASH_LEN);
	memset(o[1].hash.b, 0x22, CKPT_HASH_LEN);
}

static void a_changed_index_is_survived(void **state)
{
	struct ckpt_object o[2], *back;
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t head[CKPT_PACK_HEAD_LEN];
	const uint64_t at = 64 + 2 * 56 + 1080;
	uint64_t seed = 31;
	unsigned int accepted = 0, refused = 0;
	size_t n;

	(void)state;
	example_objects(o);
	ckpt_pack_head_encode(uuid, &(struct ckpt_flags){ 0 }, head);
	must(ckpt_index_encode(head, o, 2, at, &b, &err));
	for (int round = 0; round < 30000; round++) {
		uint8_t copy[2 * CKPT_INDEX_ENTRY_LEN + CKPT_PACK_TAIL_LEN];
		cleanup_buf struct ckpt_buf all = CKPT_BUF_INIT;
		struct ckpt_hash hash;

		memcpy(copy, b.data, sizeof(copy));
		copy[model_random(&seed) % (sizeof(copy) - CKPT_HASH_LEN)] ^= 1 << round % 8;
		ckpt_buf_put(&all, head, sizeof(head));
		ckpt_buf_put(&all, copy, sizeof(copy) - CKPT_HASH_LEN);
		ckpt_hash_of(all.data, all.len, &hash);
		memcpy(copy + sizeof(copy) - CKPT_HASH_LEN, hash.b, CKPT_HASH_LEN);
		back = NULL;
		if (ckpt_index_decode(head, copy, sizeof(copy), at + sizeof(copy), &back, &n,
				      &err)) {
			refused++;
			continue;
		}
		for (size_t i = 0; i < n; i++)
			assert_true(back[i].raw_len <= CKPT_BLOCK_LEN_MAX &&
				    back[i].stored_len <= back[i].raw_len &&
				    back[i].offset + 56 + back[i].stored_len <= at);
		free(back);
		accepted++;
	}
	assert_true(accepted > 1000 && refused > 1000);
}

static void random_bytes_are_survived(void **state)
{
	static struct ckpt_node node;
	uint64_t seed = 37;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		cleanup_manifest struct ckpt_manifest m = { 0 };
		size_t len = model_random(&seed) % 300, n;
		cleanup_free uint8_t *data = malloc(len + 1);
		uint8_t head[CKPT_PACK_HEAD_LEN] = { 0 }, id[CKPT_UUID_LEN];
		struct ckpt_object *objects = NULL, o;
		struct ckpt_flags flags;
		struct ckpt_format f;
		uint64_t at;

		for (size_t i = 0; i < len; i++)
			data[i] = model_random(&seed);
		assert_int_equal(ckpt_pack_head_decode(data, len, id, &flags, NULL), -1);
		assert_int_equal(ckpt_object_decode(data, len, &o, NULL), -1);
		assert_int_equal(ckpt_tail_decode(data, len, len, &at, &n, NULL), -1);
		assert_int_equal(ckpt_index_decode(head, data, len, len, &objects, &n, NULL), -1);
		assert_int_equal(ckpt_node_decode(data, len, &node, NULL), -1);
		assert_int_equal(ckpt_manifest_decode(data, len, &m, NULL), -1);
		assert_int_equal(ckpt_format_decode(data, len, &f, NULL), -1);
	}
}

/* The document holds these lines, character by character. */
static void is_documented(const char *what, const void *data, size_t len)
{
	cleanup_fclose FILE *f = fopen("docs/image-format.md", "r");
	static char doc[100000];
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	const uint8_t *p = data;
	char piece[16];

	if (!f)
		fail_msg("run me from the top folder: docs/image-format.md is not here");
	doc[fread(doc, 1, sizeof(doc) - 1, f)] = 0;
	for (size_t i = 0; i < len; i++) {
		if (i % 16 == 0)
			ckpt_buf_put(&text, piece, snprintf(piece, sizeof(piece), "%04zx ", i));
		ckpt_buf_put(&text, piece, snprintf(piece, sizeof(piece), " %02x", p[i]));
		if (i % 16 == 15 || i == len - 1)
			ckpt_buf_put(&text, "\n", 1);
	}
	ckpt_buf_put(&text, "", 1);
	if (!strstr(doc, (char *)text.data)) {
		/* All of it: cmocka cuts its messages. */
		fputs((char *)text.data, stderr);
		fail_msg("docs/image-format.md does not show %s as it is", what);
	}
}

static void the_examples_of_the_document_are_true(void **state)
{
	cleanup_buf struct ckpt_buf manifest = CKPT_BUF_INIT, leaf = CKPT_BUF_INIT;
	cleanup_buf struct ckpt_buf inner = CKPT_BUF_INIT, index = CKPT_BUF_INIT;
	struct ckpt_inner in = { .level = 9, .digits = 0x0003 };
	cleanup_manifest struct ckpt_manifest m = { 0 };
	uint8_t head[CKPT_PACK_HEAD_LEN], object[CKPT_OBJECT_HEAD_LEN];
	struct ckpt_err err = CKPT_ERR_INIT;
	static struct ckpt_leaf l;
	struct ckpt_object o[2];

	(void)state;
	memset(l.block[0].b, 0x11, CKPT_HASH_LEN);
	l.number = ckpt_key(12, 512) >> CKPT_LEAF_BITS;
	l.blocks = 1;
	l.entry[3] = (struct ckpt_entry){ CKPT_PAGE_IS_DATA, 5, 0 };
	l.entry[4] = (struct ckpt_entry){ CKPT_PAGE_IS_DATA, 6, 0 };
	l.entry[5].kind = CKPT_PAGE_IS_ZERO;
	must(ckpt_leaf_encode(&l, &leaf, &err));
	is_documented("a leaf", leaf.data, leaf.len);
	memset(in.child[0].b, 0x33, CKPT_HASH_LEN);
	memset(in.child[1].b, 0x44, CKPT_HASH_LEN);
	must(ckpt_inner_encode(&in, &inner, &err));
	is_documented("an inner node", inner.data, inner.len);
	example_objects(o);
	ckpt_pack_head_encode(uuid, &(struct ckpt_flags){ 0 }, head);
	is_documented("a pack header", head, sizeof(head));
	ckpt_object_encode(&o[0], object);
	is_documented("an object header", object, sizeof(object));
	must(ckpt_index_encode(head, o, 2, 64 + 2 * 56 + 1080, &index, &err));
	is_documented("an index", index.data, index.len);
	example_manifest(&m);
	must(ckpt_manifest_encode(&m, &manifest, &err));
	is_documented("a manifest", manifest.data, manifest.len);
}

static void crc32c_is_the_known_one(void **state)
{
	(void)state;
	assert_int_equal(ckpt_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(ckpt_crc32c(ckpt_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_has_one_encoding),
		cmocka_unit_test(a_changed_node_is_refused_or_the_only_one),
		cmocka_unit_test(a_changed_manifest_is_survived),
		cmocka_unit_test(a_changed_index_is_survived),
		cmocka_unit_test(random_bytes_are_survived),
		cmocka_unit_test(the_examples_of_the_document_are_true),
		cmocka_unit_test(crc32c_is_the_known_one),
	};

	return cmocka_run_group_tests_name("store_format", tests, NULL, NULL);
}
