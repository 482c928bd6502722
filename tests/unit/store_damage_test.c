// SPDX-License-Identifier: GPL-2.0-or-later
/* Any byte that is not as it was written is found, named, and never restored. */
#include <sys/resource.h>

#include "store/inside.h"
#include "store_file.h"

static void every_flip_and_cut(struct file *f, const char *path)
{
	assert_int_equal(verify(path, NULL, 0), 1);
	for (size_t i = 0; i < f->len; i++) {
		f->data[i] ^= 1 << i % 8;
		save(f, f->len);
		if (verify(path, NULL, 0) == 1)
			fail_msg("%s: flip at byte %zu was not seen", f->path, i);
		f->data[i] ^= 1 << i % 8;
	}
	for (size_t len = 0; len < f->len; len++) {
		save(f, len);
		if (verify(path, NULL, 0) == 1)
			fail_msg("%s: cut to %zu bytes was not seen", f->path, len);
	}
	f->data[f->len] = 0;
	save(f, f->len + 1);
	assert_int_not_equal(verify(path, NULL, 0), 1);
	save(f, f->len);
	assert_int_equal(verify(path, NULL, 0), 1);
	free(f->data);
}

static void each_byte_of_a_pack(void **state)
{
	struct file f;
	char path[200];

	(void)state;
	small_store(path, sizeof(path));
	find_pack(path, &f);
	assert_in_range(f.len, 4096, 12000);
	every_flip_and_cut(&f, path);
	model_remove(path);
}

static void each_byte_of_a_manifest_and_of_the_format(void **state)
{
	struct file f;
	char path[200];

	(void)state;
	small_store(path, sizeof(path));
	snprintf(f.path, sizeof(f.path), "%s/groups/agent/1.manifest", path);
	load(&f);
	every_flip_and_cut(&f, path);
	snprintf(f.path, sizeof(f.path), "%s/format", path);
	load(&f);
	every_flip_and_cut(&f, path);
	model_remove(path);
}

