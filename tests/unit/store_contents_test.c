// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages that have the same content are stored once, as those of processes that one has forked. */
#include "store_file.h"

#define STEPS 60
#define CONTENTS 3000
#define BUSY 64		/* pages of a group, which are written more often than all others */

/* Space 0 has all its pages; with @forked, space 1 has the same but for each 16th. */
static void fork_space(struct model *m, bool forked)
{
	m->spaces = forked ? 2 : 1;
	for (uint32_t p = 0; p < MODEL_PAGES; p++) {
		m->page[0][p] = 1000 + p;
		if (forked)
			m->page[1][p] = p % 16 ? 1000 + p : 500000 + p;
	}
}

static void put_spaces(const struct model *m, uint32_t from, const struct ckpt_sink *sink)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint32_t space;

	for (uint32_t s = from; s < m->spaces; s++) {
		must(sink->space_new(sink->self, &space, &err));
		for (uint32_t p = 0; p < MODEL_PAGES; p++)
			if (m->page[s][p])
				model_put_page(m, sink, s, p);
	}
}

static uint64_t raw_bytes(struct ckpt_store *store, const char *name, uint64_t id)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_reader *r = ckpt_reader_open(store, name, id, &err);
	uint64_t ret;

	assert_non_null(r);
	ret = ckpt_reader_manifest(r)->counts.raw_bytes;
	ckpt_reader_close(r);
	return ret;
}

/* Pages of two spaces in one checkpoint. */
static void what_is_shared_is_stored_once(void **state)
{
	static struct model alone, both;
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	uint64_t own = MODEL_PAGES / 16 * (uint64_t)CKPT_PAGE_LEN, one, two;

	(void)state;
	fork_space(&alone, false);
	fork_space(&both, true);
	model_commit(put_full(store, "alone", &alone));
	/* of which nothing is in the store yet */
	for (uint32_t p = 0; p < MODEL_PAGES; p++) {
		both.page[0][p] += 20000;
		both.page[1][p] += 20000;
	}
	model_commit(put_full(store, "agent", &both));
	one = raw_bytes(store, "alone", 1);
	two = raw_bytes(store, "agent", 1);
	assert_true(one > MODEL_PAGES * (uint64_t)CKPT_PAGE_LEN);
	/* and nodes of the map, which name two blocks for each of these pages */
	assert_in_range(two, one + own, one + own + own / 2);
	model_compare_stored(&both, store, "agent", 1);
	ckpt_store_close(store);
	model_remove(path);
}

/* A space that comes later, of pages that the parent has in another one. */
static void what_the_parent_has_is_not_stored_again(void **state)
{
	static struct model m;
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	uint64_t own = MODEL_PAGES / 16 * (uint64_t)CKPT_PAGE_LEN;
	struct ckpt_writer *w;
	struct ckpt_sink sink;

	(void)state;
	fork_space(&m, false);
	model_commit(put_full(store, "agent", &m));
	fork_space(&m, true);
	w = model_begin(store, "agent", 1);
	sink = ckpt_writer_sink(w);
	put_spaces(&m, 1, &sink);
	assert_int_equal(model_commit(w), 2);
	assert_in_range(raw_bytes(store, "agent", 2), own, own + own / 2);
	model_compare_stored(&m, store, "agent", 2);
	ckpt_store_close(store);
	model_remove(path);
}

/* Contents come, go and come back, on this page and that one, over several takes of the memory. */
static void step(struct model *m, const struct ckpt_sink *sink, uint64_t *seed)
{
	uint32_t touched = model_random(seed) % 3000;
	struct ckpt_err err = CKPT_ERR_INIT;

	for (uint32_t i = 0; i < touched; i++) {
		uint32_t s = model_random(seed) % m->spaces;
		uint32_t p = model_random(seed) % (model_random(seed) % 3 ? BUSY : MODEL_PAGES);

		m->page[s][p] = model_random(seed) % CONTENTS;
		model_put_page(m, sink, s, p);
	}
	if (model_random(seed) % 4 == 0) {
		uint32_t s = model_random(seed) % m->spaces, p = model_random(seed) % MODEL_PAGES;
		uint32_t n = model_random(seed) % (MODEL_PAGES - p) + 1;

		memset(&m->page[s][p], 0, n * sizeof(m->page[s][p]));
		must(sink->drop(sink->self, s + 1, m->first[s] + p, n, &err));
	}
}

/*
 * The same pages are written again and again, and each time somebody has a copy of what they held:
 * all that belongs to one aligned group then, and is more than a block may have.
 */
