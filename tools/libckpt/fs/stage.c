// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stage directory of a root
 *
 * A stage inside a root changes the root's own modification time when it comes
 * and when it goes.  What the time shall be is kept in an attribute of the root
 * from before the one until after the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "fs/loose.h"
#include "fs/path.h"
#include "fs/round.h"
#include "fs/stage.h"

/* No room for more than a name: a longer one is cut, and a hash tells it from others. */
#define LONG_NAME 200
#define SECOND_NS 1000000000ll

void ckpt_fs_stage_done(struct ckpt_fs_stage *s)
{
	ckpt_cleanup_close(&s->parent);
	ckpt_cleanup_close(&s->root);
	ckpt_cleanup_close(&s->fd);
	free(s->path);
	*s = (struct ckpt_fs_stage)CKPT_FS_STAGE_INIT;
}

static int make_parents(const char *path)
{
	cleanup_free char *copy = strdup(path);

	if (!copy)
		return -1;
	for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		if (mkdir(copy, 0755) && errno != EEXIST)
			return -1;
		*p = '/';
	}
	return 0;
}

/* What a path lies on: the length of its mount point, 0 for that of "/". */
static size_t mount_len(const char *path)
{
	cleanup_free char *dir = strdup(path);
	struct ckpt_fs_meta m;

	for (char *end = dir ? strrchr(dir, '/') : NULL; end && end != dir;
	     end = strrchr(dir, '/')) {
		*end = 0;
		if (!ckpt_fs_meta_stat(AT_FDCWD, dir, &m) && m.mount_root)
			return end - dir;
	}
	return 0;
}

int ckpt_fs_stage_locate(struct ckpt_fs_stage *s, const char *path, bool make_parent,
			 struct ckpt_err *err)
{
	cleanup_free char *parent = strndup(path, strrchr(path, '/') - path + 1);
	struct ckpt_fs_meta above, own;
	int rc;

	*s = (struct ckpt_fs_stage)CKPT_FS_STAGE_INIT;
	s->path = strdup(path);
	if (!parent || !s->path)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for root %s", path);
	s->name = strrchr(s->path, '/') + 1;
	if (make_parent && make_parents(path))
		return ckpt_fail(err, CKPT_FAILED, errno, "make what is above root %s", path);
	s->parent = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->parent < 0 && errno == ENOENT)
		return 0;
	if (s->parent < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "open %s", parent);
	s->mount_len = mount_len(path);
	s->root = openat(s->parent, s->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (s->root < 0)
		return errno == ENOENT ? 0 : ckpt_fail(err, CKPT_FAILED, errno, "open %s", path);
	rc = ckpt_fs_meta_stat(s->root, "", &own);
	if (!rc)
		rc = ckpt_fs_meta_stat(s->parent, "", &above);
	if (rc)
		return ckpt_fail(err, CKPT_FAILED, -rc, "stat root %s", path);
	s->inside = own.mnt != above.mnt;
	s->other = !S_ISDIR(own.mode);
	if (s->other)
		close(take_fd(s->root));
	return 0;
}

int ckpt_fs_stage_locate_file(struct ckpt_fs_stage *s, const char *path, struct ckpt_err *err)
{
	const char *name;
	int dir;

	*s = (struct ckpt_fs_stage)CKPT_FS_STAGE_INIT;
	s->file = true;
	s->path = strdup(path);
	if (!s->path)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for file %s", path);
	s->name = strrchr(s->path, '/') + 1;
	dir = ckpt_fs_loose_open_dir(path, &name);
	if (dir == -ENOENT || dir == -ENOTDIR)
		return 0;
	if (dir < 0)
		return ckpt_fs_loose_fail_dir(path, dir, err);
	s->parent = dir;
	s->mount_len = mount_len(path);
	return 0;
}

bool ckpt_fs_stage_moved(const struct ckpt_fs_stage *s)
{
	cleanup_stage struct ckpt_fs_stage now = CKPT_FS_STAGE_INIT;
	struct ckpt_fs_meta a, b;
	int held = s->root >= 0 ? s->root : s->parent, found;

	if (s->file ? ckpt_fs_stage_locate_file(&now, s->path, NULL) :
		      ckpt_fs_stage_locate(&now, s->path, false, NULL))
		return true;
	found = s->root >= 0 ? now.root : now.parent;
	return found < 0 || (s->root < 0 && (now.root >= 0 || now.other != s->other)) ||
	       ckpt_fs_meta_stat(held, "", &a) || ckpt_fs_meta_stat(found, "", &b) ||
	       a.dev != b.dev || a.ino != b.ino;
}

static uint64_t hash_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;	/* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3;
	return hash;
}

/* Where the stage is or would be. */
static int place(const struct ckpt_fs_stage *s, char name[NAME_MAX + 1])
{
	if (s->inside) {
		snprintf(name, NAME_MAX + 1, CKPT_FS_STAGE_INSIDE);
		return s->root;
	}
	if (strlen(s->name) <= LONG_NAME)
		snprintf(name, NAME_MAX + 1, ".%s.ckpt-stage", s->name);
	else
		snprintf(name, NAME_MAX + 1, ".%.*s-%016" PRIx64 ".ckpt-stage", LONG_NAME - 20,
			 s->name, hash_of(s->name));
	return s->parent;
}

bool ckpt_fs_is_stage(const char *name, const struct ckpt_fs_meta *m)
{
	return (!fnmatch(".*.ckpt-stage", name, 0) || !strcmp(name, CKPT_FS_STAGE_INSIDE)) &&
	       S_ISDIR(m->mode) && (m->mode & 07777) == 0700 && m->uid == geteuid();
}

