// SPDX-License-Identifier: GPL-2.0
/*
 * Change set: what happened to the inodes of a group
 */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/string.h>

#include <uapi/linux/ckpt.h>

#include "changeset.h"

/* A watched inode leaves the list after this many looks without a writer. */
#define IDLE_LOOKS 2

static_assert(CKPT_INODE_SUSPECT <= U16_MAX && CKPT_INODE_F_OPEN <= U16_MAX);

/**
 * ckpt_changeset_init - make an empty set without nodes
 * @set: the set
 * @buckets: 1 << @bits heads; belong to the caller, kept as long as the set
 * @bits: logarithm of their number
 * @limit: nodes that ckpt_changeset_feed accepts in total
 */
void ckpt_changeset_init(struct ckpt_changeset *set, struct hlist_head *buckets,
			 unsigned int bits, unsigned long limit)
{
	unsigned long i;

	memset(set, 0, sizeof(*set));
	set->buckets = buckets;
	set->bits = bits;
	set->limit = limit;
	for (i = 0; i < 1UL << bits; i++)
		INIT_HLIST_HEAD(&buckets[i]);
	INIT_HLIST_HEAD(&set->free);
	INIT_LIST_HEAD(&set->live);
	INIT_LIST_HEAD(&set->round);
	INIT_LIST_HEAD(&set->taken);
	INIT_LIST_HEAD(&set->watched);
}

/**
 * ckpt_changeset_feed - give the set nodes to use
 * @set: the set
 * @nodes: array, belongs to the caller, kept as long as the set
 * @n: its length
 *
 * Return: how many were accepted; fewer than @n at the limit.
 */
unsigned long ckpt_changeset_feed(struct ckpt_changeset *set, struct ckpt_node *nodes,
				  unsigned long n)
{
	unsigned long i;

	if (n > set->limit - set->nodes)
		n = set->limit - set->nodes;
	for (i = 0; i < n; i++)
		hlist_add_head(&nodes[i].hash, &set->free);
	set->nodes += n;
	set->spare += n;
	return n;
}

static struct ckpt_node *find(const struct ckpt_changeset *set, const struct ckpt_change *key)
{
	struct ckpt_node *node;

	hlist_for_each_entry(node, ckpt_changeset_bucket(set, key), hash)
		if (node->ino == key->ino && node->dev == key->dev &&
		    node->generation == key->generation)
			return node;
	return NULL;
}

/* The node of a key, made if there is none; NULL counts as lost. */
static struct ckpt_node *node_of(struct ckpt_changeset *set, const struct ckpt_change *key)
{
	struct ckpt_node *node = find(set, key);

	if (node)
		return node;
	if (!set->spare) {
		set->lost_live++;
		return NULL;
	}
	node = hlist_entry(set->free.first, struct ckpt_node, hash);
	hlist_del(&node->hash);
	set->spare--;
	memset(node, 0, sizeof(*node));
	INIT_LIST_HEAD(&node->live);
	INIT_LIST_HEAD(&node->round);
	INIT_LIST_HEAD(&node->taken);
	INIT_LIST_HEAD(&node->watched);
	node->dev = key->dev;
	node->ino = key->ino;
	node->generation = key->generation;
	hlist_add_head(&node->hash, ckpt_changeset_bucket(set, key));
	return node;
}

static void free_if_unused(struct ckpt_changeset *set, struct ckpt_node *node)
{
	if (!list_empty(&node->live) || !list_empty(&node->taken) || node->watch != CKPT_WATCH_OFF)
		return;
	hlist_del(&node->hash);
	hlist_add_head(&node->hash, &set->free);
	set->spare++;
}

static void key_of(const struct ckpt_node *node, struct ckpt_change *ret)
{
	*ret = (struct ckpt_change){
		.dev = node->dev,
		.ino = node->ino,
		.generation = node->generation,
	};
}

static void live_add(struct ckpt_changeset *set, struct ckpt_node *node, u32 mask, u32 flags)
{
	node->live_mask |= mask;
	node->live_flags |= flags;
	if (list_empty(&node->live)) {
		list_add_tail(&node->live, &set->live);
		set->nr_live++;
	}
}

/**
 * ckpt_changeset_record - merge a change into the live set
 * @set: the set
 * @change: key, mask and flags
 *
 * Return: true, or false when there was no room and the loss was counted.
 */
bool ckpt_changeset_record(struct ckpt_changeset *set, const struct ckpt_change *change)
{
	struct ckpt_node *node = node_of(set, change);

	if (!node)
		return false;
	live_add(set, node, change->mask, change->flags);
	return true;
}

