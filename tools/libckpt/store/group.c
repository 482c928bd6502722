// SPDX-License-Identifier: GPL-2.0-or-later
/* Group: the directory in a store with the checkpoints of one group. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "store/group.h"

/* The highest id of a checkpoint that was removed: no name is used twice. */
#define REMOVED_SUFFIX ".removed"
#define MANIFEST_SUFFIX ".manifest"

void ckpt_group_done(struct ckpt_group *g)
{
	int *const fds[] = { &g->dir, &g->tmp, &g->lock, &g->store_lock };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		ckpt_cleanup_close(fds[i]);
		*fds[i] = -1;
	}
}

static int open_dir(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int make(struct ckpt_store *store, const char *name, struct ckpt_err *err)
{
	if (mkdirat(store->groups, name, 0700) && errno != EEXIST)
		return ckpt_store_fail(store->path, errno, "the directory of a group", err);
	return 0;
}

int ckpt_group_open(struct ckpt_store *store, const char *name, bool create,
		    struct ckpt_group *ret, struct ckpt_err *err)
{
	cleanup_group struct ckpt_group g = CKPT_GROUP_INIT;

	if (!ckpt_name_valid(name))
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "'%s' is no name of a group; use 1 to 63 letters, digits, "
				 "'.', '_' or '-'", name);
	g.dir = open_dir(store->groups, name);
	if (g.dir < 0 && errno == ENOENT && create) {
		if (make(store, name, err))
			return -1;
		g.dir = open_dir(store->groups, name);
	}
	if (g.dir < 0 && errno == ENOENT)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "store '%s' holds no group '%s'; run 'ckpt-tool log --store %s' "
				 "to see which it holds", store->path, name, store->path);
	if (g.dir < 0)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot open group '%s' of store '%s'", name,
				 store->path);
	/* also where somebody else made it and died before this */
	if (create && fsync(store->groups))
		return ckpt_store_fail(store->path, errno, "the directory of a group", err);
	g.store = store;
	memcpy(g.name, name, strlen(name));
	*ret = g;
	g = (struct ckpt_group)CKPT_GROUP_INIT;
	return 0;
}

/* Files in a directory by a callback. Return: 0, or -1 with errno. */
static int each(int dir, void (*fn)(void *self, const char *name), void *self)
{
	int fd = open_dir(dir, ".");
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		ckpt_cleanup_close(&fd);
		return -1;
	}
	while ((errno = 0, e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			fn(self, e->d_name);
	return errno ? -1 : 0;
}

static void remove_tmp(void *self, const char *name)
{
	unlinkat(*(const int *)self, name, 0);
}

static int take_lock(const struct ckpt_group *g, struct ckpt_err *err)
{
	char pid[24] = "";

	if (!flock(g->lock, LOCK_EX | LOCK_NB)) {
		int n = snprintf(pid, sizeof(pid), "%d\n", getpid());

		/* Only for the message below: it may fail. */
		if (!ftruncate(g->lock, 0))
			n = pwrite(g->lock, pid, n, 0);
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot lock group '%s'", g->name);
	if (pread(g->lock, pid, sizeof(pid) - 1, 0) <= 0)
		pid[0] = 0;
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "group '%s' is being written by another ckpt-tool (pid %d); "
			 "wait for it to end", g->name, atoi(pid));
}

int ckpt_group_lock(struct ckpt_group *g, struct ckpt_err *err)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;

	g->lock = openat(g->dir, "lock", flags, 0600);
	g->store_lock = openat(g->store->dir, "lock", flags, 0600);
	if (g->lock < 0 || g->store_lock < 0)
		return ckpt_store_fail(g->store->path, errno, "a lock", err);
	if (take_lock(g, err))
		return -1;
	if (flock(g->store_lock, LOCK_SH | LOCK_NB))
		return ckpt_fail(err, CKPT_FAILED, errno == EWOULDBLOCK ? 0 : errno,
				 "store '%s' is being cleaned; wait for that to end",
				 g->store->path);
	if (mkdirat(g->dir, "tmp", 0700) && errno != EEXIST)
		return ckpt_store_fail(g->store->path, errno, "the directory of a group", err);
	g->tmp = open_dir(g->dir, "tmp");
	if (g->tmp < 0 || each(g->tmp, remove_tmp, &g->tmp))
		return ckpt_store_fail(g->store->path, errno, "the directory of a group", err);
	return 0;
}

/* "<number><suffix>" without leading zeros. Return: the number, 0 for anything else. */
static uint64_t numbered(const char *name, const char *suffix)
{
	uint64_t id = 0;

	if (*name == '0')
		return 0;
	for (; *name >= '0' && *name <= '9'; name++) {
		if (id > UINT64_MAX / 10 - 1)
			return 0;
		id = id * 10 + (*name - '0');
	}
	return strcmp(name, suffix) ? 0 : id;
}

struct ids {
	uint64_t *id;
	size_t n;
	uint64_t highest;	/* removed ones included */
	bool failed;
};

static void collect(void *self, const char *name)
{
	struct ids *ids = self;
	uint64_t id = numbered(name, MANIFEST_SUFFIX), gone = numbered(name, REMOVED_SUFFIX);

	ids->highest = id > ids->highest ? id : ids->highest;
	ids->highest = gone > ids->highest ? gone : ids->highest;
	if (!id)
		return;
	if (!(ids->n & (ids->n - 1))) {
		uint64_t *p = realloc(ids->id, (ids->n ? 2 * ids->n : 1) * sizeof(*p));

		if (!p) {
			ids->failed = true;
			return;
		}
		ids->id = p;
	}
	ids->id[ids->n++] = id;
}

