// SPDX-License-Identifier: GPL-2.0-or-later
/* Writer: makes one checkpoint. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "store/changes.h"
#include "store/group.h"
#include "store/state.h"
#include "store/writer.h"

struct ckpt_writer {
	struct ckpt_store *store;
	struct ckpt_group group;
	struct ckpt_manifest manifest;
	struct ckpt_hash parent_root;
	struct ckpt_pack_out pack;
	struct ckpt_changes changes;
	bool failed;		/* a call failed: what is staged is not the cut any more */
	bool committed;
};

void ckpt_writer_free(struct ckpt_writer *w)
{
	if (!w)
		return;
	ckpt_pack_done(&w->pack);
	ckpt_changes_done(&w->changes);
	ckpt_manifest_done(&w->manifest);
	ckpt_group_done(&w->group);
	free(w);
}

static void free_writer(struct ckpt_writer **w)
{
	ckpt_writer_free(*w);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The newest checkpoint that can be read knows which space numbers were used. */
static int find_next_space(struct ckpt_writer *w, struct ckpt_err *err)
{
	cleanup_free uint64_t *ids = NULL;
	size_t n;

	if (ckpt_group_ids(&w->group, &ids, &n, err))
		return -1;
	while (n-- > 0) {
		cleanup_manifest struct ckpt_manifest m = { 0 };

		if (ckpt_group_manifest(&w->group, ids[n], &m, NULL, NULL))
			continue;
		if (m.next_space > w->manifest.next_space)
			w->manifest.next_space = m.next_space;
		return 0;
	}
	return 0;
}

static int take_parent(struct ckpt_writer *w, uint64_t id, struct ckpt_err *err)
{
	struct ckpt_fingerprint_set known = { 0 };
	cleanup_manifest struct ckpt_manifest m = { 0 };
	int rc = 0;

	if (ckpt_group_manifest(&w->group, id, &m, NULL, err))
		return ckpt_fail_at(err, "cannot build on it");
	if (m.flags.ro_compat & ~CKPT_RO_COMPAT_KNOWN)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "checkpoint '%s@%" PRIu64 "' may only be read by this ckpt-tool; "
				 "take a full one", m.name, id);
	w->manifest.parent = id;
	memcpy(w->manifest.parent_uuid, m.uuid, CKPT_UUID_LEN);
	w->manifest.kind = CKPT_KIND_INCREMENTAL;
	w->manifest.next_space = m.next_space;
	w->parent_root = m.root;
	w->changes.parent.root = m.has_root ? &w->parent_root : NULL;
	w->changes.parent_spaces = m.next_space;
	if (ckpt_fingerprints_load(w->changes.fingerprinter, &w->group, m.uuid, &known))
		rc = ckpt_changes_recall(&w->changes, &known, err);
	free(known.entry);
	return rc;
}

struct ckpt_writer *ckpt_writer_begin(struct ckpt_store *store, const char *name,
				      uint64_t parent, struct ckpt_err *err)
{
	struct ckpt_writer *made = calloc(1, sizeof(*made));
	__attribute__((cleanup(free_writer))) struct ckpt_writer *w = made;

	if (!w) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for a checkpoint of '%s'", name);
		return NULL;
	}
	w->store = store;
	w->group = (struct ckpt_group)CKPT_GROUP_INIT;
	w->pack.fd = -1;
	w->changes.level = 1;
	if (!store->writable) {
		ckpt_fail(err, CKPT_USAGE, 0, "store '%s' was opened to be read", store->path);
		return NULL;
	}
	if (ckpt_group_open(store, name, true, &w->group, err) ||
	    ckpt_group_lock(&w->group, err) || ckpt_objects_refresh(&store->objects, err))
		return NULL;
	w->manifest.next_space = 1;	/* 0 means none */
	memcpy(w->manifest.name, w->group.name, sizeof(w->manifest.name));
	if (getrandom(w->manifest.uuid, CKPT_UUID_LEN, 0) != CKPT_UUID_LEN) {
		ckpt_fail(err, CKPT_FAILED, errno, "cannot make a name for a checkpoint");
		return NULL;
	}
	ckpt_pack_init(&w->pack, &w->group, w->manifest.uuid);
	w->changes.pack = &w->pack;
	w->changes.parent.objects = &store->objects;
	w->changes.fingerprinter = ckpt_fingerprinter_new(&w->group, err);
	if (!w->changes.fingerprinter || (parent && take_parent(w, parent, err)) ||
	    find_next_space(w, err))
		return NULL;
	return take_ptr(w);
}

struct ckpt_manifest *ckpt_writer_manifest(struct ckpt_writer *w)
{
	return &w->manifest;
}

static int check_range(const struct ckpt_writer *w, uint32_t space, uint64_t page,
		       uint64_t count, struct ckpt_err *err)
{
	if (!space || space >= w->manifest.next_space || page > CKPT_PAGE_MAX ||
	    count > CKPT_PAGE_MAX - page + 1)
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "there are no %" PRIu64 " pages from %" PRIu64 " of space %" PRIu32
				 " in group '%s'", count, page, space, w->group.name);
	if (w->failed || w->committed)
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "the checkpoint of '%s' is over", w->group.name);
	return 0;
}

/* The next checkpoint must not build on what cannot be read. */
static void blame_parent(const struct ckpt_writer *w)
{
	const struct ckpt_state state = { CKPT_VERDICT_DAMAGED, now_ns(CLOCK_REALTIME) };
	cleanup_manifest struct ckpt_manifest m = { 0 };
	struct ckpt_hash hash;

	if (w->manifest.parent &&
	    !ckpt_group_manifest(&w->group, w->manifest.parent, &m, &hash, NULL))
		ckpt_state_save(&w->group, w->manifest.parent, &hash, &state, NULL);
}