/**
 * ckpt_changeset_knows - is there a node of this key
 * @set: the set
 * @key: the key
 *
 * Return: true if the inode is live, taken or watched.
 */
bool ckpt_changeset_knows(const struct ckpt_changeset *set, const struct ckpt_change *key)
{
	return find(set, key);
}

/**
 * ckpt_changeset_lose - count a change that nobody can name
 * @set: the set
 */
void ckpt_changeset_lose(struct ckpt_changeset *set)
{
	set->lost_live++;
}

/**
 * ckpt_changeset_watch - somebody can write the inode without an event
 * @set: the set
 * @key: key, and the flags to report while it is watched
 *
 * Return: true, or false when there was no room and the loss was counted.
 */
bool ckpt_changeset_watch(struct ckpt_changeset *set, const struct ckpt_change *key)
{
	struct ckpt_node *node = node_of(set, key);

	if (!node)
		return false;
	if (node->watch == CKPT_WATCH_OFF) {
		list_add_tail(&node->watched, &set->watched);
		set->nr_watched++;
	}
	node->watch = CKPT_WATCH_BUSY;
	node->watch_flags |= key->flags;
	node->idle = 0;
	return true;
}

/**
 * ckpt_changeset_asks - does the look in progress want to know of the inode
 * @set: the set
 * @key: the key
 *
 * Return: true if the inode is watched and not yet found busy.
 */
bool ckpt_changeset_asks(const struct ckpt_changeset *set, const struct ckpt_change *key)
{
	const struct ckpt_node *node = find(set, key);

	return node && node->watch == CKPT_WATCH_ASKED;
}

/* The first of the watch list, moved to its end. */
static struct ckpt_node *rotate(struct ckpt_changeset *set)
{
	struct ckpt_node *node;

	if (list_empty(&set->watched))
		return NULL;
	node = list_first_entry(&set->watched, struct ckpt_node, watched);
	list_move_tail(&node->watched, &set->watched);
	return node;
}

/**
 * ckpt_changeset_ask - begin a look at the watch list
 * @set: the set
 * @left: nodes left to visit, @set->nr_watched at first
 *
 * Every node visited is ASKED until ckpt_changeset_watch finds it busy or
 * ckpt_changeset_settle ends the look.  A writer that comes after this call
 * calls ckpt_changeset_watch, so it is not missed whatever the look finds.
 *
 * Return: what to pass as @left next, 0 at the end.
 */
unsigned long ckpt_changeset_ask(struct ckpt_changeset *set, unsigned long left)
{
	unsigned int n = CKPT_CHANGESET_CHUNK;
	struct ckpt_node *node;

	for (; left && n; left--, n--) {
		node = rotate(set);
		if (!node)
			return 0;
		node->watch = CKPT_WATCH_ASKED;
		node->watch_flags = 0;
	}
	return left;
}

/**
 * ckpt_changeset_rotate - step through the watch list
 * @set: the set
 * @ret_key: key of the node that was first
 *
 * Return: true if that node is asked for.
 */
bool ckpt_changeset_rotate(struct ckpt_changeset *set, struct ckpt_change *ret_key)
{
	struct ckpt_node *node = rotate(set);

	if (!node || node->watch != CKPT_WATCH_ASKED)
		return false;
	key_of(node, ret_key);
	return true;
}

/**
 * ckpt_changeset_settle - turn the watch list into suspects
 * @set: the set
 * @left: nodes left to visit, @set->nr_watched at first
 *
 * Busy inodes are suspect.  One that was asked for and not found busy is
 * suspect now and at the next look, then leaves the list.  One found idle
 * before is not touched by the rounds in between.
 *
 * Return: what to pass as @left next, 0 at the end.
 */
unsigned long ckpt_changeset_settle(struct ckpt_changeset *set, unsigned long left)
{
	unsigned int n = CKPT_CHANGESET_CHUNK;
	struct ckpt_node *node;

	for (; left && n; left--, n--) {
		node = rotate(set);
		if (!node)
			return 0;
		if (node->watch == CKPT_WATCH_IDLE)
			continue;
		live_add(set, node, CKPT_INODE_SUSPECT, node->watch_flags);
		if (node->watch == CKPT_WATCH_BUSY)
			continue;
		node->watch = CKPT_WATCH_IDLE;
		if (++node->idle < IDLE_LOOKS)
			continue;
		node->watch = CKPT_WATCH_OFF;
		list_del_init(&node->watched);
		set->nr_watched--;
	}
	return left;
}

/**
 * ckpt_changeset_round_drop - forget a chunk of the last round
 * @set: the set
 *
 * Return: true if there is more to forget.
 */
