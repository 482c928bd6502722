// SPDX-License-Identifier: GPL-2.0-or-later
/* Journal of a restore: written, read, moved to its next state. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/journal.h"

#define TAG_ROOT 64
#define TAG_OP 65
#define TAG_KIND 66
#define TAG_N 67
#define TAG_PATH 68
#define TAG_END 69
/* An older reader goes on without, as it does without the next one. */
#define TAG_WAS (70 | CKPT_WIRE_OPTIONAL)
/* Of the root before it. */
#define TAG_INSIDE (71 | CKPT_WIRE_OPTIONAL)
/* An older reader goes on, and takes the file for a root that is no directory. */
#define TAG_FILE (72 | CKPT_WIRE_OPTIONAL)
/* Of the root before it, where that is no file. */
#define TAG_MOUNT (73 | CKPT_WIRE_OPTIONAL)
#define TAG_BOOT (74 | CKPT_WIRE_OPTIONAL)

#define WRITING "journal"

void ckpt_fs_journal_done(struct ckpt_fs_journal *j)
{
	for (size_t i = 0; i < j->n_roots; i++)
		free(j->roots[i].path);
	for (size_t i = 0; i < j->n_ops; i++) {
		free(j->ops[i].path);
		ckpt_fs_meta_done(&j->ops[i].meta);
	}
	free(j->roots);
	free(j->ops);
	*j = (struct ckpt_fs_journal){ 0 };
}

struct ckpt_fs_was ckpt_fs_was_of(const struct ckpt_fs_meta *m)
{
	return (struct ckpt_fs_was){ .kind = CKPT_FS_WAS_NODE, .ino = m->ino,
				     .mtime_ns = m->mtime_ns,
				     .size = S_ISDIR(m->mode) ? 0 : m->size };
}

void ckpt_fs_journal_root(struct ckpt_buf *b, const struct ckpt_fs_journal_root *root)
{
	ckpt_wire_str(b, TAG_ROOT, root->path);
	ckpt_wire_u64(b, TAG_INSIDE, root->inside);
	ckpt_wire_u64(b, root->file ? TAG_FILE : TAG_MOUNT, root->mount_len);
	if (root->boot)
		ckpt_wire_u64(b, TAG_BOOT, root->boot);
}

void ckpt_fs_journal_op(struct ckpt_buf *b, uint32_t kind, uint64_t n, const char *path,
			const struct ckpt_fs_was *was, const struct ckpt_fs_meta *meta)
{
	size_t at = ckpt_wire_begin(b, TAG_OP);
	uint64_t words[4];

	ckpt_wire_u64(b, TAG_KIND, kind);
	ckpt_wire_u64(b, TAG_N, n);
	ckpt_wire_str(b, TAG_PATH, path);
	if (was) {
		words[0] = htole64(was->kind);
		words[1] = htole64(was->ino);
		words[2] = htole64(was->mtime_ns);
		words[3] = htole64(was->size);
		ckpt_wire_bytes(b, TAG_WAS, words, sizeof(words));
	}
	/* The entry's space is of no use here, but an entry without one is no entry. */
	if (meta)
		ckpt_fs_meta_encode(b, "", meta, 1);
	ckpt_wire_end(b, at);
}

int ckpt_fs_journal_write(int stage, const char *name, struct ckpt_buf *b, struct ckpt_err *err)
{
	cleanup_close int fd = openat(stage, WRITING, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				      0600);
	size_t done = 0;

	ckpt_wire_u64(b, TAG_END, b->len);
	if (b->failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the journal of a restore");
	while (fd >= 0 && done < b->len) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? n : 0;
	}
	if (fd < 0 || done < b->len || fsync(fd))
		return ckpt_fail(err, CKPT_FAILED, errno, "write the journal of a restore");
	return ckpt_fs_journal_move(stage, WRITING, name, err);
}

int ckpt_fs_journal_move(int stage, const char *from, const char *to, struct ckpt_err *err)
{
	if (renameat(stage, from, stage, to) || fsync(stage))
		return ckpt_fail(err, CKPT_FAILED, errno, "write the journal of a restore");
	return 0;
}

