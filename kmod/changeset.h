/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Change set: what happened to the inodes of a group
 *
 * Pure: no globals, no allocation, no I/O.  One bounded table holds, per
 * inode, what is live (since the last take), what the last round took, what
 * was taken since the last commit, and whether somebody may still write it
 * without an event (watched).  The caller gives buckets and nodes.
 *
 * LOCKING
 * The caller's spinlock is held around every call, except
 * ckpt_changeset_may_know, and ckpt_changeset_round_get: rounds change only
 * in the calls of an epoch, which exclude one another.  Calls that visit many
 * nodes work in chunks, so
 * that the lock can be given up in between.
 *
 * LIFETIME
 * A node is in use while it is live, taken or watched.  No inode is
 * referenced: a key names it.
 */
#ifndef _CKPT_CHANGESET_H
#define _CKPT_CHANGESET_H

#include <linux/hash.h>
#include <linux/list.h>
#include <linux/types.h>

#include "files.h"

/* Nodes visited by one call of a function that works in chunks. */
#define CKPT_CHANGESET_CHUNK 512

enum ckpt_watch_state {
	CKPT_WATCH_OFF,
	CKPT_WATCH_BUSY,	/* somebody has it open for writing, or had a moment ago */
	CKPT_WATCH_ASKED,	/* being looked at */
	CKPT_WATCH_IDLE,	/* nobody had, at the last look */
};

/**
 * struct ckpt_node - what is known of one inode
 * @hash: in its bucket, or in the list of free nodes
 * @live: in the order of the first event since the last take
 * @round: in the last round
 * @taken: in the taken set
 * @watched: in the watch list
 * @dev: with @ino and @generation the key, as in struct ckpt_change
 * @ino: inode number
 * @generation: i_generation
 * @live_mask: CKPT_INODE_*, and so on for the pairs that follow
 * @watch_flags: CKPT_INODE_F_* to report while it is watched
 * @watch: enum ckpt_watch_state
 * @idle: looks in a row that found no writer
 */
struct ckpt_node {
	struct hlist_node hash;
	struct list_head live;
	struct list_head round;
	struct list_head taken;
	struct list_head watched;
	u64 dev;
	u64 ino;
	u32 generation;
	u16 live_mask, live_flags;
	u16 round_mask, round_flags;
	u16 taken_mask, taken_flags;
	u16 watch_flags;
	u8 watch;
	u8 idle;
};

/**
 * struct ckpt_changeset - the sets of one group
 * @buckets: 1 << @bits heads, the caller's
 * @limit: nodes that may be fed in total
 * @nodes: nodes fed
 * @spare: free ones among them
 * @nr_live, @nr_round, @nr_watched: lengths of the lists
 * @moving: live nodes that the take in progress still has to move
 * @lost_live: changes not recorded since the last take
 * @lost_taken: changes not recorded between the last commit and the last take
 * @cursor, @cursor_index: node of the last ckpt_changeset_round_get
 */
struct ckpt_changeset {
	struct hlist_head *buckets;
	unsigned int bits;
	unsigned long limit;
	unsigned long nodes;
	unsigned long spare;
	struct hlist_head free;
	struct list_head live, round, taken, watched;
	unsigned long nr_live, nr_round, nr_watched;
	unsigned long moving;
	u64 lost_live, lost_taken;
	struct list_head *cursor;
	unsigned long cursor_index;
};

void ckpt_changeset_init(struct ckpt_changeset *set, struct hlist_head *buckets,
			 unsigned int bits, unsigned long limit);
unsigned long ckpt_changeset_feed(struct ckpt_changeset *set, struct ckpt_node *nodes,
				  unsigned long n);

bool ckpt_changeset_record(struct ckpt_changeset *set, const struct ckpt_change *change);
bool ckpt_changeset_knows(const struct ckpt_changeset *set, const struct ckpt_change *key);
void ckpt_changeset_lose(struct ckpt_changeset *set);
void ckpt_changeset_lost_again(struct ckpt_changeset *set);

bool ckpt_changeset_watch(struct ckpt_changeset *set, const struct ckpt_change *key);
bool ckpt_changeset_asks(const struct ckpt_changeset *set, const struct ckpt_change *key);
unsigned long ckpt_changeset_ask(struct ckpt_changeset *set, unsigned long left);
bool ckpt_changeset_rotate(struct ckpt_changeset *set, struct ckpt_change *ret_key);
unsigned long ckpt_changeset_settle(struct ckpt_changeset *set, unsigned long left);

void ckpt_changeset_round_begin(struct ckpt_changeset *set);
bool ckpt_changeset_round_move(struct ckpt_changeset *set);
u32 ckpt_changeset_round_mask(const struct ckpt_changeset *set, const struct ckpt_change *key);
int ckpt_changeset_round_get(struct ckpt_changeset *set, unsigned long index,
			     struct ckpt_change *ret);
bool ckpt_changeset_round_drop(struct ckpt_changeset *set);
bool ckpt_changeset_commit(struct ckpt_changeset *set);
bool ckpt_changeset_abort(struct ckpt_changeset *set);

static inline struct hlist_head *ckpt_changeset_bucket(const struct ckpt_changeset *set,
						       const struct ckpt_change *key)
{
	u64 mixed = key->ino ^ hash_64(key->dev, 64) ^ ((u64)key->generation << 32);

	return &set->buckets[hash_64(mixed, set->bits)];
}

/**
 * ckpt_changeset_may_know - could there be a node of this key, asked without a lock
 * @set: the set; it may change meanwhile
 * @key: the key
 *
 * Return: false only if there was none at some moment of the call.
 */
static inline bool ckpt_changeset_may_know(const struct ckpt_changeset *set,
					   const struct ckpt_change *key)
{
	return !hlist_empty(ckpt_changeset_bucket(set, key));
}

static inline u64 ckpt_changeset_lost(const struct ckpt_changeset *set)
{
	return set->lost_live + set->lost_taken;
}

#endif
