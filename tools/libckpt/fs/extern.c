// SPDX-License-Identifier: GPL-2.0-or-later
/* External files: records of what a tree only reads. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/wire.h"
#include "fs/content.h"
#include "fs/extern.h"
#include "fs/meta.h"
#include "fs/path.h"

#define TAG_EXTERN 96
#define TAG_PATH 97
#define TAG_STAT 98
#define TAG_HASH 99
#define STAT_WORDS 7

void ckpt_fs_externs_done(struct ckpt_fs_externs *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->files[i].path);
	free(e->files);
	*e = (struct ckpt_fs_externs){ 0 };
}

const struct ckpt_fs_extern *ckpt_fs_extern_find(const struct ckpt_fs_externs *e,
						 const char *path)
{
	for (size_t i = 0; i < e->n; i++)
		if (!strcmp(e->files[i].path, path))
			return &e->files[i];
	return NULL;
}

static void md_free(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static int hash_fd(int fd, const char *path, uint8_t ret[CKPT_FS_HASH_LEN], struct ckpt_err *err)
{
	cleanup_with(md_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	cleanup_free void *buf = malloc(CKPT_FS_CHUNK);
	ssize_t n;

	if (!ctx || !buf || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to hash %s", path);
	while ((n = read(fd, buf, CKPT_FS_CHUNK))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "read %s", path);
		if (!EVP_DigestUpdate(ctx, buf, n))
			return ckpt_fail(err, CKPT_FAILED, 0, "hash %s", path);
	}
	if (!EVP_DigestFinal_ex(ctx, ret, NULL))
		return ckpt_fail(err, CKPT_FAILED, 0, "hash %s", path);
	return 0;
}

static bool same_as(const struct ckpt_fs_extern *f, const struct ckpt_fs_meta *m)
{
	return !f->young && f->dev == m->dev && f->ino == m->ino && f->size == m->size &&
	       f->mtime_ns == m->mtime_ns && f->ctime_ns == m->ctime_ns &&
	       f->btime_ns == m->btime_ns;
}

/* Open a regular file and look at it. Return: descriptor or -1. */
static int open_file(struct ckpt_quiet *quiet, const char *at, struct ckpt_fs_meta *ret,
		     struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_quiet_open_at(quiet, at,
						  O_RDONLY | O_NOATIME | O_NONBLOCK | O_NOCTTY);
	int rc;

	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, -fd, "open %s", at);
	rc = ckpt_fs_meta_stat(fd, "", ret);
	if (rc)
		return ckpt_fail(err, CKPT_FAILED, -rc, "stat %s", at);
	if (!S_ISREG(ret->mode))
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s is not a regular file", at);
	return take_fd(fd);
}

static struct ckpt_fs_extern *room(struct ckpt_fs_externs *e)
{
	if (e->n == e->cap) {
		size_t cap = e->cap ? e->cap * 2 : 32;
		void *files = realloc(e->files, cap * sizeof(*e->files));

		if (!files)
			return NULL;
		e->files = files;
		e->cap = cap;
	}
	return &e->files[e->n];
}

int ckpt_fs_extern_add(struct ckpt_fs_externs *e, const char *path, const char *at,
		       const struct ckpt_fs_externs *parent, struct ckpt_err *err)
{
	const struct ckpt_fs_extern *old = parent ? ckpt_fs_extern_find(parent, path) : NULL;
	int64_t now = ckpt_fs_now_ns();
	struct ckpt_fs_extern *f, new = { 0 };
	struct ckpt_fs_meta m, after;
	cleanup_close int fd = -1;
	int rc;

	if (ckpt_fs_extern_find(e, path))
		return 0;
	fd = open_file(e->quiet, at ? at : path, &m, err);
	if (fd < 0)
		return -1;
	if (old && same_as(old, &m) && ckpt_fs_times_tell(fd))
		memcpy(new.hash, old->hash, sizeof(new.hash));
	else if (hash_fd(fd, path, new.hash, err))
		return -1;
	ckpt_fault("extern.hashed");
	rc = ckpt_fs_meta_stat(fd, "", &after);
	if (rc)
		return ckpt_fail(err, CKPT_FAILED, -rc, "stat %s", path);
	if (!ckpt_fs_meta_same_times(&m, &after))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s was changed while it was hashed; take the checkpoint again",
				 path);
	new.dev = m.dev;
	new.ino = m.ino;
	new.size = m.size;
	new.mtime_ns = m.mtime_ns;
	new.ctime_ns = m.ctime_ns;
	new.btime_ns = m.btime_ns;
	new.young = ckpt_fs_meta_young(&m, now);
	f = room(e);
	new.path = strdup(path);
	if (!f || !new.path) {
		free(new.path);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to record %s", path);
	}
	*f = new;
	e->n++;
	return 0;
}

