/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writer: makes one checkpoint
 *
 * Pages are compared with the parent and copied when they are put; hashing,
 * compressing and writing happen when 64 MiB are staged and at commit.
 *
 * LIFETIME: the lock of the group is held from begin to free.
 */
#ifndef CKPT_STORE_WRITER_H
#define CKPT_STORE_WRITER_H

#include "base/pages.h"
#include "store/manifest.h"
#include "store/store.h"

struct ckpt_writer;

/**
 * ckpt_writer_begin - start a checkpoint
 * @store: opened to write
 * @name: of the group, which is made when it is not there
 * @parent: id of the checkpoint that unmentioned pages come from, 0 for none
 *
 * Refused while another writer of the group lives.
 *
 * Return: the writer, or NULL.
 */
struct ckpt_writer *ckpt_writer_begin(struct ckpt_store *store, const char *name,
				      uint64_t parent, struct ckpt_err *err);
/* Ends the writer; what was not committed is gone. NULL is allowed. */
void ckpt_writer_free(struct ckpt_writer *w);

/* Where the pages go. Space numbers come from space_new or from the parent. */
struct ckpt_sink ckpt_writer_sink(struct ckpt_writer *w);

/**
 * ckpt_writer_manifest - what the checkpoint will say of itself
 *
 * The caller sets kind, tracker, why, lineage, blobs, notes and the counts
 * files, bytes_read, freeze_ns and total_ns (time spent before the commit,
 * whose own time is added).  name, uuid, parent and next_space are set by
 * begin, all else by commit.  The uuid may be read at any time.
 */
struct ckpt_manifest *ckpt_writer_manifest(struct ckpt_writer *w);

/**
 * ckpt_writer_commit - make the checkpoint durable
 *
 * After success it exists, whatever happens to the machine.  After a failure
 * it does not exist, except when the very last flush failed: then it may be
 * found by the next reader, whole.  When the map of the parent turns out to be
 * damaged (CKPT_DAMAGED), here or in a call of the sink, that is remembered, and
 * ckpt_log_newest no longer offers the parent: the next checkpoint is full.
 */
int ckpt_writer_commit(struct ckpt_writer *w, uint64_t *ret_id, struct ckpt_err *err);

#endif
