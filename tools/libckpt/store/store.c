// SPDX-License-Identifier: GPL-2.0-or-later
/* Store: opening and making one. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "store/inside.h"

#define FORMAT_FILE "format"

void ckpt_store_close(struct ckpt_store *store)
{
	if (!store)
		return;
	ckpt_objects_done(&store->objects);
	if (store->packs >= 0)
		close(store->packs);
	if (store->groups >= 0)
		close(store->groups);
	if (store->dir >= 0)
		close(store->dir);
	free(store->path);
	free(store);
}

static void close_store(struct ckpt_store **store)
{
	ckpt_store_close(*store);
}

/* What an interrupted creation leaves behind is no foreign content. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = { ".", "..", "packs", "groups", "lost+found",
					    FORMAT_FILE ".tmp" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (!strcmp(name, ours[i]))
			return true;
	return false;
}

static int refuse_foreign(const struct ckpt_store *store, struct ckpt_err *err)
{
	cleanup_closedir DIR *d = NULL;
	const struct dirent *e;
	int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read '%s'", store->path);
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read '%s'", store->path);
	}
	while ((errno = 0, e = readdir(d)))
		if (!is_ours(e->d_name))
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "'%s' is not a store: it holds '%s' and no '" FORMAT_FILE
					 "'; name an empty directory", store->path, e->d_name);
	return errno ? ckpt_fail(err, CKPT_FAILED, errno, "cannot read '%s'", store->path) : 0;
}

static int make_folders(const struct ckpt_store *store, struct ckpt_err *err)
{
	if ((mkdirat(store->dir, "packs", 0700) && errno != EEXIST) ||
	    (mkdirat(store->dir, "groups", 0700) && errno != EEXIST))
		return ckpt_store_fail(store->path, errno, "its directories", err);
	return 0;
}

/* The store's own name, which a power cut must not take. */
static int sync_parent(const struct ckpt_store *store, struct ckpt_err *err)
{
	cleanup_close int parent = openat(store->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0 || fsync(parent))
		return ckpt_store_fail(store->path, errno, "the directory it is in", err);
	return 0;
}

/* The format file comes last: a directory with one is a whole store. */
static int make(const struct ckpt_store *store, struct ckpt_err *err)
{
	const struct ckpt_place at = { store->path, store->dir, store->dir, FORMAT_FILE, 0644,
				       "its format", "store.format" };
	struct ckpt_format f = { .version = CKPT_STORE_VERSION };
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;

	if (refuse_foreign(store, err) || sync_parent(store, err) || make_folders(store, err))
		return -1;
	if (getrandom(f.uuid, sizeof(f.uuid), 0) != sizeof(f.uuid))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a name for the store");
	if (ckpt_format_encode(&f, &text, err))
		return -1;
	return ckpt_file_replace(&at, text.data, text.len, err);
}

static int read_format(struct ckpt_store *store, enum ckpt_store_mode mode, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	struct ckpt_err inner = CKPT_ERR_INIT;

	if (ckpt_file_read(store->dir, FORMAT_FILE, 4096, &text, &inner)) {
		if (inner.os != ENOENT) {
			if (err)
				*err = inner;
			return ckpt_fail_at(err, "store '%s'", store->path);
		}
		if (mode != CKPT_STORE_CREATE)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "'%s' is not a store: it has no file '" FORMAT_FILE
					 "'; name the directory of a store", store->path);
		if (make(store, err) || ckpt_file_read(store->dir, FORMAT_FILE, 4096, &text, err))
			return -1;
	}
	if (ckpt_format_decode(text.data, text.len, &store->format, err))
		return ckpt_fail_at(err, "store '%s' cannot be used", store->path);
	return 0;
}

static int check_writable(const struct ckpt_store *store, struct ckpt_err *err)
{
	if (store->format.flags.ro_compat & ~CKPT_RO_COMPAT_KNOWN)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "store '%s' may only be read by this ckpt-tool; use a newer one",
				 store->path);
	if (faccessat(store->packs, ".", W_OK, AT_EACCESS) ||
	    faccessat(store->groups, ".", W_OK, AT_EACCESS))
		return ckpt_store_fail(store->path, errno, "to its directories", err);
	return 0;
}

static int open_folders(struct ckpt_store *store, struct ckpt_err *err)
{
	store->packs = openat(store->dir, "packs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->packs >= 0)
		store->groups = openat(store->dir, "groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->packs >= 0 && store->groups >= 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		return ckpt_fail(err, CKPT_DAMAGED, errno,
				 "store '%s' lacks its directories packs and groups", store->path);
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot open the directories of store '%s'",
			 store->path);
}

struct ckpt_store *ckpt_store_open(const char *path, enum ckpt_store_mode mode,
				   struct ckpt_err *err)
{
	struct ckpt_store *made = calloc(1, sizeof(*made));
	__attribute__((cleanup(close_store))) struct ckpt_store *store = made;

	if (!store || !(store->path = strdup(path))) {
		free(take_ptr(store));
		ckpt_fail(err, CKPT_FAILED, 0, "no memory to open store '%s'", path);
		return NULL;
	}
	store->dir = store->packs = store->groups = -1;
	if (mode == CKPT_STORE_CREATE && mkdir(path, 0700) && errno != EEXIST) {
		ckpt_store_fail(path, errno, "its directory", err);
		return NULL;
	}
	store->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir < 0) {
		ckpt_fail(err, CKPT_FAILED, errno, "cannot open store '%s'", path);
		return NULL;
	}
	store->writable = mode != CKPT_STORE_READ;
	if (read_format(store, mode, err) || open_folders(store, err) ||
	    (store->writable && check_writable(store, err)))
		return NULL;
	ckpt_objects_init(&store->objects, store->packs, store->path);
	return take_ptr(store);
}
