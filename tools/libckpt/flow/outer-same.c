// SPDX-License-Identifier: GPL-2.0-or-later
/* Outer files that are only read: must be the same at restore. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/wire.h"
#include "flow/outer.h"

enum {
	TAG_FILE = 1,
	TAG_PATH,
	TAG_IDENTITY,
	TAG_HASH,
};

#define HASH_LEN 32
#define READ_LEN (1u << 20)

/* What must be equal for the content to be taken as unchanged, host order as u64s. */
struct identity {
	uint64_t dev, ino, size, mtime_ns, ctime_ns;
};

struct same {
	char *path;
	struct identity id;
	uint8_t hash[HASH_LEN];
};

static void same_done(struct same *s)
{
	free(s->path);
}

static uint64_t ns_of(const struct timespec *t)
{
	return t->tv_sec * 1000000000ull + t->tv_nsec;
}

static struct identity identity_of(const struct stat *st)
{
	return (struct identity){ .dev = st->st_dev, .ino = st->st_ino, .size = st->st_size,
				  .mtime_ns = ns_of(&st->st_mtim), .ctime_ns = ns_of(&st->st_ctim) };
}

static void digest_free(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static int hash_file(int fd, const char *path, uint8_t ret[HASH_LEN], struct ckpt_err *err)
{
	cleanup_with(digest_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	cleanup_free void *buf = malloc(READ_LEN);
	ssize_t n;

	if (!ctx || !buf || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to hash %s", path);
	while ((n = read(fd, buf, READ_LEN)) > 0)
		if (!EVP_DigestUpdate(ctx, buf, n))
			return ckpt_fail(err, CKPT_FAILED, 0, "cannot hash %s", path);
	if (n < 0 || !EVP_DigestFinal_ex(ctx, ret, NULL))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read %s", path);
	return 0;
}

static int decode(const struct ckpt_record *r, struct same *ret, struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_in(r);
	struct same s = { 0 };
	struct ckpt_record f;
	int more;

	while ((more = ckpt_wire_next(&w, &f, err)) > 0) {
		int bad = f.tag == TAG_PATH && !s.path ? ckpt_record_str(&f, &s.path, err) :
			  f.tag == TAG_IDENTITY ? ckpt_record_bytes(&f, &s.id, sizeof(s.id), err) :
			  f.tag == TAG_HASH ? ckpt_record_bytes(&f, s.hash, HASH_LEN, err) :
					      ckpt_record_unknown(&f, err);
		if (bad) {
			same_done(&s);
			return -1;
		}
	}
	if (more < 0 || !s.path) {
		same_done(&s);
		return more < 0 ? -1 : ckpt_fail(err, CKPT_DAMAGED, 0, "file record has no path");
	}
	*ret = s;
	return 0;
}

/* The hash that the parent recorded for the very same file. */
static bool known_hash(const struct ckpt_buf *old, const char *path, const struct identity *id,
		       uint8_t ret[HASH_LEN])
{
	struct ckpt_wire w = ckpt_wire_of(old->data, old->len);
	struct ckpt_err ignored = CKPT_ERR_INIT;
	struct ckpt_record r;

	while (ckpt_wire_next(&w, &r, &ignored) > 0) {
		cleanup_with(same_done) struct same s = { 0 };

		if (r.tag != TAG_FILE || decode(&r, &s, &ignored))
			return false;
		if (strcmp(s.path, path))
			continue;
		memcpy(ret, s.hash, HASH_LEN);
		return !memcmp(&s.id, id, sizeof(*id));
	}
	return false;
}

/*
 * A change within the granularity of the file system's clock could leave equal
 * times: identity only counts for a file that was at rest when it was hashed.
 */
static bool at_rest(const struct identity *id)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return id->ctime_ns + 1000000000ull < ns_of(&now);
}

static int encode_one(const struct ckpt_file *f, const struct ckpt_buf *old,
		      struct ckpt_buf *ret, struct ckpt_err *err)
{
	cleanup_close int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	struct identity id;
	uint8_t hash[HASH_LEN];
	struct stat st;
	size_t at;

	if (fd < 0 || fstat(fd, &st))
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "cannot read %s, which the group uses and no root holds", f->path);
	if ((uint64_t)st.st_size != f->size || (int64_t)ns_of(&st.st_mtim) != f->mtime_ns)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s, which the group uses and no root holds, changes meanwhile; "
				 "make its directory a root", f->path);
	id = identity_of(&st);
	if (!known_hash(old, f->path, &id, hash) && hash_file(fd, f->path, hash, err))
		return -1;
	if (!at_rest(&id))
		id.ctime_ns = 0;
	at = ckpt_wire_begin(ret, TAG_FILE);
	ckpt_wire_str(ret, TAG_PATH, f->path);
	ckpt_wire_bytes(ret, TAG_IDENTITY, &id, sizeof(id));
	ckpt_wire_bytes(ret, TAG_HASH, hash, HASH_LEN);
	ckpt_wire_end(ret, at);
	return 0;
}

static bool only_read(const struct ckpt_image *image, size_t i, const struct ckpt_fs_table *table)
{
	const struct ckpt_file *f = &image->files[i];

	if (f->kind != CKPT_FILE_REG || f->space || f->deleted ||
	    ckpt_fs_table_root_of(table, f->path))
		return false;
	for (size_t j = 0; j < i; j++)
		if (image->files[j].path && image->files[j].kind == CKPT_FILE_REG &&
		    !strcmp(image->files[j].path, f->path))
			return false;
	return true;
}

int ckpt_outer_encode(const struct ckpt_image *image, const struct ckpt_fs_table *table,
		      const struct ckpt_buf *old, struct ckpt_buf *ret, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_files; i++)
		if (only_read(image, i, table) && encode_one(&image->files[i], old, ret, err))
			return -1;
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for the file records") : 0;
}

static int check_one(const struct same *s, struct ckpt_err *err)
{
	cleanup_close int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	struct identity id;
	uint8_t hash[HASH_LEN];
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return ckpt_fail(err, CKPT_REFUSED, errno, "cannot read %s, which the group used",
				 s->path);
	id = identity_of(&st);
	if (!memcmp(&id, &s->id, sizeof(id)))
		return 0;
	if (id.size == s->id.size && hash_file(fd, s->path, hash, err))
		return -1;
	if (id.size != s->id.size || memcmp(hash, s->hash, HASH_LEN))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s is not the file that the group used; put that version back",
				 s->path);
	return 0;
}

int ckpt_outer_check(const void *data, size_t len, struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_of(data, len);
	struct ckpt_record r;
	int more;

	while ((more = ckpt_wire_next(&w, &r, err)) > 0) {
		cleanup_with(same_done) struct same s = { 0 };

		if (r.tag != TAG_FILE) {
			if (ckpt_record_unknown(&r, err))
				return -1;
			continue;
		}
		if (decode(&r, &s, err) || check_one(&s, err))
			return -1;
	}
	return more;
}
