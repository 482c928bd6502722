/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A group of spaces in memory, changed at random beside a store and compared with it. */
#ifndef CKPT_TESTS_STORE_MODEL_H
#define CKPT_TESTS_STORE_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/log.h"
#include "store/reader.h"
#include "store/verify.h"
#include "store/writer.h"

#define MODEL_SPACES 6
#define MODEL_PAGES 1500

/*
 * Content of a page is a number: 0 absent, 1 zeros, else the seed of its bytes.
 * Space s of the model has the number s + 1 in the store: 0 is none.
 */
struct model {
	uint32_t spaces;
	uint64_t first[MODEL_SPACES];	/* page number of the first page of the space */
	uint32_t page[MODEL_SPACES][MODEL_PAGES];
};

static inline uint64_t model_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	return *seed ^= *seed << 17;
}

/* Half text-like, half random, so that both codecs are used. */
static inline void model_fill(uint32_t content, uint8_t *ret)
{
	uint64_t seed = content * 0x9e3779b97f4a7c15ull | 1;

	for (size_t i = 0; i < CKPT_PAGE_LEN; i += 8) {
		uint64_t word = model_random(&seed);

		if (content % 2)
			word = 0x2020202020202020ull | (word & 3);
		if (content == 1)
			word = 0;
		memcpy(ret + i, &word, 8);
	}
	if (content > 1)
		memcpy(ret, &content, sizeof(content));
}

static inline int model_remove_file(const char *path, const struct stat *st, int type,
				    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void model_remove_tree(const char *path)
{
	nftw(path, model_remove_file, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path that does not exist, below a fresh directory in memory: each commit flushes five times. */
static inline char *model_path(char *ret, size_t size)
{
	snprintf(ret, size, "%s/ckpt-store-XXXXXX",
		 access("/dev/shm", W_OK) ? getenv("TMPDIR") ?: "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(ret));
	assert_true(strlen(ret) + 7 < size);
	return strcat(ret, "/store");
}

static inline void model_remove(char *path)
{
	*strrchr(path, '/') = 0;
	model_remove_tree(path);
}

#define must(call) do { \
	if ((call) < 0) \
		fail_msg("%s: %s", #call, err.text); \
} while (0)

static inline struct ckpt_store *model_open(const char *path)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_store *store = ckpt_store_open(path, CKPT_STORE_CREATE, &err);

	if (!store)
		fail_msg("%s", err.text);
	return store;
}

static inline struct ckpt_writer *model_begin(struct ckpt_store *store, const char *name,
					      uint64_t parent)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_writer *w = ckpt_writer_begin(store, name, parent, &err);

	if (!w)
		fail_msg("%s", err.text);
	return w;
}

static inline uint64_t model_commit(struct ckpt_writer *w)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint64_t id = 0;

	must(ckpt_writer_commit(w, &id, &err));
	ckpt_writer_free(w);
	return id;
}

static inline void model_put_page(const struct model *m, const struct ckpt_sink *sink, uint32_t s,
				  uint32_t p)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t data[CKPT_PAGE_LEN];

	if (!m->page[s][p]) {
		must(sink->drop(sink->self, s + 1, m->first[s] + p, 1, &err));
		return;
	}
	model_fill(m->page[s][p], data);
	must(sink->put(sink->self, s + 1, m->first[s] + p, data, 1, &err));
}

/* Every page, as a full checkpoint captures them. */
static inline void model_put_all(const struct model *m, const struct ckpt_sink *sink)
{
	for (uint32_t s = 0; s < m->spaces; s++)
		for (uint32_t p = 0; p < MODEL_PAGES; p++)
			if (m->page[s][p])
				model_put_page(m, sink, s, p);
}

static inline void model_add_space(struct model *m, const struct ckpt_sink *sink, uint64_t *seed)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint32_t space, n = model_random(seed) % MODEL_PAGES;

	must(sink->space_new(sink->self, &space, &err));
	assert_int_equal(space--, m->spaces + 1);
	m->first[space] = model_random(seed) % 3 ? model_random(seed) % 5000 :
			  CKPT_PAGE_MAX - MODEL_PAGES + 1 - model_random(seed) % 2;
	m->spaces++;
	for (uint32_t p = 0; p < n; p++)
		if (model_random(seed) % 4)
			m->page[space][p] = 1 + model_random(seed) % 100000;
	for (uint32_t p = 0; p < n; p++)
		if (m->page[space][p])
			model_put_page(m, sink, space, p);
}

