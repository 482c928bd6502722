// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listings: the table as spaces of a checkpoint, and back
 *
 * A listing is 8 bytes of magic, its length in bytes (le64, head included),
 * then one entry record per name.  A name that shares its space with another
 * one is a hard link to the same inode.  Names keep their order from checkpoint
 * to checkpoint and new ones come last, so that few pages change.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/table.h"

#define MAGIC "CKPTDIR1"
#define HEAD 16
#define LISTING_MAX (1ull << 34)

#define TAG_ROOT 32
#define TAG_PATH 33

static void dirty_parents(struct ckpt_fs_inode *i)
{
	for (struct ckpt_fs_node *n = i->names; n; n = n->other)
		n->dir->dirty = true;
}

/* Drop what no root leads to any more. */
static int reap(struct ckpt_fs_table *t, const struct ckpt_sink *sink,
		struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	struct ckpt_fs_inode *dead = NULL, *i;

	for (i = t->all; i; i = i->all_next)
		if (!i->names && !i->root) {
			i->work = dead;
			dead = i;
		}
	while ((i = dead)) {
		dead = i->work;
		while (i->first) {
			struct ckpt_fs_inode *child = i->first->inode;

			ckpt_fs_unlink(t, i->first);
			if (!child->names) {
				child->work = dead;
				dead = child;
			}
		}
		if (i->space && sink->drop(sink->self, i->space, 0, CKPT_PAGE_MAX + 1, err))
			return -1;
		stats->removed++;
		ckpt_fs_inode_drop(t, i);
	}
	return 0;
}

/* A directory needs a space for its listing, any hard-linked inode one as its identity. */
static int give_spaces(struct ckpt_fs_table *t, const struct ckpt_sink *sink, struct ckpt_err *err)
{
	for (struct ckpt_fs_inode *i = t->all; i; i = i->all_next) {
		bool linked = i->names && i->names->other;

		if (i->space || (!linked && !ckpt_fs_is_dir(i)))
			continue;
		if (sink->space_new(sink->self, &i->space, err))
			return -1;
		dirty_parents(i);
	}
	return 0;
}

static int put_listing(struct ckpt_fs_inode *dir, const struct ckpt_sink *sink,
		       struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	uint64_t len;

	ckpt_buf_put(&b, MAGIC, 8);
	ckpt_buf_put(&b, NULL, 8);
	for (struct ckpt_fs_node *n = dir->first; n; n = n->next)
		ckpt_fs_meta_encode(&b, n->name, &n->inode->meta, n->inode->space);
	if (b.failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a directory listing");
	len = htole64(b.len);
	memcpy(b.data + 8, &len, sizeof(len));
	if (ckpt_blob_put(sink, dir->space, b.data, b.len, err))
		return -1;
	dir->dirty = false;
	return 0;
}

int ckpt_fs_table_store(struct ckpt_fs_table *t, const struct ckpt_sink *sink,
			struct ckpt_buf *ret_roots, struct ckpt_fs_stats *stats,
			struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	for (size_t i = 0; i < t->n_roots; i++)
		if (!t->roots[i].top)
			return ckpt_fail(err, CKPT_FAILED, 0, "root %s was not captured",
					 t->roots[i].path);
	if (reap(t, sink, stats, err) || give_spaces(t, sink, err))
		return -1;
	for (struct ckpt_fs_inode *i = t->all; i; i = i->all_next) {
		if (i->fresh)
			return ckpt_fail(err, CKPT_FAILED, 0, "file %s was found and never read",
					 i->names ? i->names->name : "");
		if (ckpt_fs_is_dir(i) && i->dirty && put_listing(i, sink, err))
			return -1;
		i->pending = 0;
		i->queued = i->stale = false;
	}
	t->n_work = 0;
	for (size_t i = 0; i < t->n_roots; i++) {
		size_t at = ckpt_wire_begin(&b, TAG_ROOT);

		ckpt_wire_str(&b, TAG_PATH, t->roots[i].path);
		ckpt_fs_meta_encode(&b, "", &t->roots[i].top->meta, t->roots[i].top->space);
		ckpt_wire_end(&b, at);
	}
	ckpt_buf_put(ret_roots, b.data, b.len);
	if (b.failed || ret_roots->failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the list of roots");
	return 0;
}

/**
 * struct load - a table being read
 * @seen: one bit per space: a listing is read once, so a damaged image cannot
 *	make a tree without end
 * @left: directories whose listing is not read yet
 */
struct load {
	struct ckpt_fs_table *t;
	const struct ckpt_source *source;
	uint8_t *seen;
	struct ckpt_fs_inode *left;
};

static bool mark(struct load *l, uint32_t space)
{
	uint8_t bit = 1 << (space & 7);
	bool was = l->seen[space >> 3] & bit;

	l->seen[space >> 3] |= bit;
	return was;
}

/* The inode of an entry: a new one, or the one that shares its space. */
static struct ckpt_fs_inode *entry_inode(struct load *l, struct ckpt_fs_meta *m, uint32_t space,
					 struct ckpt_err *err)
{
	bool was = space && mark(l, space), dir = S_ISDIR(m->mode);
	struct ckpt_fs_inode *i = NULL;

	if (was) {
		do
			i = ckpt_fs_by_ino(l->t, m->ino, i);
		while (i && i->space != space);
		if (dir || !i || !ckpt_fs_meta_same_entry(&i->meta, m)) {
			ckpt_fail(err, CKPT_DAMAGED, 0, "two listings disagree on space %u", space);
			return NULL;
		}
		return i;
	}
	i = ckpt_fs_inode_new(l->t, m, space);
	if (!i)
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for the table of files");
	if (i && dir) {
		i->work = l->left;
		l->left = i;
	}
	return i;
}

static int load_entry(struct load *l, struct ckpt_fs_inode *dir, const struct ckpt_record *r,
		      struct ckpt_err *err)
{
	cleanup_meta struct ckpt_fs_meta m = { 0 };
	cleanup_free char *name = NULL;
	struct ckpt_fs_inode *i;
	uint32_t space;

	if (r->tag != CKPT_FS_TAG_ENTRY)
		return ckpt_record_unknown(r, err);
	if (ckpt_fs_meta_decode(r, &name, &m, &space, err))
		return -1;
	if (!*name || ckpt_fs_lookup(l->t, dir, name))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "listing has the name \"%s\" twice", name);
	i = entry_inode(l, &m, space, err);
	if (!i)
		return -1;
	if (!ckpt_fs_link(l->t, dir, name, i))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the table of files");
	return 0;
}

static int load_listing(struct load *l, struct ckpt_fs_inode *dir, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_record r;
	struct ckpt_wire w;
	uint64_t len;
	int rc;

	if (ckpt_blob_get(l->source, dir->space, HEAD, &b, err))
		return -1;
	memcpy(&len, b.data + 8, sizeof(len));
	len = le64toh(len);
	if (memcmp(b.data, MAGIC, 8) || len < HEAD || len > LISTING_MAX)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "space %u is no directory listing",
				 dir->space);
	b.len = 0;
	if (ckpt_blob_get(l->source, dir->space, len, &b, err))
		return -1;
	w = ckpt_wire_of(b.data + HEAD, len - HEAD);
	while ((rc = ckpt_wire_next(&w, &r, err)) == 1)
		if (load_entry(l, dir, &r, err))
			return -1;
	dir->dirty = false;
	return rc;
}