static int rising(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int scan(const struct ckpt_group *g, struct ids *ret, struct ckpt_err *err)
{
	if (each(g->dir, collect, ret))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read group '%s' of store '%s'",
				 g->name, g->store->path);
	if (ret->failed)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "no memory for the ids of group '%s'", g->name);
	if (ret->n)
		qsort(ret->id, ret->n, sizeof(*ret->id), rising);
	return 0;
}

int ckpt_group_ids(const struct ckpt_group *g, uint64_t **ret, size_t *ret_n,
		   struct ckpt_err *err)
{
	struct ids ids = { 0 };

	if (scan(g, &ids, err)) {
		free(ids.id);
		return -1;
	}
	*ret = ids.id;
	*ret_n = ids.n;
	return 0;
}

int ckpt_group_next_id(const struct ckpt_group *g, uint64_t *ret, struct ckpt_err *err)
{
	struct ids ids = { 0 };
	int rc = scan(g, &ids, err);

	free(ids.id);
	if (!rc)
		*ret = ids.highest + 1;
	return rc;
}

static const char *file_of(uint64_t id, const char *suffix, char ret[64])
{
	snprintf(ret, 64, "%" PRIu64 "%s", id, suffix);
	return ret;
}

int ckpt_group_manifest(const struct ckpt_group *g, uint64_t id, struct ckpt_manifest *ret,
			struct ckpt_hash *ret_hash, struct ckpt_err *err)
{
	cleanup_manifest struct ckpt_manifest m = { 0 };
	cleanup_buf struct ckpt_buf data = CKPT_BUF_INIT;
	struct ckpt_err inner = CKPT_ERR_INIT;
	struct ckpt_hash hash;
	char name[64];

	if (ckpt_file_read(g->dir, file_of(id, MANIFEST_SUFFIX, name), CKPT_MANIFEST_LEN_MAX, &data,
			   &inner)) {
		if (inner.os == ENOENT)
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "group '%s' has no checkpoint %" PRIu64
					 "; run 'ckpt-tool log %s' to see which it has", g->name,
					 id, g->name);
		return ckpt_fail(err, inner.status, 0,
				 "checkpoint '%s@%" PRIu64 "': %s", g->name, id,
				 inner.text);
	}
	if (ckpt_manifest_decode(data.data, data.len, &m, err))
		return ckpt_fail_at(err, "checkpoint '%s@%" PRIu64 "'", g->name, id);
	if (strcmp(m.name, g->name) || m.id != id)
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "checkpoint '%s@%" PRIu64 "' has the manifest of '%s@%" PRIu64 "'",
				 g->name, id, m.name, m.id);
	if (ret_hash && ckpt_hash_of(data.data, data.len, &hash))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot hash a manifest");
	if (ret_hash)
		*ret_hash = hash;
	*ret = m;
	m = (struct ckpt_manifest){ 0 };
	return 0;
}

static struct ckpt_place manifest_place(const struct ckpt_group *g, uint64_t id, char name[64])
{
	return (struct ckpt_place){ g->store->path, g->tmp, g->dir,
				    file_of(id, MANIFEST_SUFFIX, name), 0600, "a manifest",
				    "store.manifest" };
}

int ckpt_group_prepare(const struct ckpt_group *g, const struct ckpt_manifest *m,
		       struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf data = CKPT_BUF_INIT;
	char name[64];
	const struct ckpt_place at = manifest_place(g, m->id, name);

	if (ckpt_manifest_encode(m, &data, err))
		return -1;
	return ckpt_file_prepare(&at, data.data, data.len, err);
}

int ckpt_group_commit(const struct ckpt_group *g, uint64_t id, struct ckpt_err *err)
{
	char name[64];
	const struct ckpt_place at = manifest_place(g, id, name);

	return ckpt_file_move(&at, RENAME_NOREPLACE, err);
}

void ckpt_group_discard(const struct ckpt_group *g, uint64_t id)
{
	char name[64];
	const struct ckpt_place at = manifest_place(g, id, name);

	ckpt_file_discard(&at);
}

struct sweep {
	int dir;
	uint64_t below;
};

static void remove_stale_mark(void *self, const char *name)
{
	const struct sweep *s = self;
	uint64_t id = numbered(name, REMOVED_SUFFIX);

	if (id && id < s->below)
		unlinkat(s->dir, name, 0);
}

/* Remember the highest id, if it is the one about to go. */
static int leave_mark(const struct ckpt_group *g, uint64_t id, struct ckpt_err *err)
{
	struct sweep sweep = { g->dir, id };
	uint64_t next;
	char name[64];
	const struct ckpt_place at = { g->store->path, g->tmp, g->dir,
				       file_of(id, REMOVED_SUFFIX, name), 0600, "a removal",
				       "store.removed" };

	if (ckpt_group_next_id(g, &next, err))
		return -1;
	if (next != id + 1)
		return 0;
	if (ckpt_file_replace(&at, NULL, 0, err))
		return -1;
	each(g->dir, remove_stale_mark, &sweep);
	return 0;
}

int ckpt_group_remove(const struct ckpt_group *g, uint64_t id, struct ckpt_err *err)
{
	char name[64];

	file_of(id, MANIFEST_SUFFIX, name);
	if (faccessat(g->dir, name, F_OK, 0))
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "group '%s' has no checkpoint %" PRIu64
				 "; run 'ckpt-tool log %s' to see which it has", g->name, id,
				 g->name);
	if (leave_mark(g, id, err))
		return -1;
	if (ckpt_fault("store.remove-unlink") || unlinkat(g->dir, name, 0))
		return ckpt_store_fail(g->store->path, errno, "a removal", err);
	unlinkat(g->dir, file_of(id, ".state", name), 0);
	if (fsync(g->dir))
		return ckpt_store_fail(g->store->path, errno, "a removal", err);
	return 0;
}
