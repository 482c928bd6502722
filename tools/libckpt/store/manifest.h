/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Manifest: what a checkpoint is, beside its pages
 *
 * One file per checkpoint; its last 32 bytes are the SHA-256 of all before.
 * Encoding and decoding on buffers, without I/O.
 */
#ifndef CKPT_STORE_MANIFEST_H
#define CKPT_STORE_MANIFEST_H

#include "base/buf.h"
#include "base/err.h"
#include "store/format.h"

#define CKPT_NAME_LEN 64	/* of a group, its NUL included */
#define CKPT_LABEL_LEN 64	/* tracker, blob name, boot id; NUL included */
#define CKPT_PARTS_MAX 4096u	/* blobs, and notes */
#define CKPT_MANIFEST_LEN_MAX (16u << 20)

enum ckpt_kind {
	CKPT_KIND_FULL,		/* nothing was taken from a parent */
	CKPT_KIND_INCREMENTAL,
	CKPT_KIND_FILES,	/* files only */
};

/**
 * struct ckpt_blob - a byte string of the checkpoint, found by name
 * @name: chosen by the writer, unique in the manifest
 * @space: which space holds it
 * @len: in bytes
 */
struct ckpt_blob {
	char name[CKPT_LABEL_LEN];
	uint32_t space;
	uint64_t len;
};

/**
 * struct ckpt_note - a free key and value
 * @key: text
 * @value: bytes
 */
struct ckpt_note {
	char *key;
	uint8_t *value;
	size_t len;
};

/**
 * struct ckpt_lineage - at which instant of the group's tracking it was taken
 * @boot_id: of the kernel that tracked, "" when there was no tracker that remembers
 * @cookie: of the load of the module
 * @generation: of the group in the module
 * @epoch: that this checkpoint ended
 */
struct ckpt_lineage {
	char boot_id[CKPT_LABEL_LEN];
	uint64_t cookie;
	uint64_t generation;
	uint64_t epoch;
};

/**
 * struct ckpt_counts - what the checkpoint took
 * @pages: data and zero pages that were put and differ from the parent
 * @files: files captured (set by the caller)
 * @bytes_read: read from the group (set by the caller)
 * @raw_bytes: plain bytes of the objects written
 * @stored_bytes: length of the pack written
 * @freeze_ns: set by the caller
 * @total_ns: set by the caller
 */
struct ckpt_counts {
	uint64_t pages;
	uint64_t files;
	uint64_t bytes_read;
	uint64_t raw_bytes;
	uint64_t stored_bytes;
	uint64_t freeze_ns;
	uint64_t total_ns;
};

/**
 * struct ckpt_manifest - one checkpoint
 * @flags: compat, ro_compat, incompat
 * @name: of the group
 * @id: of the checkpoint in group and store
 * @uuid: of the checkpoint, random; what the module is told
 * @parent: id of the parent, 0 for none
 * @parent_uuid: zeros without a parent
 * @kind: full, incremental, files
 * @tracker: which tracker was used
 * @why: what the user or policy said, "" for nothing
 * @time_ns: CLOCK_REALTIME at commit
 * @lineage: for the choice between full and incremental
 * @next_space: the lowest space number never used in the group
 * @has_root: false for a checkpoint without any page
 * @root: name of the map's root
 * @has_pack: whether the checkpoint wrote a pack, whose uuid is @uuid
 * @counts: figures
 * @blobs: named byte strings, @nblobs of them
 * @notes: free records, @nnotes of them
 */
struct ckpt_manifest {
	struct ckpt_flags flags;
	char name[CKPT_NAME_LEN];
	uint64_t id;
	uint8_t uuid[CKPT_UUID_LEN];
	uint64_t parent;
	uint8_t parent_uuid[CKPT_UUID_LEN];
	enum ckpt_kind kind;
	char tracker[CKPT_LABEL_LEN];
	char *why;
	uint64_t time_ns;
	struct ckpt_lineage lineage;
	uint32_t next_space;
	bool has_root;
	struct ckpt_hash root;
	bool has_pack;
	struct ckpt_counts counts;
	struct ckpt_blob *blobs;
	size_t nblobs;
	struct ckpt_note *notes;
	size_t nnotes;
};

void ckpt_manifest_done(struct ckpt_manifest *m);
#define cleanup_manifest __attribute__((cleanup(ckpt_manifest_done)))

/* Set or replace a blob, a note. Return: 0, or -1 without memory or with a bad name. */
int ckpt_manifest_set_blob(struct ckpt_manifest *m, const char *name, uint32_t space,
			   uint64_t len, struct ckpt_err *err);
int ckpt_manifest_set_note(struct ckpt_manifest *m, const char *key, const void *value,
			   size_t len, struct ckpt_err *err);
/* Return: the blob or note of that name, NULL without. */
const struct ckpt_blob *ckpt_manifest_blob(const struct ckpt_manifest *m, const char *name);
const struct ckpt_note *ckpt_manifest_note(const struct ckpt_manifest *m, const char *key);

int ckpt_manifest_encode(const struct ckpt_manifest *m, struct ckpt_buf *ret,
			 struct ckpt_err *err);
/* @ret is filled on success only, and then owned by the caller. */
int ckpt_manifest_decode(const void *data, size_t len, struct ckpt_manifest *ret,
			 struct ckpt_err *err);

const char *ckpt_kind_name(enum ckpt_kind kind);
/* Whether @name is [A-Za-z0-9._-]{1,63} and neither "." nor "..". */
bool ckpt_name_valid(const char *name);

#endif
