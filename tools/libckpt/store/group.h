/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Group: the directory in a store with the checkpoints of one group
 *
 * LOCKING: who writes holds the lock of the group (flock, gone with the process
 * that took it) and shares the lock of the store with other writers; who wants
 * to remove objects takes the latter alone.  Reading needs no lock: files are
 * replaced as a whole.
 */
#ifndef CKPT_STORE_GROUP_H
#define CKPT_STORE_GROUP_H

#include "store/inside.h"
#include "store/manifest.h"

/**
 * struct ckpt_group - an open group
 * @store: it belongs to
 * @name: of the group
 * @dir: its directory
 * @tmp: where files are made; -1 until locked
 * @lock: descriptor that holds the lock of the group, -1 while not locked
 * @store_lock: descriptor that shares the lock of the store
 */
struct ckpt_group {
	struct ckpt_store *store;
	char name[CKPT_NAME_LEN];
	int dir;
	int tmp;
	int lock;
	int store_lock;
};

#define CKPT_GROUP_INIT { .dir = -1, .tmp = -1, .lock = -1, .store_lock = -1 }

/* @create: make it when it does not exist. */
int ckpt_group_open(struct ckpt_store *store, const char *name, bool create,
		    struct ckpt_group *ret, struct ckpt_err *err);
void ckpt_group_done(struct ckpt_group *g);
#define cleanup_group __attribute__((cleanup(ckpt_group_done)))

/* Become the one writer and remove what a dead writer left in tmp. */
int ckpt_group_lock(struct ckpt_group *g, struct ckpt_err *err);
/* Ids of the manifests that exist, rising; free @ret. */
int ckpt_group_ids(const struct ckpt_group *g, uint64_t **ret, size_t *ret_n,
		   struct ckpt_err *err);
/* The lowest id never used. */
int ckpt_group_next_id(const struct ckpt_group *g, uint64_t *ret, struct ckpt_err *err);
/* Read and check; @ret_hash, if not NULL, gets the hash of the whole file. */
int ckpt_group_manifest(const struct ckpt_group *g, uint64_t id, struct ckpt_manifest *ret,
			struct ckpt_hash *ret_hash, struct ckpt_err *err);
/* Write the manifest where it does not count yet. */
int ckpt_group_prepare(const struct ckpt_group *g, const struct ckpt_manifest *m,
		       struct ckpt_err *err);
/* Put the prepared manifest in its place, durably: with it the checkpoint exists. */
int ckpt_group_commit(const struct ckpt_group *g, uint64_t id, struct ckpt_err *err);
/* Remove a prepared manifest. */
void ckpt_group_discard(const struct ckpt_group *g, uint64_t id);
/* Take the checkpoint out of the store. Its id is not used again. */
int ckpt_group_remove(const struct ckpt_group *g, uint64_t id, struct ckpt_err *err);

#endif
