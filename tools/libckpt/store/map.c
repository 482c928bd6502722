// SPDX-License-Identifier: GPL-2.0-or-later
/* Map: where each page of a checkpoint is. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/map.h"

/* Where a node must lie: below level @level, in the range that starts at leaf @first. */
struct bound {
	uint64_t first;
	unsigned int level;
};

static const struct bound everywhere = { 0, CKPT_NODE_LEVELS };

static uint64_t first_leaf(const struct ckpt_node *n)
{
	return n->is_leaf ? n->leaf.number : n->inner.prefix << 4 * (n->inner.level + 1);
}

static struct bound bound_of(const struct ckpt_inner *parent, unsigned int digit)
{
	return (struct bound){
		.first = (parent->prefix << 4 | digit) << 4 * parent->level,
		.level = parent->level,
	};
}

static int load(struct ckpt_objects *objects, const struct ckpt_hash *name,
		const struct bound *bound, struct ckpt_node *ret, struct ckpt_err *err)
{
	const uint8_t *data;
	char digits[CKPT_HASH_TEXT];
	size_t len;

	if (ckpt_objects_get(objects, name, CKPT_OBJECT_NODE, &data, &len, err))
		return -1;
	if (!ckpt_node_decode(data, len, ret, err)) {
		if (!((first_leaf(ret) ^ bound->first) >> 4 * bound->level) &&
		    (ret->is_leaf || ret->inner.level < bound->level))
			return 0;
		ckpt_fail(err, CKPT_DAMAGED, 0, "it lies in the wrong place");
	}
	ckpt_hex(name->b, CKPT_HASH_LEN, digits);
	return ckpt_fail_at(err, "map node %.16s", digits);
}

int ckpt_map_leaf(struct ckpt_map *map, uint64_t number, const struct ckpt_leaf **ret,
		  struct ckpt_err *err)
{
	struct ckpt_hash name;
	struct bound bound = everywhere;

	*ret = NULL;
	if (map->cached && map->node.leaf.number == number) {
		*ret = &map->node.leaf;
		return 0;
	}
	if (!map->root)
		return 0;
	map->cached = false;
	name = *map->root;
	for (;;) {
		unsigned int digit;

		if (load(map->objects, &name, &bound, &map->node, err))
			return -1;
		map->cached = map->node.is_leaf;
		if (!ckpt_node_covers(&map->node, number))
			return 0;
		if (map->cached) {
			*ret = &map->node.leaf;
			return 0;
		}
		digit = ckpt_node_digit(number, map->node.inner.level);
		if (!(map->node.inner.digits & 1u << digit))
			return 0;
		bound = bound_of(&map->node.inner, digit);
		name = map->node.inner.child[digit];
	}
}

/* Return: 1 when @map->node is the leaf, 0 when there is none below @name. */
static int find_from(struct ckpt_map *map, const struct ckpt_hash *name,
		     const struct bound *bound, uint64_t number, struct ckpt_err *err)
{
	struct ckpt_inner inner;
	unsigned int digit = 0;

	if (load(map->objects, name, bound, &map->node, err))
		return -1;
	if (map->node.is_leaf)
		return map->node.leaf.number >= number;
	inner = map->node.inner;
	if (inner.prefix < number >> 4 * (inner.level + 1))
		return 0;
	if (inner.prefix == number >> 4 * (inner.level + 1))
		digit = ckpt_node_digit(number, inner.level);
	for (; digit < 16; digit++) {
		const struct bound below = bound_of(&inner, digit);
		int rc;

		if (!(inner.digits & 1u << digit))
			continue;
		rc = find_from(map, &inner.child[digit], &below, number, err);
		if (rc)
			return rc;
	}
	return 0;
}

int ckpt_map_leaf_from(struct ckpt_map *map, uint64_t number, const struct ckpt_leaf **ret,
		       struct ckpt_err *err)
{
	int rc = 0;

	*ret = NULL;
	if (map->cached && map->node.leaf.number == number) {
		*ret = &map->node.leaf;
		return 0;
	}
	map->cached = false;
	if (map->root && !(number >> CKPT_LEAF_NUMBER_BITS))
		rc = find_from(map, map->root, &everywhere, number, err);
	if (rc == 1) {
		map->cached = true;
		*ret = &map->node.leaf;
	}
	return rc < 0 ? -1 : 0;
}

static int walk(struct ckpt_objects *objects, const struct ckpt_hash *name,
		const struct bound *bound, const struct ckpt_map_visitor *v, struct ckpt_node *node,
		struct ckpt_err *err)
{
	struct ckpt_err why = CKPT_ERR_INIT;
	struct ckpt_inner inner;
	int rc;