char *ckpt_fs_stage_place(const struct ckpt_fs_stage *s)
{
	char name[NAME_MAX + 1], *path;
	int n;

	place(s, name);
	n = s->inside ? asprintf(&path, "%s/%s", s->path, name) :
			asprintf(&path, "%.*s%s", (int)(s->name - s->path), s->path, name);
	return n < 0 ? NULL : path;
}

bool ckpt_fs_stage_forgets(const struct ckpt_fs_stage *s)
{
	return ckpt_fs_forgets(s->inside ? s->root : s->parent);
}

int ckpt_fs_stage_sync(const struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	int rc = syncfs(s->fd) ? -errno : 0;

	/* the server of a FUSE does not hear of that */
	if (!rc && s->file)
		rc = ckpt_fs_sync_dir(s->parent);
	return rc ? ckpt_fail(err, CKPT_FAILED, -rc, "write %s %s", ckpt_fs_stage_noun(s),
			      s->path) : 0;
}

static int fail_foreign(const struct ckpt_fs_stage *s, const char *name, const char *why,
			struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0, "%s is no stage of ckpt-tool: it %s; remove %s from "
			 "beside or inside %s %s", name, why, name, ckpt_fs_stage_noun(s),
			 s->path);
}

static int open_locked(struct ckpt_fs_stage *s, int dir, const char *name, struct ckpt_err *err)
{
	cleanup_close int fd = openat(dir, name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return fail_foreign(s, name, "is no directory", err);
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "open the stage of %s %s",
				 ckpt_fs_stage_noun(s), s->path);
	/* What is done to the root is read from there: nobody else may have written it. */
	if (fstat(fd, &st) || st.st_uid != geteuid() || (st.st_mode & 077))
		return fail_foreign(s, name, "can be written by others", err);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s %s is being restored; wait for it to end",
				 ckpt_fs_stage_noun(s), s->path);
	s->fd = take_fd(fd);
	return 0;
}

static int set_times(const struct ckpt_fs_stage *s, const int64_t ns[2])
{
	struct timespec times[2];
	char self[32];

	for (int i = 0; i < 2; i++) {
		times[i].tv_nsec = (ns[i] % SECOND_NS + SECOND_NS) % SECOND_NS;
		times[i].tv_sec = (ns[i] - times[i].tv_nsec) / SECOND_NS;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", s->root);
	return utimensat(AT_FDCWD, self, times, 0);
}

int ckpt_fs_stage_times(struct ckpt_fs_stage *s, int64_t atime_ns, int64_t mtime_ns,
			struct ckpt_err *err)
{
	int64_t ns[2] = { atime_ns, mtime_ns };
	char self[32];

	if (!s->inside)
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", s->root);
	if (setxattr(self, CKPT_FS_XATTR_MTIME, ns, sizeof(ns), 0) && errno != ENOTSUP)
		return ckpt_fail(err, CKPT_FAILED, errno, "note the times of root %s", s->path);
	return 0;
}

int ckpt_fs_stage_settle(struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	int64_t ns[2];
	char self[32];

	if (s->root < 0)
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", s->root);
	if (getxattr(self, CKPT_FS_XATTR_MTIME, ns, sizeof(ns)) != sizeof(ns))
		return 0;
	if (set_times(s, ns) || removexattr(self, CKPT_FS_XATTR_MTIME))
		return ckpt_fail(err, CKPT_FAILED, errno, "set the times of root %s", s->path);
	return 0;
}

static int fail_make(const struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, errno, "make a stage for %s %s", ckpt_fs_stage_noun(s),
			 s->path);
}

int ckpt_fs_stage_make(struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	char name[NAME_MAX + 1];
	int dir = place(s, name);
	struct ckpt_fs_meta m;

	if (s->inside && !ckpt_fs_meta_stat(s->root, "", &m) &&
	    ckpt_fs_stage_times(s, m.atime_ns, m.mtime_ns, err))
		return -1;
	if (mkdirat(dir, name, 0700)) {
		if (errno == EEXIST)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "%s %s has an unfinished restore; finish it first",
					 ckpt_fs_stage_noun(s), s->path);
		return fail_make(s, err);
	}
	if (open_locked(s, dir, name, err))
		return -1;
	if (ckpt_fault("fs.stage"))
		return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.stage");
	if (mkdirat(s->fd, "new", 0700) || mkdirat(s->fd, "trash", 0700))
		return fail_make(s, err);
	return 0;
}

bool ckpt_fs_stage_has(const struct ckpt_fs_stage *s, const char *name)
{
	struct stat st;

	return !fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW);
}

int ckpt_fs_stage_open(struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	char name[NAME_MAX + 1];
	int dir = place(s, name);
	struct stat st;

	if (dir < 0)
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
		return 0;
	return open_locked(s, dir, name, err) ? -1 : 1;
}

int ckpt_fs_stage_remove(struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	char name[NAME_MAX + 1];
	int dir = place(s, name), rc;

	/* The journal goes last: until then the next call knows what this is. */
	rc = ckpt_fs_remove_tree(s->fd, "trash", s->fd);
	if (!rc)
		rc = ckpt_fs_remove_tree(s->fd, "new", s->fd);
	if (!rc && ckpt_fault("fs.remove"))
		return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.remove");
	if (!rc)
		rc = ckpt_fs_remove_tree(dir, name, s->fd);
	if (!rc)
		rc = ckpt_fs_sync_dir(dir);
	if (rc)
		return ckpt_fail(err, CKPT_FAILED, -rc, "remove the stage of %s %s",
				 ckpt_fs_stage_noun(s), s->path);
	close(take_fd(s->fd));
	if (ckpt_fault("fs.removed"))
		return ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.removed");
	return ckpt_fs_stage_settle(s, err);
}