static void copies_of_what_was(void **state)
{
	static struct model m;
	char path[200];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	struct ckpt_writer *w = model_begin(store, "agent", 0);
	const struct ckpt_sink sink = ckpt_writer_sink(w);
	uint32_t space;

	(void)state;
	m = (struct model){ .spaces = MODEL_SPACES };
	for (uint32_t s = 0; s < m.spaces; s++)
		must(sink.space_new(sink.self, &space, &err));
	for (uint32_t s = 1; s <= m.spaces; s++) {
		for (uint32_t p = 0; p < BUSY; p++) {
			m.page[0][p] = 10000 * s + p;
			model_put_page(&m, &sink, 0, p);
			if (s == m.spaces)
				continue;
			m.page[s][p + s] = m.page[0][p];
			model_put_page(&m, &sink, s, p + s);
		}
	}
	assert_int_equal(model_commit(w), 1);
	model_compare_stored(&m, store, "agent", 1);
	ckpt_store_close(store);
	model_remove(path);
}

/* Where each page would have another block unpacked, they are stored anew after a while. */
static void scattered_pages_are_not_looked_up(void **state)
{
	static struct model m;
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	uint64_t all = MODEL_PAGES * (uint64_t)CKPT_PAGE_LEN;
	struct ckpt_writer *w;
	struct ckpt_sink sink;

	(void)state;
	fork_space(&m, false);
	model_commit(put_full(store, "agent", &m));
	m.spaces = 2;
	/* each from another group than the one before */
	for (uint32_t p = 0; p < MODEL_PAGES; p++)
		m.page[1][p] = 1000 + (p * 97 + 5) % MODEL_PAGES;
	w = model_begin(store, "agent", 1);
	sink = ckpt_writer_sink(w);
	put_spaces(&m, 1, &sink);
	assert_int_equal(model_commit(w), 2);
	assert_in_range(raw_bytes(store, "agent", 2), 1, all + all / 4);
	model_compare_stored(&m, store, "agent", 2);
	ckpt_store_close(store);
	model_remove(path);
}

static void history(uint64_t seed, bool lose_cache)
{
	static struct model m[STEPS / 10 + 1];
	char path[200], cache[300];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));

	print_message("# seed %d\n", (int)seed);
	memset(m, 0, sizeof(m));
	snprintf(cache, sizeof(cache), "%s/groups/agent/fingerprints", path);
	for (uint64_t id = 1; id <= STEPS / 10; id++) {
		struct ckpt_writer *w = model_begin(store, "agent", id - 1);
		struct ckpt_sink sink = ckpt_writer_sink(w);

		m[id] = m[id - 1];
		if (m[id].spaces < MODEL_SPACES) {
			m[id].spaces++;
			put_spaces(&m[id], m[id].spaces - 1, &sink);
		}
		for (int i = 0; i < 10; i++)
			step(&m[id], &sink, &seed);
		assert_int_equal(model_commit(w), id);
		if (lose_cache)
			unlink(cache);
	}
	for (uint64_t id = 1; id <= STEPS / 10; id++)
		model_compare_stored(&m[id], store, "agent", id);
	ckpt_store_close(store);
	model_remove(path);
}

static void contents_come_and_go(void **state)
{
	const char *given = getenv("CKPT_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 41;

	(void)state;
	for (uint64_t i = 0; i < 4; i++)
		history(seed + i, i % 2);
}

/* What a page of the parent should hold, and does not any more, is stored anew. */
static void what_is_damaged_is_not_shared(void **state)
{
	static struct model m;
	char path[200];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	struct ckpt_writer *w;
	struct ckpt_sink sink;
	struct file f;

	(void)state;
	fork_space(&m, false);
	model_commit(put_full(store, "agent", &m));
	ckpt_store_close(store);
	find_pack(path, &f);
	assert_true(flip_objects(&f, CKPT_OBJECT_BLOCK) >= 4);
	store = model_open(path);
	fork_space(&m, true);
	w = model_begin(store, "agent", 1);
	sink = ckpt_writer_sink(w);
	put_spaces(&m, 1, &sink);
	/* the process that had it is gone */
	must(sink.drop(sink.self, 1, 0, MODEL_PAGES, &err));
	memset(m.page[0], 0, sizeof(m.page[0]));
	assert_int_equal(model_commit(w), 2);
	model_compare_stored(&m, store, "agent", 2);
	ckpt_store_close(store);
	free(f.data);
	model_remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_shared_is_stored_once),
		cmocka_unit_test(what_the_parent_has_is_not_stored_again),
		cmocka_unit_test(copies_of_what_was),
		cmocka_unit_test(scattered_pages_are_not_looked_up),
		cmocka_unit_test(contents_come_and_go),
		cmocka_unit_test(what_is_damaged_is_not_shared),
	};

	return cmocka_run_group_tests_name("store_contents", tests, NULL, NULL);
}