bool ckpt_changeset_round_drop(struct ckpt_changeset *set)
{
	unsigned int n = CKPT_CHANGESET_CHUNK;

	set->cursor = NULL;
	for (; set->nr_round && n; set->nr_round--, n--)
		list_del_init(set->round.next);
	return set->nr_round;
}

/**
 * ckpt_changeset_lost_again - what was lost counts as lost since the last take
 * @set: the set
 */
void ckpt_changeset_lost_again(struct ckpt_changeset *set)
{
	set->lost_live += set->lost_taken;
	set->lost_taken = 0;
}

/**
 * ckpt_changeset_round_begin - begin to take what is live now
 * @set: the set; the last round was dropped
 */
void ckpt_changeset_round_begin(struct ckpt_changeset *set)
{
	set->moving = set->nr_live;
	set->lost_taken += set->lost_live;
	set->lost_live = 0;
}

/**
 * ckpt_changeset_round_move - move a chunk of the live set to the round
 * @set: the set
 *
 * What becomes live in between the calls stays live for the next round.
 *
 * Return: true if there is more to move.
 */
bool ckpt_changeset_round_move(struct ckpt_changeset *set)
{
	unsigned int n = CKPT_CHANGESET_CHUNK;
	struct ckpt_node *node;

	for (; set->moving && n; set->moving--, n--) {
		node = list_first_entry(&set->live, struct ckpt_node, live);
		list_del_init(&node->live);
		set->nr_live--;
		node->round_mask = node->live_mask;
		node->round_flags = node->live_flags;
		node->live_mask = 0;
		node->live_flags = 0;
		list_add_tail(&node->round, &set->round);
		set->nr_round++;
		if (list_empty(&node->taken))
			list_add_tail(&node->taken, &set->taken);
		node->taken_mask |= node->round_mask;
		node->taken_flags |= node->round_flags;
	}
	return set->moving;
}

/**
 * ckpt_changeset_round_mask - what the last round says of an inode
 * @set: the set
 * @key: the inode
 *
 * Return: its mask, 0 if it is not in the round.
 */
u32 ckpt_changeset_round_mask(const struct ckpt_changeset *set, const struct ckpt_change *key)
{
	const struct ckpt_node *node = find(set, key);

	return node && !list_empty(&node->round) ? node->round_mask : 0;
}

/**
 * ckpt_changeset_round_get - read a change of the last round
 * @set: the set
 * @index: from 0, in the order of the first events; going up by one is cheap
 * @ret: the change
 *
 * Return: 0, or -ENOENT past the end.
 */
int ckpt_changeset_round_get(struct ckpt_changeset *set, unsigned long index,
			     struct ckpt_change *ret)
{
	const struct ckpt_node *node;

	if (index >= set->nr_round)
		return -ENOENT;
	if (!set->cursor || index < set->cursor_index) {
		set->cursor = set->round.next;
		set->cursor_index = 0;
	}
	for (; set->cursor_index < index; set->cursor_index++)
		set->cursor = set->cursor->next;
	node = list_entry(set->cursor, struct ckpt_node, round);
	key_of(node, ret);
	ret->mask = node->round_mask;
	ret->flags = node->round_flags;
	return 0;
}

/* The first taken node, no longer taken; NULL at the end. */
static struct ckpt_node *taken_pop(struct ckpt_changeset *set)
{
	struct ckpt_node *node;

	if (list_empty(&set->taken))
		return NULL;
	node = list_first_entry(&set->taken, struct ckpt_node, taken);
	list_del_init(&node->taken);
	return node;
}

/**
 * ckpt_changeset_commit - forget a chunk of the taken set
 * @set: the set; the last round was dropped
 *
 * Return: true if there is more to forget.
 */
bool ckpt_changeset_commit(struct ckpt_changeset *set)
{
	unsigned int n = CKPT_CHANGESET_CHUNK;
	struct ckpt_node *node;

	set->lost_taken = 0;
	while (n-- && (node = taken_pop(set))) {
		node->taken_mask = 0;
		node->taken_flags = 0;
		free_if_unused(set, node);
	}
	return !list_empty(&set->taken);
}

/**
 * ckpt_changeset_abort - make a chunk of the taken set live again
 * @set: the set; the last round was dropped
 *
 * Return: true if there is more.
 */
bool ckpt_changeset_abort(struct ckpt_changeset *set)
{
	unsigned int n = CKPT_CHANGESET_CHUNK;
	struct ckpt_node *node;

	while (n-- && (node = taken_pop(set))) {
		live_add(set, node, node->taken_mask, node->taken_flags);
		node->taken_mask = 0;
		node->taken_flags = 0;
	}
	return !list_empty(&set->taken);
}
