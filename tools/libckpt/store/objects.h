/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects: every block and node of a store, found by name and checked when read
 *
 * The indexes of all packs are held in memory; a name that is not found makes
 * the directory be read once more, as another writer may have added a pack.
 * Plain bytes of recently read objects are kept, up to 64 MiB.
 *
 * LOCKING: none; one thread at a time.  Another thread takes a view.
 */
#ifndef CKPT_STORE_OBJECTS_H
#define CKPT_STORE_OBJECTS_H

#include "store/cache.h"
#include "store/kept.h"
#include "store/object-read.h"
#include "store/whole.h"

/**
 * struct ckpt_located - where an object is
 * @object: its entry; a raw_len of 0 marks a free slot of the table
 * @pack: index into the packs
 */
struct ckpt_located {
	struct ckpt_object object;
	uint32_t pack;
};

/* Hash table by name, open addressing, a power of two large. */
struct ckpt_object_table {
	struct ckpt_located *slot;
	size_t n;
	size_t size;
};

void ckpt_object_table_done(struct ckpt_object_table *t);
const struct ckpt_located *ckpt_object_table_find(const struct ckpt_object_table *t,
						  const struct ckpt_hash *name);
/* The next object of the same name as @l, which is in the table; NULL when there is none. */
const struct ckpt_located *ckpt_object_table_next(const struct ckpt_object_table *t,
						  const struct ckpt_located *l);
/* Objects of one name are all kept, in the order they came. Return: 0, or -1 without memory. */
int ckpt_object_table_add(struct ckpt_object_table *t, const struct ckpt_object *o,
			  uint32_t pack);

/**
 * struct ckpt_pack - one pack file
 * @name: of the file
 * @fd: -1 while closed
 * @read_only: has unknown ro_compat flags: read from, not built upon
 * @damage: why its index cannot be used, NULL when it can
 */
struct ckpt_pack {
	char name[CKPT_UUID_TEXT + 8];
	int fd;
	bool read_only;
	char *damage;
};

/**
 * struct ckpt_objects - of one store
 * @view: the packs, the table, @whole and @kept are those of another one, which does not change
 * @whole: blocks that the last verification found whole
 * @kept: plain bytes of them, where they were wanted
 */
struct ckpt_objects {
	int dir;
	bool view;
	const char *path;
	struct ckpt_pack *packs;
	uint32_t npacks;
	uint32_t open;		/* packs with a descriptor */
	struct ckpt_object_table table;
	struct ckpt_cache cache;
	struct ckpt_whole whole;
	struct ckpt_kept kept;
	struct ckpt_object_reader reader;
};

/* @dir and @path stay the caller's and must outlive @o. */
void ckpt_objects_init(struct ckpt_objects *o, int dir, const char *path);
void ckpt_objects_done(struct ckpt_objects *o);
/**
 * ckpt_objects_view - the same objects, with descriptors and a cache of its own
 * @from: stays as it is, unused, until the view is done
 * @cache_len: bytes to keep of recently read objects
 *
 * Packs that are added later are not seen.
 */
int ckpt_objects_view(const struct ckpt_objects *from, size_t cache_len, struct ckpt_objects *ret,
		      struct ckpt_err *err);
/* Take in packs that were added since. */
int ckpt_objects_refresh(struct ckpt_objects *o, struct ckpt_err *err);

/* Where an object is; CKPT_DAMAGED when it is nowhere. @ret: until the next refresh. */
int ckpt_objects_find(struct ckpt_objects *o, const struct ckpt_hash *name,
		      enum ckpt_object_type type, const struct ckpt_located **ret,
		      struct ckpt_err *err);
/* A pack could not be opened: with @os it is damaged, or it will pass. Return: -1. */
int ckpt_objects_fail_open(int os, struct ckpt_err *err);
/* Put before @err which object in which pack it is about. Return: -1. */
int ckpt_objects_fail_at(const struct ckpt_objects *o, const struct ckpt_located *l,
			 struct ckpt_err *err);

/**
 * ckpt_objects_get - plain bytes of an object, checked against its name
 * @type: what it must be
 * @ret: valid until the next call
 *
 * Return: 0; -1 with CKPT_DAMAGED when it is missing or every copy is damaged.
 */
int ckpt_objects_get(struct ckpt_objects *o, const struct ckpt_hash *name,
		     enum ckpt_object_type type, const uint8_t **ret, size_t *ret_len,
		     struct ckpt_err *err);

#endif