int ckpt_fs_extern_check(const struct ckpt_fs_extern *f, struct ckpt_err *err)
{
	uint8_t hash[CKPT_FS_HASH_LEN];
	cleanup_close int fd = -1;
	struct ckpt_fs_meta m;

	fd = open_file(NULL, f->path, &m, err);
	if (fd < 0) {
		if (err)
			err->status = CKPT_REFUSED;
		return ckpt_fail_at(err, "a file that the tree needs is not there");
	}
	if (same_as(f, &m) && ckpt_fs_times_tell(fd))
		return 0;
	if (f->size == m.size && hash_fd(fd, f->path, hash, err))
		return -1;
	if (f->size != m.size || memcmp(hash, f->hash, sizeof(hash)))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s has changed since the checkpoint; put the old version back",
				 f->path);
	return 0;
}

int ckpt_fs_externs_encode(const struct ckpt_fs_externs *e, struct ckpt_buf *ret,
			   struct ckpt_err *err)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct ckpt_fs_extern *f = &e->files[i];
		uint64_t w[STAT_WORDS] = { f->dev, f->ino, f->size, f->mtime_ns, f->ctime_ns,
					   f->btime_ns, f->young };
		size_t at = ckpt_wire_begin(ret, TAG_EXTERN);

		for (int k = 0; k < STAT_WORDS; k++)
			w[k] = htole64(w[k]);
		ckpt_wire_str(ret, TAG_PATH, f->path);
		ckpt_wire_bytes(ret, TAG_STAT, w, sizeof(w));
		ckpt_wire_bytes(ret, TAG_HASH, f->hash, sizeof(f->hash));
		ckpt_wire_end(ret, at);
	}
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for the external files") : 0;
}

static int decode_one(const struct ckpt_record *r, struct ckpt_fs_extern *ret,
		      struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_in(r);
	struct ckpt_fs_extern f = { 0 };
	uint64_t s[STAT_WORDS];
	struct ckpt_record p[3];

	if (r->tag != TAG_EXTERN)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "list of external files is damaged");
	for (int i = 0; i < 3; i++)
		if (ckpt_wire_next(&w, &p[i], err) != 1 || p[i].tag != (uint32_t)TAG_PATH + i)
			return ckpt_fail(err, CKPT_DAMAGED, 0, "list of external files is damaged");
	if (ckpt_record_bytes(&p[1], s, sizeof(s), err) ||
	    ckpt_record_bytes(&p[2], f.hash, sizeof(f.hash), err) ||
	    ckpt_record_str(&p[0], &f.path, err))
		return -1;
	for (int k = 0; k < STAT_WORDS; k++)
		s[k] = le64toh(s[k]);
	f.dev = s[0];
	f.ino = s[1];
	f.size = s[2];
	f.mtime_ns = s[3];
	f.ctime_ns = s[4];
	f.btime_ns = s[5];
	f.young = s[6];
	*ret = f;
	return 0;
}

int ckpt_fs_externs_decode(const void *data, size_t len, struct ckpt_fs_externs *ret,
			   struct ckpt_err *err)
{
	cleanup_externs struct ckpt_fs_externs e = { 0 };
	struct ckpt_wire w = ckpt_wire_of(data, len);
	struct ckpt_record r;
	int rc;

	while ((rc = ckpt_wire_next(&w, &r, err)) == 1) {
		struct ckpt_fs_extern *f = room(&e);

		if (!f)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the external files");
		if (decode_one(&r, f, err))
			return -1;
		e.n++;
	}
	if (rc)
		return -1;
	*ret = e;
	e = (struct ckpt_fs_externs){ 0 };
	return 0;
}
