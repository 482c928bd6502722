/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Map: where each page of a checkpoint is
 *
 * A trie of nodes in the store (store/node.h).  A changed map shares every node
 * whose pages did not change with the map it came from.
 */
#ifndef CKPT_STORE_MAP_H
#define CKPT_STORE_MAP_H

#include "store/node.h"
#include "store/objects.h"

/**
 * struct ckpt_map - a map being read
 * @objects: where its nodes are
 * @root: NULL for the map of no pages
 * @node: the last leaf that was found, if @cached
 */
struct ckpt_map {
	struct ckpt_objects *objects;
	const struct ckpt_hash *root;
	bool cached;
	struct ckpt_node node;
};

/**
 * ckpt_map_leaf - the leaf of a number
 * @ret: points into @map, valid until the next call; NULL when there is none
 */
int ckpt_map_leaf(struct ckpt_map *map, uint64_t number, const struct ckpt_leaf **ret,
		  struct ckpt_err *err);
/* The first leaf of at least @number, like ckpt_map_leaf. */
int ckpt_map_leaf_from(struct ckpt_map *map, uint64_t number, const struct ckpt_leaf **ret,
		       struct ckpt_err *err);

/**
 * struct ckpt_map_visitor - what ckpt_map_walk does at every node
 * @self: passed to the calls
 * @node: called before the children; return 1 to leave them out, -1 to stop
 * @broken: called instead when a node cannot be read; return 0 to go on, -1 to stop
 */
struct ckpt_map_visitor {
	void *self;
	int (*node)(void *self, const struct ckpt_hash *name, const struct ckpt_node *node,
		    struct ckpt_err *err);
	int (*broken)(void *self, const struct ckpt_hash *name, uint64_t first_leaf,
		      const struct ckpt_err *why, struct ckpt_err *err);
};

/* Visit every node, in order of keys. */
int ckpt_map_walk(struct ckpt_objects *objects, const struct ckpt_hash *root,
		  const struct ckpt_map_visitor *v, struct ckpt_err *err);

/**
 * struct ckpt_leaf_change - one leaf to change
 * @number: which
 * @change: passed to ckpt_map_edit.apply
 */
struct ckpt_leaf_change {
	uint64_t number;
	void *change;
};

/**
 * struct ckpt_map_edit - how to make a map from another
 * @objects: where the old nodes are
 * @self: passed to the calls
 * @apply: change @leaf, which is the old one or empty
 * @write: store an encoded node
 */
struct ckpt_map_edit {
	struct ckpt_objects *objects;
	void *self;
	int (*apply)(void *self, void *change, struct ckpt_leaf *leaf, struct ckpt_err *err);
	int (*write)(void *self, const struct ckpt_buf *node, struct ckpt_hash *ret,
		     struct ckpt_err *err);
};

/**
 * ckpt_map_change - make a new map
 * @root: of the old map, NULL for none
 * @changes: in order of numbers, each once
 * @ret_root: name of the new root; untouched when the new map is empty
 *
 * Return: 1 when the new map has pages, 0 when it has none, -1 error.
 */
int ckpt_map_change(const struct ckpt_map_edit *edit, const struct ckpt_hash *root,
		    const struct ckpt_leaf_change *changes, size_t n, struct ckpt_hash *ret_root,
		    struct ckpt_err *err);

#endif