	if (load(objects, name, bound, node, &why))
		return v->broken(v->self, name, bound->first, &why, err);
	rc = v->node(v->self, name, node, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	if (node->is_leaf)
		return 0;
	inner = node->inner;
	for (unsigned int digit = 0; digit < 16; digit++) {
		const struct bound below = bound_of(&inner, digit);

		if (inner.digits & 1u << digit &&
		    walk(objects, &inner.child[digit], &below, v, node, err))
			return -1;
	}
	return 0;
}

int ckpt_map_walk(struct ckpt_objects *objects, const struct ckpt_hash *root,
		  const struct ckpt_map_visitor *v, struct ckpt_err *err)
{
	cleanup_free struct ckpt_node *node = malloc(sizeof(*node));

	if (!node)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a node of the map");
	return walk(objects, root, &everywhere, v, node, err);
}

static bool is_empty(const struct ckpt_leaf *leaf)
{
	for (unsigned int i = 0; i < CKPT_LEAF_PAGES; i++)
		if (leaf->entry[i].kind != CKPT_PAGE_IS_ABSENT)
			return false;
	return true;
}

/* The leaf in @node, or a new one, changed. Return: as ckpt_map_change. */
static int change_leaf(const struct ckpt_map_edit *edit, struct ckpt_node *node,
		       const struct ckpt_leaf_change *c, struct ckpt_hash *ret,
		       struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	if (edit->apply(edit->self, c->change, &node->leaf, err))
		return -1;
	if (is_empty(&node->leaf))
		return 0;
	if (ckpt_leaf_encode(&node->leaf, &b, err) || edit->write(edit->self, &b, ret, err))
		return -1;
	return 1;
}

static int write_inner(const struct ckpt_map_edit *edit, const struct ckpt_inner *inner,
		       struct ckpt_hash *ret, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	if (!inner->digits)
		return 0;
	if (!(inner->digits & (inner->digits - 1))) {
		/* An only child takes its parent's place. */
		*ret = inner->child[__builtin_ctz(inner->digits)];
		return 1;
	}
	if (ckpt_inner_encode(inner, &b, err) || edit->write(edit->self, &b, ret, err))
		return -1;
	return 1;
}

/* Level at which the old node and the changes part; -1 when all are one leaf. */
static int parting(const struct ckpt_node *old, const struct ckpt_leaf_change *c, size_t n)
{
	uint64_t differ = c[0].number ^ c[n - 1].number;
	int level = -1;

	if (old && old->is_leaf) {
		differ |= c[0].number ^ old->leaf.number;
	} else if (old) {
		unsigned int shift = 4 * (old->inner.level + 1);

		level = old->inner.level;
		differ |= (c[0].number >> shift ^ old->inner.prefix) << shift;
	}
	if (differ && (63 - __builtin_clzll(differ)) / 4 > level)
		level = (63 - __builtin_clzll(differ)) / 4;
	return level;
}

static int change(const struct ckpt_map_edit *edit, const struct ckpt_hash *old,
		  const struct bound *bound, const struct ckpt_leaf_change *c, size_t n,
		  struct ckpt_hash *ret, struct ckpt_err *err);

/* Children of the new inner node at @level. @node: the old node, @old: its name. */
static int change_children(const struct ckpt_map_edit *edit, const struct ckpt_node *node,
			   const struct ckpt_hash *old, const struct ckpt_leaf_change *c, size_t n,
			   struct ckpt_inner *inner, struct ckpt_err *err)
{
	bool same_level = old && !node->is_leaf && node->inner.level == inner->level;
	/* The node may be gone once a child is changed. */
	const struct ckpt_inner before = same_level ? node->inner : (struct ckpt_inner){ 0 };
	unsigned int home = old ? ckpt_node_digit(first_leaf(node), inner->level) : 16;
	size_t at = 0, end;

	for (unsigned int d = 0; d < 16; d++, at = end) {
		const struct bound below = bound_of(inner, d);
		const struct ckpt_hash *from = NULL;
		int rc;

		for (end = at; end < n && ckpt_node_digit(c[end].number, inner->level) == d; end++)
			;
		if (same_level)
			from = before.digits & 1u << d ? &before.child[d] : NULL;
		else if (d == home)
			from = old;
		rc = change(edit, from, &below, c + at, end - at, &inner->child[d], err);
		if (rc < 0)
			return -1;
		inner->digits |= rc << d;
	}
	return 0;
}

static int change(const struct ckpt_map_edit *edit, const struct ckpt_hash *old,
		  const struct bound *bound, const struct ckpt_leaf_change *c, size_t n,
		  struct ckpt_hash *ret, struct ckpt_err *err)
{
	cleanup_free struct ckpt_node *node = NULL;
	struct ckpt_inner inner = { 0 };
	int level;

	if (!n) {
		if (old)
			*ret = *old;
		return !!old;
	}
	node = calloc(1, sizeof(*node));
	if (!node)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a node of the map");
	if (old && load(edit->objects, old, bound, node, err))
		return -1;
	level = parting(old ? node : NULL, c, n);
	if (level < 0) {
		node->leaf.number = c->number;
		return change_leaf(edit, node, c, ret, err);
	}
	inner.level = level;
	inner.prefix = c->number >> 4 * (level + 1);
	if (change_children(edit, node, old, c, n, &inner, err))
		return -1;
	return write_inner(edit, &inner, ret, err);
}

int ckpt_map_change(const struct ckpt_map_edit *edit, const struct ckpt_hash *root,
		    const struct ckpt_leaf_change *changes, size_t n, struct ckpt_hash *ret_root,
		    struct ckpt_err *err)
{
	struct ckpt_hash made;
	int rc = change(edit, root, &everywhere, changes, n, &made, err);

	if (rc == 1)
		*ret_root = made;
	return rc;
}
