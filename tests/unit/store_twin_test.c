// SPDX-License-Identifier: GPL-2.0-or-later
/* Content that is in the store already is shared when it is whole, and only then. */
#include "store_file.h"

/* Bit rot in an old pack must not be inherited by a checkpoint that has the content in hand. */
static void a_full_checkpoint_shares_nothing_damaged(void **state)
{
	char path[200], what[CKPT_ERR_LEN];
	cleanup_report struct ckpt_report report = { 0 };
	struct ckpt_store *store;
	struct model m = small_model();
	struct ckpt_writer *w;
	struct file f;

	(void)state;
	small_store(path, sizeof(path));
	find_pack(path, &f);
	assert_true(flip_objects(&f, 0) >= 4);
	assert_int_equal(verify(path, what, sizeof(what)), 0);
	store = model_open(path);
	w = put_full(store, "other", &m);
	assert_int_equal(model_commit(w), 1);
	model_compare_stored(&m, store, "other", 1);
	ckpt_store_close(store);
	/* Opened anew, whichever of the packs comes first; and the old one is whole again. */
	store = model_open(path);
	model_compare_stored(&m, store, "other", 1);
	ckpt_store_close(store);
	assert_int_equal(verify(path, NULL, 0), 1);
	free(f.data);
	model_remove(path);
}

/* Pages new to an incremental checkpoint, found by name in the pack of another group. */
static void an_incremental_checkpoint_shares_nothing_damaged(void **state)
{
	char path[200];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_store *store;
	struct model m = { .spaces = 1 };
	struct ckpt_writer *w;
	struct ckpt_sink sink;
	uint32_t space;
	struct file f;

	(void)state;
	small_store(path, sizeof(path));
	find_pack(path, &f);
	flip_objects(&f, 0);
	store = model_open(path);
	w = model_begin(store, "other", 0);
	sink = ckpt_writer_sink(w);
	must(sink.space_new(sink.self, &space, &err));
	m.page[0][900] = 77;
	model_put_all(&m, &sink);
	model_commit(w);
	w = model_begin(store, "other", 1);
	sink = ckpt_writer_sink(w);
	m.page[0][0] = 3;
	m.page[0][1] = 5;
	m.page[0][2] = 1;
	model_put_all(&m, &sink);
	assert_int_equal(model_commit(w), 2);
	model_compare_stored(&m, store, "other", 2);
	ckpt_store_close(store);
	free(f.data);
	model_remove(path);
}

/* What is whole is still stored once. */
static void what_is_whole_is_shared(void **state)
{
	char path[200];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_store *store;
	struct model m = small_model();
	struct ckpt_writer *w;
	struct ckpt_reader *r;

	(void)state;
	small_store(path, sizeof(path));
	store = model_open(path);
	w = put_full(store, "other", &m);
	model_commit(w);
	r = ckpt_reader_open(store, "other", 1, &err);
	assert_non_null(r);
	assert_false(ckpt_reader_manifest(r)->has_pack);
	ckpt_reader_close(r);
	model_compare_stored(&m, store, "other", 1);
	ckpt_store_close(store);
	model_remove(path);
}

/* A reader that is open meanwhile finds the good copy in a pack that came after it. */
static void an_open_reader_finds_the_newer_copy(void **state)
{
	char path[200];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_store *store, *open_before;
	struct model m = small_model();
	struct ckpt_writer *w;
	struct ckpt_reader *r;
	struct file f;

	(void)state;
	small_store(path, sizeof(path));
	open_before = model_open(path);
	r = ckpt_reader_open(open_before, "agent", 1, &err);
	assert_non_null(r);
	find_pack(path, &f);
	flip_objects(&f, 0);
	store = model_open(path);
	w = put_full(store, "other", &m);
	assert_int_equal(model_commit(w), 1);
	ckpt_store_close(store);
	model_compare(&m, ckpt_reader_source(r));
	ckpt_reader_close(r);
	ckpt_store_close(open_before);
	free(f.data);
	model_remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_checkpoint_shares_nothing_damaged),
		cmocka_unit_test(an_incremental_checkpoint_shares_nothing_damaged),
		cmocka_unit_test(what_is_whole_is_shared),
		cmocka_unit_test(an_open_reader_finds_the_newer_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