static int read_all(int stage, const char *name, struct ckpt_buf *ret, int64_t *ret_written_ns)
{
	cleanup_close int fd = openat(stage, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	if (ckpt_buf_reserve(ret, st.st_size)) {
		errno = ENOMEM;
		return -1;
	}
	while (ret->len < (size_t)st.st_size) {
		ssize_t n = read(fd, ret->data + ret->len, st.st_size - ret->len);

		if (n < 0 && errno != EINTR)
			return -1;
		if (!n)
			break;
		ret->len += n > 0 ? n : 0;
	}
	*ret_written_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
	return 0;
}

static int parse_was(const struct ckpt_record *r, struct ckpt_fs_was *ret, struct ckpt_err *err)
{
	uint64_t words[4];

	if (ckpt_record_bytes(r, words, sizeof(words), err))
		return -1;
	*ret = (struct ckpt_fs_was){ le64toh(words[0]), le64toh(words[1]), le64toh(words[2]),
				     le64toh(words[3]) };
	return 0;
}

/* A path inside the root, or "" the root. */
static bool is_below(const char *path)
{
	for (const char *at = path; *path; at = strchr(at, '/') + 1) {
		size_t n = strcspn(at, "/");

		if (!n || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		if (!at[n])
			return true;
	}
	return true;
}

static int parse_op(const struct ckpt_record *r, struct ckpt_fs_op *op, struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_in(r);
	struct ckpt_record f;
	uint32_t space;
	uint64_t kind;
	char *name;
	int rc;

	while ((rc = ckpt_wire_next(&w, &f, err)) == 1) {
		if (f.tag == TAG_KIND) {
			rc = ckpt_record_u64(&f, &kind, err);
			op->kind = rc ? 0 : kind;
		} else if (f.tag == TAG_N) {
			rc = ckpt_record_u64(&f, &op->n, err);
		} else if (f.tag == TAG_PATH && !op->path) {
			rc = ckpt_record_str(&f, &op->path, err);
		} else if (f.tag == TAG_WAS) {
			rc = parse_was(&f, &op->was, err);
		} else if (f.tag == CKPT_FS_TAG_ENTRY && !op->meta.mode) {
			rc = ckpt_fs_meta_decode(&f, &name, &op->meta, &space, err);
			if (!rc)
				free(name);
		} else {
			rc = ckpt_record_unknown(&f, err);
		}
		if (rc)
			return -1;
	}
	if (!rc && (!op->path || !is_below(op->path) || op->kind < CKPT_FS_OP_TRASH ||
		    op->kind > CKPT_FS_OP_META || (op->kind == CKPT_FS_OP_META) != !!op->meta.mode))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "an operation in it makes no sense");
	return rc;
}

static int add_root(struct ckpt_fs_journal *j, const struct ckpt_record *r, struct ckpt_err *err)
{
	struct ckpt_fs_journal_root *roots = realloc(j->roots, (j->n_roots + 1) * sizeof(*roots));

	if (!roots)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory");
	j->roots = roots;
	roots[j->n_roots] = (struct ckpt_fs_journal_root){ 0 };
	if (ckpt_record_str(r, &roots[j->n_roots].path, err))
		return -1;
	j->n_roots++;
	return 0;
}

/* What is said of the root before it. */
static int add_to_root(struct ckpt_fs_journal *j, const struct ckpt_record *r,
		       struct ckpt_err *err)
{
	struct ckpt_fs_journal_root *root = j->n_roots ? &j->roots[j->n_roots - 1] : NULL;
	uint64_t word;

	if (!root)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "a root in it has no path");
	if (ckpt_record_u64(r, &word, err))
		return -1;
	if (r->tag == TAG_INSIDE) {
		root->inside = word;
	} else if (r->tag == TAG_BOOT) {
		root->boot = word;
	} else {
		root->file = r->tag == TAG_FILE;
		root->mount_known = true;
		root->mount_len = word;
	}
	return 0;
}

static int add_op(struct ckpt_fs_journal *j, const struct ckpt_record *r, struct ckpt_err *err)
{
	/* The room doubles whenever the number is a power of two. */
	if (!(j->n_ops & (j->n_ops - 1))) {
		void *ops = realloc(j->ops, (j->n_ops ? j->n_ops * 2 : 1) * sizeof(*j->ops));

		if (!ops)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory");
		j->ops = ops;
	}
	j->ops[j->n_ops] = (struct ckpt_fs_op){ 0 };
	return parse_op(r, &j->ops[j->n_ops++], err);
}

static int parse(const struct ckpt_buf *b, struct ckpt_fs_journal *j, struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_of(b->data, b->len);
	uint64_t end = 0;
	struct ckpt_record r;
	size_t at = 0;
	int rc;

	while ((rc = ckpt_wire_next(&w, &r, err)) == 1 && r.tag != TAG_END) {
		if (r.tag == TAG_ROOT)
			rc = add_root(j, &r, err);
		else if (r.tag == TAG_INSIDE || r.tag == TAG_FILE || r.tag == TAG_MOUNT ||
			 r.tag == TAG_BOOT)
			rc = add_to_root(j, &r, err);
		else if (r.tag == TAG_OP)
			rc = add_op(j, &r, err);
		else
			rc = ckpt_record_unknown(&r, err);
		if (rc)
			return -1;
		at = w.at;
	}
	if (rc < 0 || (rc && ckpt_record_u64(&r, &end, err)))
		return -1;
	if (!rc || end != at || w.at != b->len || !j->n_roots)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "it is cut short");
	return 0;
}

int ckpt_fs_journal_read(int stage, const char *name, struct ckpt_fs_journal *ret,
			 struct ckpt_err *err)
{
	cleanup_journal struct ckpt_fs_journal j = { 0 };
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	if (read_all(stage, name, &b, &j.written_ns))
		return ckpt_fail(err, CKPT_FAILED, errno, "read the journal of a restore");
	if (parse(&b, &j, err))
		return ckpt_fail_at(err, "read the journal of a restore");
	*ret = j;
	j = (struct ckpt_fs_journal){ 0 };
	return 0;
}
