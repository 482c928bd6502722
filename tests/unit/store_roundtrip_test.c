// SPDX-License-Identifier: GPL-2.0-or-later
/* What is put into checkpoints comes out of each of them, whatever came before or went since. */
#include <stdatomic.h>

#include "base/threads.h"
#include "store_model.h"

static uint64_t checkpoint(struct ckpt_store *store, struct model *m, uint64_t parent,
			   uint64_t *seed)
{
	struct ckpt_writer *w = model_begin(store, "agent", parent);
	const struct ckpt_sink sink = ckpt_writer_sink(w);

	if (parent) {
		model_step(m, &sink, seed);
	} else {
		while (m->spaces < 3)
			model_add_space(m, &sink, seed);
	}
	return model_commit(w);
}

/* One full and 20 incremental checkpoints, all pages of all of them compared at the end. */
static void history(uint64_t seed, bool lose_cache, bool reopen)
{
	static struct model m[22];
	char path[200], cache[300];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));

	snprintf(cache, sizeof(cache), "%s/groups/agent/fingerprints", path);
	memset(m, 0, sizeof(m));
	for (uint64_t id = 1; id <= 21; id++) {
		m[id] = m[id - 1];
		if (lose_cache && seed % 3 == 0)
			unlink(cache);
		assert_int_equal(checkpoint(store, &m[id], id - 1, &seed), id);
		if (reopen) {
			ckpt_store_close(store);
			store = model_open(path);
		}
	}
	for (uint64_t id = 1; id <= 21; id++)
		model_compare_stored(&m[id], store, "agent", id);
	ckpt_store_close(store);
	model_remove(path);
}

static void every_page_of_every_checkpoint_comes_back(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		history(seed * 77777, false, seed % 2);
}

static void without_the_fingerprints_too(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		history(seed * 99991, true, seed % 2);
}

static void what_equals_the_parent_is_not_stored(void **state)
{
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	struct ckpt_err err = CKPT_ERR_INIT;
	struct model m = { 0 };
	uint64_t seed = 4711;
	struct ckpt_reader *first, *second;
	struct ckpt_writer *w;
	struct ckpt_sink sink;

	(void)state;
	checkpoint(store, &m, 0, &seed);
	w = model_begin(store, "agent", 1);
	sink = ckpt_writer_sink(w);
	model_put_all(&m, &sink);
	/* There and back again is no change. */
	m.page[0][7]++;
	model_put_page(&m, &sink, 0, 7);
	m.page[0][7]--;
	model_put_page(&m, &sink, 0, 7);
	must(sink.drop(sink.self, 1, m.first[0] + 8, 1, &err));
	model_put_page(&m, &sink, 0, 8);
	assert_int_equal(model_commit(w), 2);
	first = ckpt_reader_open(store, "agent", 1, &err);
	second = ckpt_reader_open(store, "agent", 2, &err);
	assert_int_equal(ckpt_reader_manifest(second)->counts.pages, 0);
	assert_int_equal(ckpt_reader_manifest(second)->counts.stored_bytes, 0);
	assert_false(ckpt_reader_manifest(second)->has_pack);
	assert_memory_equal(&ckpt_reader_manifest(first)->root,
			    &ckpt_reader_manifest(second)->root, CKPT_HASH_LEN);
	ckpt_reader_close(first);
	ckpt_reader_close(second);
	model_compare_stored(&m, store, "agent", 2);
	ckpt_store_close(store);
	model_remove(path);
}

