// SPDX-License-Identifier: GPL-2.0-or-later
/* Log: which checkpoints a store holds. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/log.h"

void ckpt_log_done(struct ckpt_log *log)
{
	for (size_t i = 0; i < log->n; i++) {
		ckpt_manifest_done(&log->entry[i].manifest);
		free(log->entry[i].damage);
	}
	free(log->entry);
	*log = (struct ckpt_log){ 0 };
}

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the log");
}

static int read_entry(const struct ckpt_group *g, struct ckpt_log_entry *e, struct ckpt_err *err)
{
	struct ckpt_err why = CKPT_ERR_INIT;
	struct ckpt_hash hash;

	if (!ckpt_group_manifest(g, e->id, &e->manifest, &hash, &why)) {
		ckpt_state_load(g, e->id, &hash, &e->state);
		return 0;
	}
	if (why.status == CKPT_FAILED) {
		if (err)
			*err = why;
		return -1;
	}
	memcpy(e->manifest.name, g->name, sizeof(g->name));
	e->manifest.id = e->id;
	/* one of a newer format is not damaged: it is only not for us */
	if (why.status == CKPT_DAMAGED)
		e->state.verdict = CKPT_VERDICT_DAMAGED;
	e->damage = strdup(why.text);
	return e->damage ? 0 : no_memory(err);
}

int ckpt_log_read(struct ckpt_store *store, const char *name, struct ckpt_log *ret,
		  struct ckpt_err *err)
{
	cleanup_group struct ckpt_group g = CKPT_GROUP_INIT;
	cleanup_log struct ckpt_log log = { 0 };
	cleanup_free uint64_t *ids = NULL;
	size_t n;

	if (ckpt_group_open(store, name, false, &g, err) || ckpt_group_ids(&g, &ids, &n, err))
		return -1;
	log.entry = calloc(n + 1, sizeof(*log.entry));
	if (!log.entry)
		return no_memory(err);
	for (; log.n < n; log.n++) {
		log.entry[log.n].id = ids[log.n];
		if (read_entry(&g, &log.entry[log.n], err))
			return -1;
	}
	*ret = log;
	log = (struct ckpt_log){ 0 };
	return 0;
}

void ckpt_names_done(struct ckpt_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct ckpt_names){ 0 };
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int ckpt_log_groups(struct ckpt_store *store, struct ckpt_names *ret, struct ckpt_err *err)
{
	int fd = openat(store->groups, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	cleanup_names struct ckpt_names names = { 0 };
	const struct dirent *e;

	if (!d) {
		ckpt_fail(err, CKPT_FAILED, errno,
			  "cannot read the groups of store '%s'", store->path);
		ckpt_cleanup_close(&fd);
		return -1;
	}
	while ((errno = 0, e = readdir(d))) {
		char **more;

		if (!ckpt_name_valid(e->d_name))
			continue;
		more = realloc(names.name, (names.n + 1) * sizeof(*more));
		if (!more)
			return no_memory(err);
		names.name = more;
		more[names.n] = strdup(e->d_name);
		if (!more[names.n])
			return no_memory(err);
		names.n++;
	}
	if (errno)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot read the groups of store '%s'", store->path);
	if (names.n)
		qsort(names.name, names.n, sizeof(*names.name), by_name);
	*ret = names;
	names = (struct ckpt_names){ 0 };
	return 0;
}

/* Return: 1 the checkpoint may be built on and restored, 0 it is damaged, -1 error. */
static int good(const struct ckpt_group *g, uint64_t id, struct ckpt_manifest *ret,
		struct ckpt_err *err)
{
	struct ckpt_log_entry e = { .id = id };
	int rc = read_entry(g, &e, err);

	if (!rc && !e.damage && e.state.verdict != CKPT_VERDICT_DAMAGED) {
		*ret = e.manifest;
		return 1;
	}
	ckpt_manifest_done(&e.manifest);
	free(e.damage);
	return rc;
}

int ckpt_log_before(struct ckpt_store *store, const char *name, uint64_t before,
		    uint64_t *ret_id, struct ckpt_err *err)
{
	cleanup_group struct ckpt_group g = CKPT_GROUP_INIT;
	cleanup_free uint64_t *ids = NULL;
	size_t n;

	if (ckpt_group_open(store, name, false, &g, err) || ckpt_group_ids(&g, &ids, &n, err))
		return -1;
	while (n-- > 0)
		if (!before || ids[n] < before) {
			*ret_id = ids[n];
			return 1;
		}
	return 0;
}

/* Is any of @ids marked as damaged?  Most have no state, and cost a look at its name. */
static int any_damaged(const struct ckpt_group *g, const uint64_t *ids, size_t n,
		       struct ckpt_err *err)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_manifest struct ckpt_manifest m = { 0 };
		int rc = ckpt_state_exists(g, ids[i]) ? good(g, ids[i], &m, err) : 1;

		if (rc != 1)
			return rc < 0 ? -1 : 1;
	}
	return 0;
}

static bool holds(const uint64_t *ids, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/*
 * Does a checkpoint share its content with one that is damaged?  It does with those it was
 * built on, back to the last that is full.  Return: 1, 0, -1 error.
 */
static int spoiled(const struct ckpt_group *g, const struct ckpt_manifest *newest,
		   const uint64_t *ids, size_t n, struct ckpt_err *err)
{
	uint64_t parent = newest->kind == CKPT_KIND_INCREMENTAL ? newest->parent : 0;
	int rc = any_damaged(g, ids, n, err);

	if (rc <= 0)
		return rc;
	while (parent) {
		cleanup_manifest struct ckpt_manifest m = { 0 };

		/* one that was removed can say nothing */
		rc = holds(ids, n, parent) ? good(g, parent, &m, err) : 0;
		if (rc != 1)
			return rc < 0 ? -1 : 1;
		parent = m.kind == CKPT_KIND_INCREMENTAL ? m.parent : 0;
	}
	return 0;
}

int ckpt_log_newest(struct ckpt_store *store, const char *name, struct ckpt_newest *ret,
		    struct ckpt_err *err)
{
	cleanup_group struct ckpt_group g = CKPT_GROUP_INIT;
	cleanup_manifest struct ckpt_manifest m = { 0 };
	cleanup_free uint64_t *ids = NULL;
	size_t n;
	int rc;

	if (!ckpt_name_valid(name))
		return ckpt_group_open(store, name, false, &g, err);
	if (faccessat(store->groups, name, F_OK, 0) && errno == ENOENT)
		return 0;
	if (ckpt_group_open(store, name, false, &g, err) || ckpt_group_ids(&g, &ids, &n, err))
		return -1;
	rc = n ? good(&g, ids[n - 1], &m, err) : 0;
	if (rc != 1)
		return rc;
	rc = spoiled(&g, &m, ids, n - 1, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	ret->id = m.id;
	ret->lineage = m.lineage;
	memcpy(ret->uuid, m.uuid, CKPT_UUID_LEN);
	return 1;
}

int ckpt_log_remove(struct ckpt_store *store, const char *name, uint64_t id,
		    struct ckpt_err *err)
{
	cleanup_group struct ckpt_group g = CKPT_GROUP_INIT;

	if (!store->writable)
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "store '%s' was opened to be read", store->path);
	if (ckpt_group_open(store, name, false, &g, err) || ckpt_group_lock(&g, err))
		return -1;
	return ckpt_group_remove(&g, id, err);
}
