// SPDX-License-Identifier: GPL-2.0-or-later
/* Outer files: captured, recorded, checked. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/wire.h"
#include "flow/outer.h"

enum {
	TAG_READ = 1,
	TAG_WRITTEN,
	TAG_PATH,
	TAG_META,
};

/* Entry records are made for names in a directory; the path stands beside it. */
#define META_NAME "content"

void ckpt_outer_done(struct ckpt_outer *outer)
{
	ckpt_fs_externs_done(&outer->read);
	for (size_t i = 0; i < outer->n_written; i++) {
		free(outer->written[i].path);
		ckpt_fs_meta_done(&outer->written[i].meta);
	}
	free(outer->written);
	*outer = (struct ckpt_outer){ 0 };
}

static struct ckpt_fs_loose *add_written(struct ckpt_outer *outer, struct ckpt_err *err)
{
	struct ckpt_fs_loose *list = realloc(outer->written,
					     (outer->n_written + 1) * sizeof(*list));

	if (!list) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for the files outside the roots");
		return NULL;
	}
	outer->written = list;
	list[outer->n_written] = (struct ckpt_fs_loose){ 0 };
	return &list[outer->n_written++];
}

/* A path that opens the file itself, whatever its own leads to by now. */
static void path_through_task(const struct ckpt_file *f, char ret[96])
{
	if (f->capture_fd >= 0)
		snprintf(ret, 96, "/proc/%d/fd/%d", f->capture_pid, f->capture_fd);
	else
		snprintf(ret, 96, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, f->capture_pid,
			 f->capture_start, f->capture_end);
}

/* @ret_shared: what was opened is not ours alone */
static int open_one(struct ckpt_quiet *quiet, const struct ckpt_file *f, const char *at,
		    bool *ret_shared, struct ckpt_err *err)
{
	const struct ckpt_quiet_lease *lease = ckpt_quiet_leased(quiet, f->dev, f->ino);
	int fd;

	*ret_shared = lease;
	if (lease)
		return ckpt_quiet_borrow(quiet, lease, f->path, err);
	fd = ckpt_quiet_open_at(quiet, at, O_RDONLY | O_NOATIME | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? ckpt_fail(err, CKPT_FAILED, -fd, "open %s", at) : fd;
}

static int capture_one(struct ckpt_outer *outer, struct ckpt_file *f,
		       const struct ckpt_sink *sink, struct ckpt_fs_stats *stats,
		       struct ckpt_err *err)
{
	cleanup_meta struct ckpt_fs_meta meta = { 0 };
	struct ckpt_fs_loose *out;
	cleanup_close int fd = -1;
	bool shared;
	char at[96];

	path_through_task(f, at);
	fd = open_one(outer->read.quiet, f, at, &shared, err);
	if (fd < 0 ||
	    ckpt_fs_loose_read(fd, shared, at, false, sink, &f->space, &meta, stats, err))
		return ckpt_fail_at(err, "cannot capture %s", f->path);
	f->size = meta.size;
	if (f->deleted)
		return 0;
	if (meta.nlink > 1)
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s has several names (hard links) and is "
				 "in no root, so that a restore would part them; make its "
				 "directory a root", f->path);
	out = add_written(outer, err);
	if (!out)
		return -1;
	out->path = strdup(f->path);
	if (!out->path)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	out->meta = meta;
	meta = (struct ckpt_fs_meta){ 0 };
	out->space = f->space;
	return 0;
}

int ckpt_outer_capture(struct ckpt_outer *outer, struct ckpt_image *image,
		       const struct ckpt_fs_table *table, const struct ckpt_sink *sink,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_files; i++) {
		struct ckpt_file *f = &image->files[i];

		if (f->kind != CKPT_FILE_REG)
			continue;
		if (!f->deleted && ckpt_fs_table_root_of(table, f->path))
			continue;
		if (!f->deleted && !f->writable &&
		    !ckpt_quiet_leased(outer->read.quiet, f->dev, f->ino))
			continue;
		if (capture_one(outer, f, sink, stats, err))
			return -1;
	}
	return 0;
}

/* Of what procfs tells of the machine (proc/filesystem-read.c) nothing stays the same. */
static bool is_told(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

int ckpt_outer_drop(const struct ckpt_image *parent, const struct ckpt_sink *sink,
		    struct ckpt_err *err)
{
	for (size_t i = 0; i < parent->n_files; i++) {
		const struct ckpt_file *f = &parent->files[i];

		if (f->kind == CKPT_FILE_REG && f->space &&
		    sink->drop(sink->self, f->space, 0, CKPT_PAGE_MAX + 1, err))
			return -1;
	}
	return 0;
}

/*
 * What was hashed is what the tree had, unless the file has changed since the stop.  A
 * change in the very tick of the one before it would not show.
 */
static int check_still(const struct ckpt_outer *outer, const struct ckpt_file *f,
		       struct ckpt_err *err)
{
	const struct ckpt_fs_extern *e = ckpt_fs_extern_find(&outer->read, f->path);
	uint64_t dev = (uint64_t)major(f->dev) << 32 | minor(f->dev);
	struct ckpt_fs_meta m = { .mtime_ns = f->mtime_ns, .ctime_ns = f->ctime_ns };

	if (e->dev != dev || e->ino != f->ino || e->size != f->size ||
	    e->mtime_ns != f->mtime_ns || e->ctime_ns != f->ctime_ns)
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s was changed or replaced after the tree "
				 "had been stopped; take the checkpoint again, and if that "
				 "happens all the time close it or make its directory a root",
				 f->path);
	/* a time still to come is none that a change since could have left */
	if (ckpt_fs_meta_young(&m, outer->stopped_ns) &&
	    m.ctime_ns <= ckpt_fs_now_ns() + CKPT_FS_RACY_NS)
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s was changed just before the tree was "
				 "stopped, so that a change since would not show; take the "
				 "checkpoint again", f->path);
	return 0;
}