static int load_root(struct load *l, const struct ckpt_record *r, struct ckpt_err *err)
{
	cleanup_meta struct ckpt_fs_meta m = { 0 };
	cleanup_free char *path = NULL, *name = NULL;
	struct ckpt_wire w = ckpt_wire_in(r);
	struct ckpt_fs_root *root;
	struct ckpt_record f[2];
	uint32_t space;

	if (r->tag != TAG_ROOT)
		return ckpt_record_unknown(r, err);
	if (ckpt_wire_next(&w, &f[0], err) != 1 || ckpt_wire_next(&w, &f[1], err) != 1 ||
	    f[0].tag != TAG_PATH || f[1].tag != CKPT_FS_TAG_ENTRY)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "list of roots is damaged");
	if (ckpt_record_str(&f[0], &path, err) ||
	    ckpt_fs_meta_decode(&f[1], &name, &m, &space, err) ||
	    ckpt_fs_table_add_root(l->t, path, err))
		return -1;
	if (!S_ISDIR(m.mode))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "root %s is no directory", path);
	root = &l->t->roots[l->t->n_roots - 1];
	root->top = entry_inode(l, &m, space, err);
	if (!root->top)
		return -1;
	root->top->root = root;
	return 0;
}

static int load(struct load *l, const void *roots, size_t len, struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_of(roots, len);
	struct ckpt_fs_inode *dir;
	struct ckpt_record r;
	int rc;

	while ((rc = ckpt_wire_next(&w, &r, err)) == 1)
		if (load_root(l, &r, err))
			return -1;
	while (!rc && (dir = l->left)) {
		l->left = dir->work;
		rc = load_listing(l, dir, err);
	}
	return rc;
}

int ckpt_fs_table_load(const struct ckpt_source *source, const void *roots, size_t len,
		       struct ckpt_fs_table **ret, struct ckpt_err *err)
{
	cleanup_fs_table struct ckpt_fs_table *t = NULL;
	cleanup_free uint8_t *seen = calloc(1, (CKPT_SPACE_MAX >> 3) + 1);
	struct load l = { .source = source, .seen = seen };

	if (!seen)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the table of files");
	if (ckpt_fs_table_new(&t, err))
		return -1;
	l.t = t;
	if (load(&l, roots, len, err))
		return ckpt_fail_at(err, "load the files of the checkpoint");
	*ret = take_ptr(t);
	return 0;
}
