// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of Unix sockets
 *
 * bind makes a file under the very name that getsockname tells later, and none may be there.  So
 * it is called by a process whose root is an empty directory, in which that name leads anywhere.
 * That directory lies beside where the file belongs, which then gets there by a rename, over the
 * file that a restore of the directory has put there: the name is never missing.  Where the
 * file belongs nowhere, the directory is a file system of its own, seen by that process alone.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/unix-build.h"

#define FD_PATH "/proc/self/fd/%ld"
#define ROOM 8192u		/* scratch memory for a name of a file */

/**
 * struct place - where a file is made
 * @dir, @scratch: descriptors of init: where it belongs, and the directory in there
 * @name: of the latter
 */
struct place {
	int64_t dir, scratch;
	char name[48];
};

static uint64_t put_text(const struct ckpt_site *s, size_t offset, const char *text,
			 struct ckpt_err *err)
{
	return ckpt_site_put(s, offset, text, strlen(text) + 1, err);
}

static int put_address(const struct ckpt_site *s, const uint8_t *name, size_t len,
		       uint64_t *ret_at, uint64_t *ret_len, struct ckpt_err *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	/* the kernel adds the byte that ends a name of full length */
	len = len > sizeof(un.sun_path) ? sizeof(un.sun_path) : len;
	memcpy(un.sun_path, name, len);
	*ret_len = offsetof(struct sockaddr_un, sun_path) + len;
	*ret_at = ckpt_site_put(s, 0, &un, sizeof(un), err);
	return *ret_at ? 0 : -1;
}

static int bind_name(const struct ckpt_site *s, int64_t fd, const uint8_t *name, size_t len,
		     struct ckpt_err *err)
{
	uint64_t at, n;

	if (put_address(s, name, len, &at, &n, err))
		return -1;
	return ckpt_site_call(s, err, "bind a Unix socket", SYS_bind, ARGS(fd, at, n)) < 0 ? -1 : 0;
}

int ckpt_unix_connect(const struct ckpt_site *s, int64_t fd, const uint8_t *name, size_t len,
		      int64_t file, struct ckpt_err *err)
{
	uint64_t at, n;
	char path[64];

	if (file >= 0) {
		len = snprintf(path, sizeof(path), FD_PATH, file) + 1;
		name = (const uint8_t *)path;
	}
	if (put_address(s, name, len, &at, &n, err))
		return -1;
	return ckpt_site_call(s, err, "connect a Unix socket", SYS_connect, ARGS(fd, at, n)) < 0 ?
	       -1 : 0;
}

/* A directory of its own as its root. */
static int enter_own(const struct ckpt_site *s, struct ckpt_err *err)
{
	uint64_t proc = put_text(s, 0, "/proc", err), root = put_text(s, 16, "/", err);
	uint64_t type = put_text(s, 32, "tmpfs", err), here = put_text(s, 48, ".", err);

	if (!proc || !root || !type || !here ||
	    ckpt_site_call(s, err, "have mounts of its own", SYS_mount,
			   ARGS(0, root, 0, MS_REC | MS_PRIVATE, 0)) < 0 ||
	    ckpt_site_call(s, err, "mount a tmpfs", SYS_mount, ARGS(type, proc, type, 0, 0)) < 0 ||
	    ckpt_site_call(s, err, "enter a tmpfs", SYS_chdir, ARGS(proc)) < 0 ||
	    ckpt_site_call(s, err, "change its root", SYS_chroot, ARGS(here)) < 0)
		return -1;
	return 0;
}

static int enter_beside(const struct ckpt_site *s, const char *dir, struct place *p,
			struct ckpt_err *err)
{
	uint64_t at = put_text(s, 0, dir, err), name, here;