/* A second full checkpoint of the same pages finds all its blocks, in any order of writing. */
static void the_map_does_not_depend_on_the_order(void **state)
{
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	struct ckpt_err err = CKPT_ERR_INIT;
	struct model m = { 0 };
	uint64_t seed = 31337;
	struct ckpt_hash root;
	struct ckpt_reader *r;
	struct ckpt_writer *w;
	struct ckpt_sink sink;
	uint32_t space;

	(void)state;
	checkpoint(store, &m, 0, &seed);
	r = ckpt_reader_open(store, "agent", 0, &err);
	root = ckpt_reader_manifest(r)->root;
	ckpt_reader_close(r);
	w = model_begin(store, "other", 0);
	sink = ckpt_writer_sink(w);
	for (uint32_t s = 0; s < m.spaces; s++)
		must(sink.space_new(sink.self, &space, &err));
	for (uint32_t s = m.spaces; s-- > 0;)
		for (uint32_t p = MODEL_PAGES; p-- > 0;)
			if (m.page[s][p])
				model_put_page(&m, &sink, s, p);
	assert_int_equal(model_commit(w), 1);
	r = ckpt_reader_open(store, "other", 0, &err);
	assert_memory_equal(&root, &ckpt_reader_manifest(r)->root, CKPT_HASH_LEN);
	assert_int_equal(ckpt_reader_manifest(r)->counts.stored_bytes, 0);
	assert_true(ckpt_reader_manifest(r)->counts.pages > 100);
	ckpt_reader_close(r);
	ckpt_store_close(store);
	model_remove(path);
}

/* 80 MiB: more than is staged at once. Pages that are put again replace what was packed. */
static void more_than_the_staging_memory(void **state)
{
	const uint32_t pages = 20000;
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t data[CKPT_PAGE_LEN], want[CKPT_PAGE_LEN];
	struct ckpt_writer *w = model_begin(store, "big", 0);
	struct ckpt_sink sink = ckpt_writer_sink(w);
	enum ckpt_page_kind kind;
	struct ckpt_source source;
	struct ckpt_reader *r;
	uint32_t space;

	(void)state;
	must(sink.space_new(sink.self, &space, &err));
	for (uint32_t p = 0; p < pages; p++) {
		model_fill(2 * p + 3, data);
		must(sink.put(sink.self, space, p, data, 1, &err));
	}
	for (uint32_t p = 0; p < pages; p += 97) {
		model_fill(5 * p + 4, data);
		must(sink.put(sink.self, space, p, data, 1, &err));
	}
	model_commit(w);
	r = ckpt_reader_open(store, "big", 0, &err);
	source = ckpt_reader_source(r);
	assert_int_equal(ckpt_reader_manifest(r)->counts.pages, pages);
	for (uint32_t p = 0; p < pages; p++) {
		model_fill(p % 97 ? 2 * p + 3 : 5 * p + 4, want);
		must(source.get(source.self, space, p, data, &kind, &err));
		assert_memory_equal(data, want, sizeof(want));
	}
	ckpt_reader_close(r);
	ckpt_store_close(store);
	model_remove(path);
}

/* One reader, read by several threads: @next is the page whose turn it is. */
struct crowd {
	struct ckpt_source source;
	atomic_uint next, right, failed;
};

#define CROWD_PAGES 6000

static void *read_some(void *arg)
{
	struct crowd *c = arg;
	uint8_t data[CKPT_PAGE_LEN], want[CKPT_PAGE_LEN];
	struct ckpt_err err = CKPT_ERR_INIT;
	enum ckpt_page_kind kind;
	struct ckpt_source fork;
	uint32_t p;

	if (c->source.fork(c->source.self, &fork, &err)) {
		atomic_fetch_add(&c->failed, 1);
		return NULL;
	}
	while ((p = atomic_fetch_add(&c->next, 1)) < CROWD_PAGES) {
		model_fill(p + 3, want);
		if (fork.get(fork.self, 1, p, data, &kind, &err))
			atomic_fetch_add(&c->failed, 1);
		else if (!memcmp(data, want, sizeof(want)) && kind == CKPT_PAGE_IS_DATA)
			atomic_fetch_add(&c->right, 1);
	}
	fork.close(fork.self);
	return NULL;
}