static int hash_one(struct ckpt_outer *outer, const struct ckpt_file *f,
		    const struct ckpt_outer *parent, struct ckpt_err *err)
{
	struct ckpt_err why = CKPT_ERR_INIT;

	if (!ckpt_fs_extern_add(&outer->read, f->path, NULL, parent ? &parent->read : NULL, &why))
		return check_still(outer, f, err);
	if (why.os == ENOENT || why.os == ENOTDIR)
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s was removed after the tree had been "
				 "stopped; take the checkpoint again", f->path);
	return ckpt_fail(err, why.status, 0, "%s", why.text);
}

int ckpt_outer_hash(struct ckpt_outer *outer, const struct ckpt_image *image,
		    const struct ckpt_fs_table *table, const struct ckpt_outer *parent,
		    struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if (f->kind != CKPT_FILE_REG || f->deleted || f->space ||
		    ckpt_fs_table_root_of(table, f->path) || is_told(f->path))
			continue;
		if (hash_one(outer, f, parent, err))
			return -1;
	}
	return 0;
}

int ckpt_outer_encode(const struct ckpt_outer *outer, struct ckpt_buf *ret, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf read = CKPT_BUF_INIT;

	if (ckpt_fs_externs_encode(&outer->read, &read, err))
		return -1;
	ckpt_wire_bytes(ret, TAG_READ, read.data, read.len);
	for (size_t i = 0; i < outer->n_written; i++) {
		const struct ckpt_fs_loose *f = &outer->written[i];
		size_t at = ckpt_wire_begin(ret, TAG_WRITTEN), meta;

		ckpt_wire_str(ret, TAG_PATH, f->path);
		meta = ckpt_wire_begin(ret, TAG_META);
		ckpt_fs_meta_encode(ret, META_NAME, &f->meta, f->space);
		ckpt_wire_end(ret, meta);
		ckpt_wire_end(ret, at);
	}
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for the file records") : 0;
}

static int decode_meta(const struct ckpt_record *r, struct ckpt_fs_loose *f,
		       struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_in(r);
	cleanup_free char *name = NULL;
	struct ckpt_record entry;
	int more = ckpt_wire_next(&w, &entry, err);

	if (more > 0 && !f->meta.mode)
		return ckpt_fs_meta_decode(&entry, &name, &f->meta, &f->space, err);
	return more < 0 ? -1 : ckpt_fail(err, CKPT_DAMAGED, 0, "file record has no metadata");
}

static int decode_written(struct ckpt_outer *outer, const struct ckpt_record *r,
			  struct ckpt_err *err)
{
	struct ckpt_fs_loose *f = add_written(outer, err);
	struct ckpt_wire w = ckpt_wire_in(r);
	struct ckpt_record field;
	int more;

	if (!f)
		return -1;
	while ((more = ckpt_wire_next(&w, &field, err)) > 0) {
		int bad = field.tag == TAG_PATH && !f->path ?
				  ckpt_record_str(&field, &f->path, err) :
			  field.tag == TAG_META ? decode_meta(&field, f, err) :
						  ckpt_record_unknown(&field, err);
		if (bad)
			return -1;
	}
	if (more < 0)
		return -1;
	if (!f->path || f->path[0] != '/' || !f->space)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "file record is incomplete");
	return 0;
}

int ckpt_outer_decode(const void *data, size_t len, struct ckpt_outer *ret, struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_of(data, len);
	struct ckpt_outer outer = { 0 };
	struct ckpt_record r;
	int more, bad = 0;

	while (!bad && (more = ckpt_wire_next(&w, &r, err)) > 0)
		bad = r.tag == TAG_READ && !outer.read.n ?
			      ckpt_fs_externs_decode(r.data, r.len, &outer.read, err) :
		      r.tag == TAG_WRITTEN ? decode_written(&outer, &r, err) :
					     ckpt_record_unknown(&r, err);
	if (bad || more < 0) {
		ckpt_outer_done(&outer);
		return -1;
	}
	*ret = outer;
	return 0;
}

int ckpt_outer_check(const struct ckpt_outer *outer, struct ckpt_err *err)
{
	for (size_t i = 0; i < outer->read.n; i++)
		if (ckpt_fs_extern_check(&outer->read.files[i], err))
			return -1;
	return 0;
}