/* Some pages change, some are put though they did not, some go, now and then a space comes. */
static inline void model_step(struct model *m, const struct ckpt_sink *sink, uint64_t *seed)
{
	uint32_t touched = model_random(seed) % 200;
	struct ckpt_err err = CKPT_ERR_INIT;

	if (m->spaces < MODEL_SPACES && model_random(seed) % 4 == 0)
		model_add_space(m, sink, seed);
	for (uint32_t i = 0; i < touched; i++) {
		uint32_t s = model_random(seed) % m->spaces, p = model_random(seed) % MODEL_PAGES;
		uint32_t what = model_random(seed) % 8;

		if (what < 5)
			m->page[s][p] = 2 + model_random(seed) % 100000;
		else if (what == 5)
			m->page[s][p] = 1;
		else if (what == 6)
			m->page[s][p] = 0;
		model_put_page(m, sink, s, p);
	}
	if (model_random(seed) % 3 == 0) {
		uint32_t s = model_random(seed) % m->spaces, p = model_random(seed) % MODEL_PAGES;
		uint32_t n = model_random(seed) % (MODEL_PAGES - p) + 1;

		memset(&m->page[s][p], 0, n * sizeof(m->page[s][p]));
		must(sink->drop(sink->self, s + 1, m->first[s] + p, n, &err));
	}
}

/* As many pages at once as there are; those of another kind or place come by themselves. */
static inline void model_compare_peek(const struct model *m, uint32_t s, struct ckpt_source source)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t want[CKPT_PAGE_LEN];
	const uint8_t *data;
	enum ckpt_page_kind kind;
	size_t count;

	for (uint32_t p = 0; p < MODEL_PAGES && m->first[s] + p <= CKPT_PAGE_MAX; p += count) {
		count = MODEL_PAGES - p;
		must(source.peek(source.self, s + 1, m->first[s] + p, &count, &data, &kind, &err));
		assert_in_range(count, 1, MODEL_PAGES - p);
		for (size_t i = 0; i < count; i++, data += CKPT_PAGE_LEN) {
			assert_int_equal(kind, m->page[s][p + i] == 1 ? CKPT_PAGE_IS_ZERO :
					 m->page[s][p + i] ? CKPT_PAGE_IS_DATA :
					 CKPT_PAGE_IS_ABSENT);
			memset(want, 0, sizeof(want));
			if (m->page[s][p + i])
				model_fill(m->page[s][p + i], want);
			assert_memory_equal(data, want, sizeof(want));
		}
	}
}

/* Every page by get and by peek, every run by next. */
static inline void model_compare(const struct model *m, struct ckpt_source source)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t data[CKPT_PAGE_LEN], want[CKPT_PAGE_LEN];
	enum ckpt_page_kind kind;

	for (uint32_t s = 0; s < m->spaces; s++) {
		uint64_t page = 0, count;
		uint32_t p = 0;

		while (source.next(source.self, s + 1, &page, &count, &kind, &err) == 1) {
			for (; m->first[s] + p < page; p++)
				assert_int_equal(m->page[s][p], 0);
			for (uint64_t i = 0; i < count; i++, p++)
				assert_int_equal(kind, m->page[s][p] == 1 ? CKPT_PAGE_IS_ZERO :
						 m->page[s][p] ? CKPT_PAGE_IS_DATA :
						 CKPT_PAGE_IS_ABSENT);
			page += count;
		}
		assert_string_equal(err.text, "");
		for (; p < MODEL_PAGES; p++)
			assert_int_equal(m->page[s][p], 0);
		for (p = 0; p < MODEL_PAGES && m->first[s] + p <= CKPT_PAGE_MAX; p++) {
			must(source.get(source.self, s + 1, m->first[s] + p, data, &kind, &err));
			memset(want, 0, sizeof(want));
			if (m->page[s][p])
				model_fill(m->page[s][p], want);
			assert_memory_equal(data, want, sizeof(want));
		}
		model_compare_peek(m, s, source);
	}
}

static inline void model_compare_stored(const struct model *m, struct ckpt_store *store,
					const char *name, uint64_t id)
{
	struct ckpt_verified *v = NULL;
	struct ckpt_source fork;
	cleanup_report struct ckpt_report report = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	int rc = ckpt_verify(store, name, id, &report, &v, &err);

	if (rc != 1)
		fail_msg("%s@%d: %s", name, (int)id, report.ndamage ? report.damage[0] : err.text);
	model_compare(m, ckpt_verified_source(v));
	must(ckpt_verified_source(v).fork(ckpt_verified_source(v).self, &fork, &err));
	model_compare(m, fork);
	fork.close(fork.self);
	ckpt_verified_close(v);
}

#endif
