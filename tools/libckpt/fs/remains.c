// SPDX-License-Identifier: GPL-2.0-or-later
/* Remains: the list is one hash for each entry, sorted. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "fs/meta.h"
#include "fs/remains.h"
#include "fs/walk.h"

#define HASH_LEN 16
#define WORDS 6

struct look {
	struct ckpt_buf hashes;
	char *found;
};

/* @several: the file has, or had, other names: they change its change time as well */
static int hash_of(const char *path, const struct ckpt_fs_meta *m, bool several,
		   uint8_t ret[HASH_LEN])
{
	bool dir = S_ISDIR(m->mode);
	uint64_t words[WORDS] = {
		m->mode, m->uid, m->gid, dir ? 0 : m->size, dir ? 0 : m->mtime_ns,
		dir || several ? 0 : m->ctime_ns,
	};
	size_t len = strlen(path), all = sizeof(words) + len;
	cleanup_free uint8_t *data = malloc(all);
	uint8_t md[EVP_MAX_MD_SIZE];

	if (!data)
		return -ENOMEM;
	for (int i = 0; i < WORDS; i++)
		words[i] = htole64(words[i]);
	memcpy(data, words, sizeof(words));
	memcpy(data + sizeof(words), path, len);
	if (!EVP_Digest(data, all, md, NULL, EVP_sha256(), NULL))
		return -ENOMEM;
	memcpy(ret, md, HASH_LEN);
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, HASH_LEN);
}

static int note(void *arg, const char *path, const struct ckpt_fs_meta *m)
{
	struct look *l = arg;
	uint8_t hash[HASH_LEN];
	int rc = hash_of(path, m, m->nlink > 1, hash);

	if (!rc)
		ckpt_buf_put(&l->hashes, hash, sizeof(hash));
	return rc ? rc : l->hashes.failed ? -ENOMEM : 0;
}

static int write_list(int stage, const char *list, const struct ckpt_buf *b)
{
	cleanup_free char *writing = NULL;
	cleanup_close int fd = -1;
	size_t done = 0;

	if (asprintf(&writing, "%s.new", list) < 0) {
		writing = NULL;
		return -ENOMEM;
	}
	fd = openat(stage, writing, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	while (fd >= 0 && done < b->len) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? n : 0;
	}
	if (fd < 0 || fsync(fd) || renameat(stage, writing, stage, list) || syncfs(stage))
		return -errno;
	return 0;
}

int ckpt_fs_remains_list(int dirfd, const char *name, int stage, const char *list)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct look l = { .hashes = CKPT_BUF_INIT };
	struct ckpt_fs_meta m;
	int rc = ckpt_fs_meta_stat(dirfd, name, &m);

	if (!rc)
		rc = note(&l, "", &m);
	if (!rc)
		rc = ckpt_fs_walk(dirfd, name, note, &l);
	b = l.hashes;
	if (rc)
		return rc;
	qsort(b.data, b.len / HASH_LEN, HASH_LEN, by_bytes);
	return write_list(stage, list, &b);
}

static int read_list(int stage, const char *list, struct ckpt_buf *ret)
{
	cleanup_close int fd = openat(stage, list, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (ckpt_buf_reserve(ret, st.st_size))
		return -ENOMEM;
	while (ret->len < (size_t)st.st_size) {
		ssize_t n = read(fd, ret->data + ret->len, st.st_size - ret->len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			break;
		ret->len += n > 0 ? n : 0;
	}
	return ret->len % HASH_LEN ? -EIO : 0;
}

static int look_up(void *arg, const char *path, const struct ckpt_fs_meta *m)
{
	struct look *l = arg;
	uint8_t hash[HASH_LEN];

	for (int several = 0; several < 2; several++) {
		int rc = hash_of(path, m, several, hash);

		if (rc)
			return rc;
		if (bsearch(hash, l->hashes.data, l->hashes.len / HASH_LEN, HASH_LEN, by_bytes))
			return 0;
	}
	l->found = strdup(path);
	return l->found ? 1 : -ENOMEM;
}

int ckpt_fs_remains_check(int dirfd, const char *name, int stage, const char *list,
			  char **ret_path)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct look l = { .hashes = CKPT_BUF_INIT };
	struct ckpt_fs_meta m;
	int rc = ckpt_fs_meta_stat(dirfd, name, &m);

	*ret_path = NULL;
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	rc = read_list(stage, list, &b);
	if (rc)
		return rc;
	l.hashes = b;
	rc = look_up(&l, "", &m);
	if (!rc)
		rc = ckpt_fs_walk(dirfd, name, look_up, &l);
	*ret_path = l.found;
	return rc < 0 ? rc : 1;
}