static void the_damage_is_named(void **state)
{
	char path[200], what[CKPT_ERR_LEN];
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t data[CKPT_PAGE_LEN];
	enum ckpt_page_kind kind;
	struct ckpt_source source;
	struct ckpt_store *store;
	struct ckpt_reader *r;
	struct file f;

	(void)state;
	small_store(path, sizeof(path));
	find_pack(path, &f);
	/* In the middle of the block that holds the random page. */
	f.data[3000] ^= 4;
	save(&f, f.len);
	assert_int_equal(verify(path, what, sizeof(what)), 0);
	assert_non_null(strstr(what, "space 1, from page 0 on: block "));
	assert_non_null(strstr(what, ".pack' at byte 64: its stored bytes fail their checksum"));
	store = model_open(path);
	r = ckpt_reader_open(store, "agent", 1, &err);
	source = ckpt_reader_source(r);
	assert_int_equal(source.get(source.self, 1, 1, data, &kind, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	assert_non_null(strstr(err.text, "page 1 of space 1 of 'agent@1': block "));
	/* What does not lie in the damaged block is there. */
	must(source.get(source.self, 1, 2, data, &kind, &err));
	assert_int_equal(kind, CKPT_PAGE_IS_ZERO);
	ckpt_reader_close(r);
	ckpt_store_close(store);
	free(f.data);
	model_remove(path);
}

/* A pack under the name of another, a manifest of another checkpoint: whole, but wrong. */
static void files_that_changed_places(void **state)
{
	char path[200], what[CKPT_ERR_LEN], to[300];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_store *store;
	struct file f, g;

	(void)state;
	small_store(path, sizeof(path));
	find_pack(path, &f);
	snprintf(to, sizeof(to), "%s/packs/00000000000000000000000000000000.pack", path);
	assert_int_equal(rename(f.path, to), 0);
	assert_int_equal(verify(path, what, sizeof(what)), 0);
	assert_non_null(strstr(what, "pack has the name of another"));
	assert_int_equal(rename(to, f.path), 0);
	store = model_open(path);
	assert_int_equal(model_commit(model_begin(store, "agent", 1)), 2);
	ckpt_store_close(store);
	snprintf(g.path, sizeof(g.path), "%s/groups/agent/1.manifest", path);
	load(&g);
	snprintf(g.path, sizeof(g.path), "%s/groups/agent/2.manifest", path);
	save(&g, g.len);
	assert_int_equal(verify(path, what, sizeof(what)), 0);
	assert_non_null(strstr(what, "'agent@2' has the manifest of 'agent@1'"));
	store = model_open(path);
	assert_null(ckpt_writer_begin(store, "agent", 2, &err));
	assert_int_equal(err.status, CKPT_DAMAGED);
	ckpt_store_close(store);
	free(f.data);
	free(g.data);
	model_remove(path);
}

/* What was found is remembered: the newest good one is the one before. */
static void a_damaged_checkpoint_is_passed_over(void **state)
{
	char path[200];
	struct ckpt_err err = CKPT_ERR_INIT;
	cleanup_report struct ckpt_report report = { 0 };
	cleanup_log struct ckpt_log log = { 0 };
	struct ckpt_newest newest;
	struct ckpt_store *store;
	struct model m = { 0 };
	struct ckpt_writer *w;
	struct ckpt_sink sink;
	uint64_t seed = 5, id = 0;
	char name[CKPT_UUID_TEXT];
	struct ckpt_reader *r;
	struct file f;

	(void)state;
	small_store(path, sizeof(path));
	store = model_open(path);
	assert_int_equal(ckpt_verify(store, "agent", 1, &report, NULL, &err), 1);
	ckpt_report_done(&report);
	m.spaces = 2;
	w = model_begin(store, "agent", 1);
	sink = ckpt_writer_sink(w);
	model_add_space(&m, &sink, &seed);
	assert_int_equal(model_commit(w), 2);
	assert_int_equal(ckpt_log_before(store, "agent", 0, &id, &err), 1);
	assert_int_equal(id, 2);
	ckpt_store_close(store);
	store = model_open(path);
	r = ckpt_reader_open(store, "agent", 2, &err);
	ckpt_hex(ckpt_reader_manifest(r)->uuid, CKPT_UUID_LEN, name);
	ckpt_reader_close(r);
	snprintf(f.path, sizeof(f.path), "%s/packs/%s.pack", path, name);
	load(&f);
	f.data[500] ^= 1;
	save(&f, f.len);
	assert_int_equal(ckpt_verify(store, "agent", 0, &report, NULL, &err), 0);
	assert_int_equal(ckpt_log_before(store, "agent", 2, &id, &err), 1);
	assert_int_equal(id, 1);
	assert_int_equal(ckpt_log_before(store, "agent", 1, &id, &err), 0);
	assert_int_equal(ckpt_log_newest(store, "agent", &newest, &err), 0);
	must(ckpt_log_read(store, "agent", &log, &err));
	assert_int_equal(log.entry[0].state.verdict, CKPT_VERDICT_GOOD);
	assert_int_equal(log.entry[1].state.verdict, CKPT_VERDICT_DAMAGED);
	ckpt_store_close(store);
	free(f.data);
	model_remove(path);
}

/* The root of the parent's map cannot be read: no incremental checkpoint, and the next is full. */
static void a_damaged_parent_is_not_built_on(void **state)
{
	char path[200];
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t data[CKPT_PAGE_LEN] = { 1 };
	struct ckpt_newest newest;
	struct ckpt_store *store;
	struct ckpt_writer *w;
	struct ckpt_sink sink;
	uint64_t id = 0;
	struct file f;

	(void)state;
	small_store(path, sizeof(path));
	find_pack(path, &f);
	/* One block, two leaves, and before the index the root. */
	f.data[f.len - CKPT_PACK_TAIL_LEN - 4 * CKPT_INDEX_ENTRY_LEN - 1] ^= 1;
	save(&f, f.len);
	store = model_open(path);
	assert_int_equal(ckpt_log_newest(store, "agent", &newest, &err), 1);
	w = model_begin(store, "agent", 1);
	sink = ckpt_writer_sink(w);
	must(sink.put(sink.self, 1, 9, data, 1, &err));
	assert_int_equal(ckpt_writer_commit(w, &id, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	assert_non_null(strstr(err.text, "cannot write a checkpoint of 'agent': map node "));
	ckpt_writer_free(w);
	assert_int_equal(ckpt_log_newest(store, "agent", &newest, &err), 0);
	assert_int_equal(model_commit(model_begin(store, "agent", 0)), 2);
	assert_int_equal(ckpt_log_newest(store, "agent", &newest, &err), 1);
	ckpt_store_close(store);
	free(f.data);
	model_remove(path);
}

/* The same without fingerprints: the damage is found when a page is looked up. */
static void a_damaged_parent_is_found_by_a_put(void **state)
{
	char path[200], name[300];
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t data[CKPT_PAGE_LEN] = { 1 };
	struct ckpt_newest newest;
	struct ckpt_store *store;
	struct ckpt_writer *w;
	struct ckpt_sink sink;
	struct file f;

	(void)state;
	small_store(path, sizeof(path));
	find_pack(path, &f);
	f.data[f.len - CKPT_PACK_TAIL_LEN - 4 * CKPT_INDEX_ENTRY_LEN - 1] ^= 1;
	save(&f, f.len);
	snprintf(name, sizeof(name), "%s/groups/agent/fingerprints", path);
	assert_int_equal(unlink(name), 0);
	store = model_open(path);
	w = model_begin(store, "agent", 1);
	sink = ckpt_writer_sink(w);
	assert_int_equal(sink.put(sink.self, 1, 9, data, 1, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	ckpt_writer_free(w);
	assert_int_equal(ckpt_log_newest(store, "agent", &newest, &err), 0);
	ckpt_store_close(store);
	free(f.data);
	model_remove(path);
}

/* Without a descriptor to open it a pack is not damaged: nothing older is restored for it. */
static void a_shortage_is_no_damage(void **state)
{
	cleanup_report struct ckpt_report report = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct rlimit was, few;
	struct ckpt_store *store;
	int next, seen = 0;
	char path[200];

	(void)state;
	small_store(path, sizeof(path));
	next = open("/dev/null", O_RDONLY);
	close(next);
	must(getrlimit(RLIMIT_NOFILE, &was));
	few = was;
	/* each step to the whole of it is the first that finds no room */
	for (few.rlim_cur = next; few.rlim_cur < (rlim_t)next + 12; few.rlim_cur++) {
		must(setrlimit(RLIMIT_NOFILE, &few));
		store = ckpt_store_open(path, CKPT_STORE_READ, &err);
		if (store && ckpt_verify(store, "agent", 0, &report, NULL, &err) != 1)
			seen++;
		must(setrlimit(RLIMIT_NOFILE, &was));
		assert_int_equal(report.ndamage, 0);
		if (err.status != CKPT_OK && err.status != CKPT_FAILED)
			fail_msg("%s", err.text);
		ckpt_store_close(store);
		ckpt_err_clear(&err);
	}
	assert_true(seen > 0);
	model_remove(path);
}

/* A flip anywhere in the cache of fingerprints or in the key costs time, not truth. */
static void fingerprints_are_never_believed_blindly(void **state)
{
	static const char *const names[] = { "fingerprints", "key" };
	char path[200];
	uint64_t seed = 99;
	struct file f;

	(void)state;
	for (size_t i = 0; i < 40; i++) {
		static struct model m;
		struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
		struct ckpt_writer *w = model_begin(store, "agent", 0);
		struct ckpt_sink sink = ckpt_writer_sink(w);

		memset(&m, 0, sizeof(m));
		model_add_space(&m, &sink, &seed);
		model_commit(w);
		snprintf(f.path, sizeof(f.path), "%s/groups/agent/%s", path, names[i % 2]);
		load(&f);
		f.data[i < 20 ? i % f.len : model_random(&seed) % f.len] ^= 1 << i % 8;
		save(&f, i % 10 == 9 ? f.len / 2 : f.len);
		free(f.data);
		w = model_begin(store, "agent", 1);
		sink = ckpt_writer_sink(w);
		model_step(&m, &sink, &seed);
		model_commit(w);
		model_compare_stored(&m, store, "agent", 2);
		ckpt_store_close(store);
		model_remove(path);
	}
}

static uint64_t grow(struct ckpt_store *store, struct model *m, uint64_t parent, uint64_t *seed)
{
	struct ckpt_writer *w = model_begin(store, "agent", parent);
	struct ckpt_sink sink = ckpt_writer_sink(w);

	model_add_space(m, &sink, seed);
	return model_commit(w);
}

static uint64_t newest(struct ckpt_store *store)
{
	struct ckpt_newest ret = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	int rc = ckpt_log_newest(store, "agent", &ret, &err);

	if (rc < 0)
		fail_msg("%s", err.text);
	return rc ? ret.id : 0;
}

/* What was built on a damaged one, and was never looked at, is no parent either. */
static void nothing_is_built_on_what_is_damaged(void **state)
{
	char path[200];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_report report = { 0 };
	struct ckpt_store *store;
	char name[CKPT_UUID_TEXT];
	struct model m = { 0 };
	struct ckpt_reader *r;
	uint64_t seed = 7;
	struct file f;

	(void)state;
	store = model_open(model_path(path, sizeof(path)));
	assert_int_equal(grow(store, &m, 0, &seed), 1);
	assert_int_equal(grow(store, &m, 1, &seed), 2);
	assert_int_equal(grow(store, &m, 2, &seed), 3);
	assert_int_equal(newest(store), 3);
	r = ckpt_reader_open(store, "agent", 1, &err);
	ckpt_hex(ckpt_reader_manifest(r)->uuid, CKPT_UUID_LEN, name);
	ckpt_reader_close(r);
	ckpt_store_close(store);
	snprintf(f.path, sizeof(f.path), "%s/packs/%s.pack", path, name);
	load(&f);
	f.data[500] ^= 1;
	save(&f, f.len);
	store = model_open(path);
	assert_int_equal(newest(store), 3);
	assert_int_equal(ckpt_verify(store, "agent", 1, &report, NULL, &err), 0);
	ckpt_report_done(&report);
	assert_int_equal(newest(store), 0);
	assert_int_equal(grow(store, &m, 0, &seed), 4);
	assert_int_equal(newest(store), 4);
	assert_int_equal(grow(store, &m, 4, &seed), 5);
	assert_int_equal(newest(store), 5);
	ckpt_store_close(store);
	free(f.data);
	model_remove(path);
}

/* Return: how many pages of it cannot be read; those that can are right. */
static unsigned int lost_pages(const struct model *m, struct ckpt_source source)
{
	uint8_t data[CKPT_PAGE_LEN], want[CKPT_PAGE_LEN];
	enum ckpt_page_kind kind;
	unsigned int lost = 0;

	for (uint32_t s = 0; s < m->spaces; s++) {
		for (uint32_t p = 0; p < MODEL_PAGES; p++) {
			struct ckpt_err err = CKPT_ERR_INIT;

			if (source.get(source.self, s + 1, p, data, &kind, &err)) {
				assert_int_equal(err.status, CKPT_DAMAGED);
				lost++;
				continue;
			}
			memset(want, 0, sizeof(want));
			if (m->page[s][p])
				model_fill(m->page[s][p], want);
			assert_memory_equal(data, want, sizeof(want));
		}
	}
	return lost;
}

/*
 * A verified checkpoint while each byte of its objects is changed in turn.
 * @keep: leave it what the verification kept in memory.
 * Return: how many bytes there are, and in @ret_found how many of them cost pages.
 */
static size_t change_verified(bool keep, size_t *ret_found)
{
	cleanup_report struct ckpt_report report = { 0 };
	const struct model m = small_model();
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_source source, fork;
	struct ckpt_verified *v = NULL;
	struct ckpt_store *store;
	size_t objects;
	struct file f;
	char path[200];

	small_store(path, sizeof(path));
	find_pack(path, &f);
	store = ckpt_store_open(path, CKPT_STORE_READ, &err);
	assert_int_equal(ckpt_verify(store, "agent", 0, &report, &v, &err), 1);
	if (!keep)
		ckpt_kept_done(&store->objects.kept);
	source = ckpt_verified_source(v);
	objects = f.len - CKPT_PACK_TAIL_LEN -
		  (report.nodes + report.blocks) * CKPT_INDEX_ENTRY_LEN;
	for (size_t i = CKPT_PACK_HEAD_LEN; i < objects; i++) {
		f.data[i] ^= 1 << i % 8;
		save(&f, f.len);
		must(source.fork(source.self, &fork, &err));
		*ret_found += !!lost_pages(&m, fork);
		fork.close(fork.self);
		f.data[i] ^= 1 << i % 8;
	}
	save(&f, f.len);
	must(source.fork(source.self, &fork, &err));
	assert_int_equal(lost_pages(&m, fork), 0);
	fork.close(fork.self);
	ckpt_verified_close(v);
	ckpt_store_close(store);
	free(f.data);
	model_remove(path);
	return objects - CKPT_PACK_HEAD_LEN;
}

/* What a byte of a pack becomes after the verification is never taken for what it was. */
static void damage_after_the_verification(void **state)
{
	size_t found = 0, objects = change_verified(false, &found);

	(void)state;
	/* of an object each byte counts */
	assert_int_equal(found, objects);
}

/* Of blocks that are kept it is no matter; nodes are read again. */
static void damage_beside_what_is_kept(void **state)
{
	size_t found = 0, objects = change_verified(true, &found);

	(void)state;
	assert_in_range(found, 1, objects / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_of_a_pack),
		cmocka_unit_test(each_byte_of_a_manifest_and_of_the_format),
		cmocka_unit_test(damage_after_the_verification),
		cmocka_unit_test(damage_beside_what_is_kept),
		cmocka_unit_test(the_damage_is_named),
		cmocka_unit_test(files_that_changed_places),
		cmocka_unit_test(a_damaged_checkpoint_is_passed_over),
		cmocka_unit_test(a_damaged_parent_is_not_built_on),
		cmocka_unit_test(nothing_is_built_on_what_is_damaged),
		cmocka_unit_test(a_damaged_parent_is_found_by_a_put),
		cmocka_unit_test(a_shortage_is_no_damage),
		cmocka_unit_test(fingerprints_are_never_believed_blindly),
	};

	return cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
}
