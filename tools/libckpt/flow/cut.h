/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cut: a checkpoint in the making, shared by the steps of flow/checkpoint.c. */
#ifndef CKPT_FLOW_CUT_H
#define CKPT_FLOW_CUT_H

#include "flow/checkpoint.h"
#include "flow/files.h"
#include "flow/memory.h"
#include "flow/outer.h"
#include "flow/shm.h"
#include "flow/stage.h"
#include "proc/quiet.h"
#include "proc/stop.h"
#include "store/reader.h"
#include "store/store.h"
#include "store/writer.h"
#include "track/tracker.h"

/* Names of the byte strings of a checkpoint. */
#define CKPT_BLOB_TASKS "tasks"		/* process records, proc/image.h */
#define CKPT_BLOB_MEMORY "memory"	/* whose pages are in which space, flow/memory.h */
#define CKPT_BLOB_ROOTS "roots"		/* the roots, fs/table.h */
#define CKPT_BLOB_OUTER "outer"		/* files outside the roots, flow/outer.h */
#define CKPT_NOTE_CGROUP "cgroup"	/* where the group lived */
#define CKPT_NOTE_LIMITS "cgroup-limits"	/* of that, flow/limits.h */
#define CKPT_NOTE_FOLLOWED "followed"	/* address spaces that drivers follow, decimal */

/**
 * struct ckpt_cut - what the steps share
 * @began_ns: CLOCK_MONOTONIC at the start
 * @ended_ns: CLOCK_MONOTONIC of what result.freeze_ns is until
 * @mark_ns: CLOCK_MONOTONIC at the end of the part of the freeze before
 * @lock: of the group's name, -1 in a dry run
 * @parent: reader of the newest checkpoint, NULL when nothing is taken from it
 * @before: the processes of the parent, empty when they cannot be read
 * @epoch_open: the tracker's epoch must be committed or aborted
 * @quiet: files that must not be opened as they are
 * @unhurried: an attempt before was given up for what had changed around its stop, which this
 *	one therefore reads within it
 */
struct ckpt_cut {
	const struct ckpt_checkpoint_params *params;
	struct ckpt_checkpoint_result result;
	uint64_t began_ns, ended_ns, mark_ns;
	int lock;
	struct ckpt_store *store;
	struct ckpt_reader *parent;
	struct ckpt_image before;
	struct ckpt_writer *writer;
	struct ckpt_sink sink;
	struct ckpt_tracker tracker;
	struct ckpt_epoch epoch;
	bool epoch_open, unhurried;
	char boot_id[64];
	struct ckpt_mem mem;
	struct ckpt_files files;
	struct ckpt_stop *stop;
	struct ckpt_stage *stage;
	struct ckpt_sink stage_sink;
	struct ckpt_image image;
	struct ckpt_outer outer;
	struct ckpt_quiet quiet;
};

/* Does the tracker report some pages as clean?  Where it could not be started it does not. */
static inline bool ckpt_cut_delta(const struct ckpt_cut *cut)
{
	return cut->tracker.delta && cut->epoch.load_cookie;
}

/* CLOCK_MONOTONIC in ns. */
uint64_t ckpt_cut_now(void);

/* Refuse a group of which nothing lives, and our own. */
int ckpt_cut_refuse_group(const struct ckpt_tagged *group, struct ckpt_err *err);

/* Steps, in order. */
int ckpt_cut_refuse(struct ckpt_cut *cut, struct ckpt_err *err);
int ckpt_cut_open(struct ckpt_cut *cut, struct ckpt_err *err);
/* Look what must not be opened as it is; @stopped: at leases alone, for the rest is known. */
int ckpt_cut_listen(struct ckpt_cut *cut, bool stopped, struct ckpt_err *err);
int ckpt_cut_live(struct ckpt_cut *cut, struct ckpt_err *err);
/* For a full one: stop who is not watched yet, for as long as it takes to watch it, and copy it. */
int ckpt_cut_watch(struct ckpt_cut *cut, struct ckpt_err *err);
/* Within both, before a stop: what a tracker tells ahead of it, into @sink. */
int ckpt_cut_ahead(struct ckpt_cut *cut, const struct ckpt_sink *sink, struct ckpt_err *err);
int ckpt_cut_final(struct ckpt_cut *cut, struct ckpt_err *err);
/*
 * Parts that stops have in common: a keeper, @last: for the one after which a group with --stop
 * does not run any more; descriptors for the tracker; anonymous pages.
 */
int ckpt_cut_open_stop(struct ckpt_cut *cut, bool last, struct ckpt_stop **ret,
		       struct ckpt_err *err);
int ckpt_cut_adopt(struct ckpt_cut *cut, struct ckpt_stop *stop, const struct ckpt_image *image,
		   struct ckpt_err *err);
uint64_t ckpt_cut_resident(int32_t pid);
int ckpt_cut_commit(struct ckpt_cut *cut, struct ckpt_err *err);

#endif