/* A call failed: what is staged is not the cut any more. Return: -1. */
static int give_up(struct ckpt_writer *w, const struct ckpt_err *why, struct ckpt_err *err)
{
	w->failed = true;
	if (why->status == CKPT_DAMAGED)
		blame_parent(w);
	if (err)
		*err = *why;
	return -1;
}

static int put(void *self, uint32_t space, uint64_t page, const void *data, size_t count,
	       struct ckpt_err *err)
{
	struct ckpt_writer *w = self;
	struct ckpt_err why = CKPT_ERR_INIT;
	const uint8_t *p = data;

	if (check_range(w, space, page, count, err))
		return -1;
	for (uint64_t key = ckpt_key(space, page); count; count--, key++, p += CKPT_PAGE_LEN) {
		if (ckpt_changes_put(&w->changes, key, p, &why)) {
			give_up(w, &why, err);
			return ckpt_fail_at(err, "page %" PRIu64 " of space %" PRIu32 " of '%s'",
					    (uint64_t)(key & CKPT_PAGE_MAX), space, w->group.name);
		}
	}
	return 0;
}

static int drop(void *self, uint32_t space, uint64_t page, uint64_t count, struct ckpt_err *err)
{
	struct ckpt_writer *w = self;
	uint64_t key = ckpt_key(space, page);
	struct ckpt_err why = CKPT_ERR_INIT;

	if (!count)
		return 0;
	if (check_range(w, space, page, count, err))
		return -1;
	if (ckpt_changes_drop(&w->changes, key, key + count, &why)) {
		give_up(w, &why, err);
		return ckpt_fail_at(err, "space %" PRIu32 " of '%s'", space, w->group.name);
	}
	return 0;
}

static int space_new(void *self, uint32_t *ret_space, struct ckpt_err *err)
{
	struct ckpt_writer *w = self;

	if (w->manifest.next_space > CKPT_SPACE_MAX)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "group '%s' has used all %u spaces; go on under another name",
				 w->group.name, CKPT_SPACE_MAX);
	*ret_space = w->manifest.next_space++;
	return 0;
}

struct ckpt_sink ckpt_writer_sink(struct ckpt_writer *w)
{
	return (struct ckpt_sink){ .self = w, .put = put, .drop = drop, .space_new = space_new };
}

static int check_manifest(const struct ckpt_writer *w, struct ckpt_err *err)
{
	const struct ckpt_manifest *m = &w->manifest;

	if (w->failed || w->committed)
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "the checkpoint of '%s' is over", w->group.name);
	if ((m->kind == CKPT_KIND_FULL) != !m->parent && m->kind != CKPT_KIND_FILES)
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "a checkpoint of '%s' is full exactly when it has "
				 "no parent", m->name);
	for (size_t i = 0; i < m->nblobs; i++)
		if (m->blobs[i].space >= m->next_space)
			return ckpt_fail(err, CKPT_USAGE, 0, "part '%s' of '%s' is in no space",
					 m->blobs[i].name, m->name);
	return 0;
}

static int write_all(struct ckpt_writer *w, struct ckpt_err *err)
{
	struct ckpt_manifest *m = &w->manifest;
	uint64_t started = now_ns(CLOCK_MONOTONIC);
	int rc;

	if (ckpt_changes_pack(&w->changes, true, err))
		return -1;
	rc = ckpt_changes_map(&w->changes, &m->root, err);
	if (rc < 0)
		return -1;
	m->has_root = rc;
	m->has_pack = w->pack.fd >= 0;
	if (ckpt_pack_finish(&w->pack, err) || ckpt_group_next_id(&w->group, &m->id, err))
		return -1;
	m->counts.pages = ckpt_changes_pages(&w->changes);
	m->counts.raw_bytes = w->pack.raw_bytes;
	m->counts.stored_bytes = w->pack.at;
	m->time_ns = now_ns(CLOCK_REALTIME);
	m->counts.total_ns += now_ns(CLOCK_MONOTONIC) - started;
	/*
	 * Whatever needs room is written before the pack is moved: a pack in its place
	 * stays, as others may refer to it, and on a full disk each attempt would leave one.
	 */
	if (ckpt_group_prepare(&w->group, m, err))
		return -1;
	if (ckpt_pack_publish(&w->pack, err)) {
		ckpt_group_discard(&w->group, m->id);
		return -1;
	}
	return ckpt_group_commit(&w->group, m->id, err);
}

int ckpt_writer_commit(struct ckpt_writer *w, uint64_t *ret_id, struct ckpt_err *err)
{
	struct ckpt_fingerprint_set known = { 0 };
	struct ckpt_err why = CKPT_ERR_INIT;

	if (check_manifest(w, err))
		return -1;
	if (write_all(w, &why)) {
		give_up(w, &why, err);
		return ckpt_fail_at(err, "cannot write a checkpoint of '%s'", w->group.name);
	}
	w->committed = true;
	/* A cache: without it the next checkpoint compares by content. */
	if (!ckpt_fault("store.fingerprints") && !ckpt_changes_known(&w->changes, &known, NULL))
		ckpt_fingerprints_save(w->changes.fingerprinter, &w->group, w->manifest.uuid,
				       &known, NULL);
	free(known.entry);
	*ret_id = w->manifest.id;
	return 0;
}
