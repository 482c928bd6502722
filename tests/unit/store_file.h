/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of a store as bytes, for tests that damage them. */
#ifndef CKPT_TESTS_STORE_FILE_H
#define CKPT_TESTS_STORE_FILE_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "store_model.h"

/* A file of the store, as bytes. */
struct file {
	char path[400];
	uint8_t *data;
	size_t len;
};

static inline void load(struct file *f)
{
	struct stat st;
	int fd = open(f->path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	f->len = st.st_size;
	f->data = malloc(f->len + 1);
	assert_int_equal(read(fd, f->data, f->len), f->len);
	close(fd);
}

static inline void save(const struct file *f, size_t len)
{
	int fd = open(f->path, O_WRONLY | O_TRUNC);

	assert_int_equal(write(fd, f->data, len), len);
	close(fd);
}

static inline void find_pack(const char *store, struct file *ret)
{
	char dir[300];
	const struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/packs", store);
	d = opendir(dir);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			snprintf(ret->path, sizeof(ret->path), "%s/%.60s", dir, e->d_name);
	closedir(d);
	load(ret);
}

/* One byte in the middle of each stored object of a type; 0: of all. Return: how many. */
static inline size_t flip_objects(struct file *f, uint8_t type)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	cleanup_free struct ckpt_object *o = NULL;
	size_t n, flipped = 0;
	uint64_t at;

	must(ckpt_tail_decode(f->data + f->len - CKPT_PACK_TAIL_LEN, CKPT_PACK_TAIL_LEN, f->len,
			      &at, &n, &err));
	must(ckpt_index_decode(f->data, f->data + at, f->len - at, f->len, &o, &n, &err));
	for (size_t i = 0; i < n; i++) {
		if (type && o[i].type != type)
			continue;
		f->data[o[i].offset + CKPT_OBJECT_HEAD_LEN + o[i].stored_len / 2] ^= 1;
		flipped++;
	}
	save(f, f->len);
	return flipped;
}

/* Two spaces with text-like, random and zero pages: every kind of object, few bytes. */
static inline struct model small_model(void)
{
	struct model m = { .spaces = 2 };

	m.page[0][0] = 3;
	m.page[0][1] = 5;
	m.page[0][2] = 1;
	m.page[1][700] = 2;
	return m;
}

/* All of @m is put into a full checkpoint of a group. */
static inline struct ckpt_writer *put_full(struct ckpt_store *store, const char *name,
					   const struct model *m)
{
	struct ckpt_writer *w = model_begin(store, name, 0);
	struct ckpt_sink sink = ckpt_writer_sink(w);
	struct ckpt_err err = CKPT_ERR_INIT;
	uint32_t space;

	for (uint32_t i = 0; i < m->spaces; i++)
		must(sink.space_new(sink.self, &space, &err));
	model_put_all(m, &sink);
	return w;
}

/* A store with one checkpoint of it. */
static inline void small_store(char *path, size_t size)
{
	struct ckpt_store *store = model_open(model_path(path, size));
	struct model m = small_model();
	struct ckpt_writer *w = put_full(store, "agent", &m);
	struct ckpt_err err = CKPT_ERR_INIT;

	must(ckpt_manifest_set_blob(ckpt_writer_manifest(w), "tasks", 1, 8192, &err));
	assert_int_equal(model_commit(w), 1);
	ckpt_store_close(store);
}

/* Open and verify from nothing. Return: as ckpt_verify. */
static inline int verify(const char *path, char *ret_what, size_t size)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_store *store = ckpt_store_open(path, CKPT_STORE_READ, &err);
	cleanup_report struct ckpt_report report = { 0 };
	int rc = store ? ckpt_verify(store, "agent", 0, &report, NULL, &err) : -1;

	if (rc == 0)
		assert_true(report.faults && report.ndamage);
	else if (rc < 0)
		assert_true(err.status != CKPT_OK && *err.text);
	if (ret_what)
		snprintf(ret_what, size, "%s", rc ? err.text : report.damage[0]);
	ckpt_store_close(store);
	return rc;
}

#endif