	snprintf(p->name, sizeof(p->name), ".ckpt-socket-%d", s->tid);
	if (!at)
		return -1;
	p->dir = ckpt_site_call(s, err, "open the directory of a socket", SYS_openat,
				ARGS(AT_FDCWD, at, O_PATH | O_DIRECTORY | O_CLOEXEC));
	name = put_text(s, 0, p->name, err);
	here = put_text(s, 64, ".", err);
	if (p->dir < 0 || !name || !here ||
	    ckpt_site_call(s, err, "make a directory", SYS_mkdirat, ARGS(p->dir, name, 0700)) < 0)
		return -1;
	p->scratch = ckpt_site_call(s, err, "open a directory", SYS_openat,
				    ARGS(p->dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (p->scratch < 0 ||
	    ckpt_site_call(s, err, "enter a directory", SYS_fchdir, ARGS(p->scratch)) < 0 ||
	    ckpt_site_call(s, err, "change its root", SYS_chroot, ARGS(here)) < 0)
		return -1;
	return 0;
}

/* Every directory that @name leads through: made, or removed with the last one first. */
static int lead(const struct ckpt_site *s, const char *name, bool make, struct ckpt_err *err)
{
	size_t n = strlen(name);

	for (size_t k = 1; k < n; k++) {
		size_t i = make ? k : n - k;
		char prefix[CKPT_UNIX_NAME_MAX + 1];
		int64_t ignored;
		uint64_t at;

		if (name[i] != '/')
			continue;
		memcpy(prefix, name, i);
		prefix[i] = 0;
		at = put_text(s, 0, prefix, err);
		if (!at || ckpt_site_try(s, err, &ignored, make ? SYS_mkdir : SYS_rmdir,
					 ARGS(at, 0700)))
			return -1;
	}
	return 0;
}

/* The file of @name gets owner, mode and time, then its place. */
static int move_file(const struct ckpt_site *s, const char *name, const struct place *p,
		     const struct ckpt_unix *of, struct ckpt_err *err)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_NOW },
		{ .tv_sec = of->path_mtime_ns / 1000000000,
		  .tv_nsec = of->path_mtime_ns % 1000000000 },
	};
	uint64_t at = put_text(s, 0, name, err);
	uint64_t base = put_text(s, ROOM, strrchr(of->path, '/') + 1, err);
	uint64_t when = ckpt_site_put(s, 2 * ROOM, times, sizeof(times), err);

	if (!at || !base || !when ||
	    ckpt_site_call(s, err, "give away a socket", SYS_fchownat,
			   ARGS(AT_FDCWD, at, of->path_uid, of->path_gid,
				AT_SYMLINK_NOFOLLOW)) < 0 ||
	    ckpt_site_call(s, err, "set the mode of a socket", SYS_fchmodat,
			   ARGS(AT_FDCWD, at, of->path_mode)) < 0 ||
	    ckpt_site_call(s, err, "set the time of a socket", SYS_utimensat,
			   ARGS(AT_FDCWD, at, when, AT_SYMLINK_NOFOLLOW)) < 0 ||
	    ckpt_site_call(s, err, "put a socket in its place", SYS_renameat,
			   ARGS(AT_FDCWD, at, p->dir, base)) < 0 ||
	    lead(s, name, false, err))
		return -1;
	at = put_text(s, 0, p->name, err);
	if (!at || ckpt_site_call(s, err, "remove a directory", SYS_unlinkat,
				  ARGS(p->dir, at, AT_REMOVEDIR)) < 0 ||
	    ckpt_site_call(s, err, "close a directory", SYS_close, ARGS(p->dir)) < 0 ||
	    ckpt_site_call(s, err, "close a directory", SYS_close, ARGS(p->scratch)) < 0)
		return -1;
	return 0;
}

/* A file that belongs nowhere: open as a path perhaps, then gone. */
static int drop_file(const struct ckpt_site *s, const char *name, int64_t *ret_file,
		     struct ckpt_err *err)
{
	uint64_t at = put_text(s, 0, name, err);

	if (!at)
		return -1;
	if (ret_file) {
		*ret_file = ckpt_site_call(s, err, "open a socket as a path", SYS_openat,
					   ARGS(AT_FDCWD, at, O_PATH | O_CLOEXEC));
		if (*ret_file < 0)
			return -1;
	}
	return ckpt_site_call(s, err, "remove a socket", SYS_unlink, ARGS(at)) < 0 ? -1 : 0;
}

static int bind_in(const struct ckpt_site *s, int64_t fd, const uint8_t *name, size_t len,
		   const struct ckpt_unix *of, const char *dir, int64_t *ret_file,
		   struct ckpt_err *err)
{
	char text[CKPT_UNIX_NAME_MAX + 1];
	struct place p;

	memcpy(text, name, len);
	text[len] = 0;
	if ((dir ? enter_beside(s, dir, &p, err) : enter_own(s, err)) ||
	    lead(s, text, true, err) || bind_name(s, fd, name, len, err))
		return -1;
	return dir ? move_file(s, text, &p, of, err) : drop_file(s, text, ret_file, err);
}

/* @dir of init, from here. */
static char *seen_from_here(const struct ckpt_restore *r, const char *dir)
{
	char *path;

	return asprintf(&path, "/proc/%d/root%s", r->init.pid, dir) < 0 ? NULL : path;
}

/* A name from a file: by a stand-in of its own, whose root it changes. */
static int bind_file(struct ckpt_restore *r, int64_t fd, const uint8_t *name, size_t len,
		     const struct ckpt_unix *of, int64_t *ret_file, struct ckpt_err *err)
{
	bool placed = of && of->path;
	cleanup_free char *dir = placed ? strdup(of->path) : NULL;
	cleanup_free char *here = NULL;
	struct ckpt_stand_in in;
	struct timespec times[2];
	struct stat st;
	int failed;

	if (placed) {
		dir[strrchr(dir, '/') - dir + (strrchr(dir, '/') == dir)] = 0;
		here = seen_from_here(r, dir);
		if (!here || stat(here, &st))
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "cannot look at the directory of socket %s", of->path);
	}
	if (ckpt_stand_in_raise(r, 0, placed ? 0 : CLONE_NEWNS, &in, err))
		return -1;
	failed = bind_in(&in.site, fd, name, len, of, dir, ret_file, err);
	if (failed && placed)
		ckpt_fail_at(err, "socket %s", of->path);
	if (failed || ckpt_stand_in_lay(r, &in, err))
		return -1;
	if (!placed)
		return 0;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return utimensat(AT_FDCWD, here, times, 0) ?
	       ckpt_fail(err, CKPT_FAILED, errno, "cannot set the times of %s", dir) : 0;
}

int ckpt_unix_bind(struct ckpt_restore *r, int64_t fd, const uint8_t *name, size_t len,
		   const struct ckpt_unix *of, int64_t *ret_file, struct ckpt_err *err)
{
	if (ret_file)
		*ret_file = -1;
	if (!len)
		return 0;
	if (!name[0])
		return bind_name(&r->init_site, fd, name, len, err);
	return bind_file(r, fd, name, len, of, ret_file, err);
}
