/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log: which checkpoints a store holds, and taking one out. */
#ifndef CKPT_STORE_LOG_H
#define CKPT_STORE_LOG_H

#include "store/manifest.h"
#include "store/state.h"
#include "store/store.h"

/**
 * struct ckpt_log_entry - one checkpoint
 * @id: of it
 * @manifest: what it says; only name and id are set when it is damaged
 * @damage: why the manifest cannot be used, NULL when it can; with a verdict of none it is
 *	of a newer format
 * @state: what the last verification found
 */
struct ckpt_log_entry {
	uint64_t id;
	struct ckpt_manifest manifest;
	char *damage;
	struct ckpt_state state;
};

struct ckpt_log {
	struct ckpt_log_entry *entry;	/* rising ids */
	size_t n;
};

void ckpt_log_done(struct ckpt_log *log);
#define cleanup_log __attribute__((cleanup(ckpt_log_done)))

/* All checkpoints of a group. */
int ckpt_log_read(struct ckpt_store *store, const char *name, struct ckpt_log *ret,
		  struct ckpt_err *err);

struct ckpt_names {
	char **name;	/* in order */
	size_t n;
};

void ckpt_names_done(struct ckpt_names *names);
#define cleanup_names __attribute__((cleanup(ckpt_names_done)))

/* All groups of a store. */
int ckpt_log_groups(struct ckpt_store *store, struct ckpt_names *ret, struct ckpt_err *err);

/**
 * ckpt_log_before - the newest checkpoint of a group, damaged or not
 * @before: consider lower ids only; 0 for all
 *
 * Return: 1 found, 0 there is none, -1 error.
 */
int ckpt_log_before(struct ckpt_store *store, const char *name, uint64_t before,
		    uint64_t *ret_id, struct ckpt_err *err);

/**
 * struct ckpt_newest - what an incremental checkpoint must go on from
 * @id: of the newest checkpoint of the group in this store
 * @uuid: of it; the module must name the same
 * @lineage: at which instant of the tracking it was taken
 */
struct ckpt_newest {
	uint64_t id;
	uint8_t uuid[CKPT_UUID_LEN];
	struct ckpt_lineage lineage;
};

/*
 * Return: 1 with @ret filled; 0 when there is none, or none that can be built
 * on: then the next checkpoint is full; -1 error.
 */
int ckpt_log_newest(struct ckpt_store *store, const char *name, struct ckpt_newest *ret,
		    struct ckpt_err *err);

/* Take a checkpoint out of the store; its id is never used again. */
int ckpt_log_remove(struct ckpt_store *store, const char *name, uint64_t id,
		    struct ckpt_err *err);

#endif
