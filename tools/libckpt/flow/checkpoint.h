/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checkpoint: one consistent cut of a group, from the first round to the commit. */
#ifndef CKPT_FLOW_CHECKPOINT_H
#define CKPT_FLOW_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/tagged.h"

/**
 * struct ckpt_checkpoint_params - what to capture
 * @store: directory of the store
 * @group: what is captured; with cgroup NULL the tree below group->root_pid, else
 *	read anew by its name, under the lock
 * @full: take nothing from a parent
 * @stop: kill the group once the checkpoint is durable
 * @tcp_repair: with @stop: leave TCP connections to the outside so that a restore can go on with
 *	them
 * @dry_run: check everything that is checked before the freeze, then stop
 * @why: free text for the log, may be NULL
 * @progress: called with a word per step; NULL for none
 */
struct ckpt_checkpoint_params {
	const char *store;
	const struct ckpt_tagged *group;
	bool full, stop, tcp_repair, dry_run;
	const char *why;
	void (*progress)(const char *step);
};

/**
 * struct ckpt_freeze_parts - what a freeze went into, which together are all of it
 * @stop_ns: until every thread was stopped
 * @collect_ns: the keeper read the tree
 * @walk_ns: the last round of the tracker, as far as it was not beside that
 * @files_ns: files of the roots and outside them
 * @memory_ns: memory was copied
 * @release_ns: until the last thread was let go
 */
struct ckpt_freeze_parts {
	uint64_t stop_ns, collect_ns, walk_ns, files_ns, memory_ns, release_ns;
};

/**
 * struct ckpt_checkpoint_result - what was captured
 * @pages: pages of memory in the checkpoint
 * @dirty_pages: reported dirty by the tracker, all rounds
 * @files: entries of the roots in the checkpoint
 * @memory_read, @file_read: bytes copied out of the group and its roots
 * @dirs_opened: directories that had to be listed
 * @raw_bytes, @stored_bytes: new data before and after compression
 * @freeze_ns: from the first stop to the last detach
 * @watch_ns: the same of the stop before, in which who was not watched yet came to be; 0: none
 * @parts: of freeze_ns; empty with @stop, where it goes on until all is durable
 * @followed: address spaces that drivers follow, so that all of their memory was read in the stop
 * @tcp_left, @tcp_reset: with tcp_repair: connections whose other ends have not heard of the end,
 *	and that were reset since something had come
 */
struct ckpt_checkpoint_result {
	uint64_t id, parent;
	const char *kind, *tracker;
	uint64_t pages, dirty_pages, final_pages, files, memory_read, file_read, dirs_opened;
	uint64_t raw_bytes, stored_bytes, freeze_ns, watch_ns, total_ns;
	struct ckpt_freeze_parts parts;
	uint32_t rounds, tasks, threads, followed;
	uint32_t tcp_left, tcp_reset;
};

int ckpt_checkpoint(const struct ckpt_checkpoint_params *params,
		    struct ckpt_checkpoint_result *ret, struct ckpt_err *err);

#endif
