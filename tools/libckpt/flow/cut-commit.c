// SPDX-License-Identifier: GPL-2.0-or-later
/* After the release: everything becomes durable, then the tracker is told. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "flow/cut.h"
#include "flow/limits.h"

/* A record keeps its space from checkpoint to checkpoint: unchanged pages cost nothing. */
static int put_blob(struct ckpt_cut *cut, const char *name, const struct ckpt_buf *buf,
		    struct ckpt_err *err)
{
	struct ckpt_manifest *m = ckpt_writer_manifest(cut->writer);
	const struct ckpt_blob *old = NULL;
	uint32_t space;

	if (cut->parent)
		old = ckpt_manifest_blob(ckpt_reader_manifest(cut->parent), name);
	if (old)
		space = old->space;
	else if (cut->sink.space_new(cut->sink.self, &space, err))
		return -1;
	if (ckpt_blob_put(&cut->sink, space, buf->data, buf->len, err))
		return -1;
	return ckpt_manifest_set_blob(m, name, space, buf->len, err);
}

static int hash_outer(struct ckpt_cut *cut, struct ckpt_err *err)
{
	cleanup_with(ckpt_outer_done) struct ckpt_outer old = { 0 };
	cleanup_buf struct ckpt_buf buf = CKPT_BUF_INIT;
	struct ckpt_err why = CKPT_ERR_INIT;

	/* It only saves reading: where it is damaged every file is hashed anew. */
	if (cut->parent && (ckpt_reader_blob(cut->parent, CKPT_BLOB_OUTER, &buf, &why) ||
			    ckpt_outer_decode(buf.data, buf.len, &old, &why)) &&
	    why.status != CKPT_DAMAGED) {
		*err = why;
		return -1;
	}
	return ckpt_outer_hash(&cut->outer, &cut->image, cut->files.table, &old, err);
}

static int put_records(struct ckpt_cut *cut, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf tasks = CKPT_BUF_INIT, memory = CKPT_BUF_INIT;
	cleanup_buf struct ckpt_buf roots = CKPT_BUF_INIT, outer = CKPT_BUF_INIT;

	if (ckpt_fs_table_store(cut->files.table, &cut->sink, &roots, &cut->files.stats, err) ||
	    ckpt_outer_drop(&cut->before, &cut->sink, err) ||
	    ckpt_shm_drop(&cut->before, &cut->image, &cut->sink, err) || hash_outer(cut, err) ||
	    ckpt_outer_encode(&cut->outer, &outer, err) ||
	    ckpt_mem_encode(&cut->mem, &memory, err) ||
	    ckpt_image_encode(&cut->image, &tasks, err))
		return -1;
	return put_blob(cut, CKPT_BLOB_ROOTS, &roots, err) ||
	       put_blob(cut, CKPT_BLOB_OUTER, &outer, err) ||
	       put_blob(cut, CKPT_BLOB_MEMORY, &memory, err) ||
	       put_blob(cut, CKPT_BLOB_TASKS, &tasks, err) ? -1 : 0;
}

/* Each stop reads all of them, so whoever wonders why it takes long is told. */
static int note_followed(struct ckpt_manifest *m, uint32_t followed, struct ckpt_err *err)
{
	char text[16];

	if (!followed)
		return 0;
	snprintf(text, sizeof(text), "%" PRIu32, followed);
	return ckpt_manifest_set_note(m, CKPT_NOTE_FOLLOWED, text, strlen(text), err);
}

static int describe(struct ckpt_cut *cut, struct ckpt_err *err)
{
	struct ckpt_manifest *m = ckpt_writer_manifest(cut->writer);
	const struct ckpt_tagged *group = cut->params->group;
	cleanup_buf struct ckpt_buf limits = CKPT_BUF_INIT;

	m->kind = cut->parent ? CKPT_KIND_INCREMENTAL : CKPT_KIND_FULL;
	snprintf(m->tracker, sizeof(m->tracker), "%s", cut->tracker.name);
	if (cut->params->why) {
		free(m->why);
		m->why = strdup(cut->params->why);
		if (!m->why)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the manifest");
	}
	if (cut->epoch.load_cookie)
		snprintf(m->lineage.boot_id, sizeof(m->lineage.boot_id), "%s", cut->boot_id);
	m->lineage.cookie = cut->epoch.load_cookie;
	m->lineage.generation = cut->epoch.generation;
	m->lineage.epoch = cut->epoch.epoch;
	m->counts.files = cut->result.files;
	m->counts.bytes_read = cut->result.memory_read + cut->result.file_read;
	/* With --stop it stands still yet, and is killed once this is durable. */
	m->counts.freeze_ns = cut->result.freeze_ns;
	if (cut->params->stop)
		m->counts.freeze_ns += ckpt_cut_now() - cut->ended_ns;
	m->counts.total_ns = ckpt_cut_now() - cut->began_ns;
	if (note_followed(m, cut->result.followed, err))
		return -1;
	if (!group->cgroup)
		return 0;
	if (ckpt_limits_read(group->cgroup, &limits, err) ||
	    (limits.len &&
	     ckpt_manifest_set_note(m, CKPT_NOTE_LIMITS, limits.data, limits.len, err)))
		return -1;
	return ckpt_manifest_set_note(m, CKPT_NOTE_CGROUP, group->cgroup, strlen(group->cgroup),
				      err);
}

static void count(struct ckpt_cut *cut)
{
	struct ckpt_checkpoint_result *r = &cut->result;

	r->pages = cut->mem.resident_pages;
	r->dirty_pages = cut->mem.dirty_pages;
	r->final_pages = cut->mem.final_pages;
	r->followed = cut->mem.followed;
	r->memory_read = cut->mem.pages_read * CKPT_PAGE_LEN;
	r->files = ckpt_fs_table_count(cut->files.table);
	r->file_read = cut->files.stats.bytes_read;
	r->dirs_opened = cut->files.stats.dirs;
	r->tasks = cut->image.n_tasks;
	for (size_t i = 0; i < cut->image.n_tasks; i++)
		r->threads += cut->image.tasks[i].n_threads;
}

int ckpt_cut_commit(struct ckpt_cut *cut, struct ckpt_err *err)
{
	struct ckpt_manifest *m = ckpt_writer_manifest(cut->writer);
	uint8_t uuid[CKPT_ID_LEN];

	if (ckpt_stage_replay(cut->stage, &cut->sink, err) || put_records(cut, err))
		return -1;
	ckpt_fault("checkpoint.replayed");
	count(cut);
	if (describe(cut, err))
		return -1;
	memcpy(uuid, m->uuid, sizeof(uuid));
	if (ckpt_writer_commit(cut->writer, &cut->result.id, err))
		return -1;
	ckpt_fault("checkpoint.durable");
	cut->result.raw_bytes = m->counts.raw_bytes;
	cut->result.stored_bytes = m->counts.stored_bytes;
	/* Should this fail, the module merges its sets back and the next one is full. */
	if (cut->tracker.commit(cut->tracker.self, uuid, err))
		return ckpt_fail_at(err, "checkpoint %llu is stored, but its epoch stays open",
				    (unsigned long long)cut->result.id);
	cut->epoch_open = false;
	ckpt_fault("checkpoint.committed");
	if (cut->params->stop && ckpt_stop_kill(cut->stop, &cut->result.freeze_ns, err))
		return -1;
	ckpt_stop_tcps(cut->stop, &cut->result.tcp_left, &cut->result.tcp_reset);
	return 0;
}