static void several_threads_read(void **state)
{
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_writer *w = model_begin(store, "crowd", 0);
	struct ckpt_sink sink = ckpt_writer_sink(w);
	uint8_t data[CKPT_PAGE_LEN];
	struct crowd crowd = { 0 };
	struct ckpt_reader *r;
	uint32_t space;

	(void)state;
	must(sink.space_new(sink.self, &space, &err));
	assert_int_equal(space, 1);
	for (uint32_t p = 0; p < CROWD_PAGES; p++) {
		model_fill(p + 3, data);
		must(sink.put(sink.self, space, p, data, 1, &err));
	}
	model_commit(w);
	r = ckpt_reader_open(store, "crowd", 0, &err);
	crowd.source = ckpt_reader_source(r);
	ckpt_threads_run(CKPT_THREADS_MAX, read_some, &crowd);
	assert_int_equal(crowd.failed, 0);
	assert_int_equal(crowd.right, CROWD_PAGES);
	ckpt_reader_close(r);
	ckpt_store_close(store);
	model_remove(path);
}

static void blobs_notes_and_figures_come_back(void **state)
{
	char path[200], text[] = "the quick brown fox";
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_writer *w = model_begin(store, "agent", 0);
	struct ckpt_sink sink = ckpt_writer_sink(w);
	struct ckpt_manifest *m = ckpt_writer_manifest(w);
	cleanup_buf struct ckpt_buf back = CKPT_BUF_INIT;
	cleanup_log struct ckpt_log log = { 0 };
	const struct ckpt_manifest *got;
	struct ckpt_newest newest;
	uint8_t uuid[CKPT_UUID_LEN];
	struct ckpt_reader *r;
	uint32_t space;

	(void)state;
	must(sink.space_new(sink.self, &space, &err));
	must(ckpt_blob_put(&sink, space, text, sizeof(text), &err));
	must(ckpt_manifest_set_blob(m, "tasks", space, sizeof(text), &err));
	must(ckpt_manifest_set_note(m, "stop", "yes", 3, &err));
	strcpy(m->tracker, "kmod");
	m->why = strdup("a test");
	m->lineage = (struct ckpt_lineage){ "some boot", 1, 2, 3 };
	m->counts.freeze_ns = 12345;
	memcpy(uuid, m->uuid, sizeof(uuid));
	model_commit(w);
	r = ckpt_reader_open(store, "agent", 0, &err);
	got = ckpt_reader_manifest(r);
	must(ckpt_reader_blob(r, "tasks", &back, &err));
	assert_int_equal(back.len, sizeof(text));
	assert_memory_equal(back.data, text, sizeof(text));
	assert_int_equal(ckpt_reader_blob(r, "nothing", &back, &err), -1);
	assert_memory_equal(ckpt_manifest_note(got, "stop")->value, "yes", 3);
	assert_string_equal(got->tracker, "kmod");
	assert_string_equal(got->why, "a test");
	assert_int_equal(got->counts.freeze_ns, 12345);
	assert_true(got->counts.total_ns && got->counts.stored_bytes && got->time_ns);
	assert_memory_equal(got->uuid, uuid, sizeof(uuid));
	ckpt_reader_close(r);
	assert_int_equal(ckpt_log_newest(store, "agent", &newest, &err), 1);
	assert_memory_equal(newest.uuid, uuid, sizeof(uuid));
	assert_int_equal(newest.lineage.epoch, 3);
	assert_string_equal(newest.lineage.boot_id, "some boot");
	assert_int_equal(ckpt_log_newest(store, "nobody", &newest, &err), 0);
	must(ckpt_log_read(store, "agent", &log, &err));
	assert_int_equal(log.n, 1);
	assert_string_equal(log.entry[0].manifest.why, "a test");
	ckpt_store_close(store);
	model_remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_page_of_every_checkpoint_comes_back),
		cmocka_unit_test(without_the_fingerprints_too),
		cmocka_unit_test(what_equals_the_parent_is_not_stored),
		cmocka_unit_test(the_map_does_not_depend_on_the_order),
		cmocka_unit_test(more_than_the_staging_memory),
		cmocka_unit_test(several_threads_read),
		cmocka_unit_test(blobs_notes_and_figures_come_back),
	};

	return cmocka_run_group_tests_name("store_roundtrip", tests, NULL, NULL);
}
