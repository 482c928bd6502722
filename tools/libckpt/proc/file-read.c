// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptor tables, open files, and files that are mapped or named. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/socket.h"

/*
 * The kernel appends " (deleted)" to the name of a file that has lost it; a
 * file may as well be called so, and the name may have come back.
 */
static bool strip_deleted(const struct ckpt_held_proc *p, char *path, const struct stat *st)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(path), n = sizeof(mark) - 1;

	if (len <= n || strcmp(path + len - n, mark) || ckpt_leads_to(p, path, st))
		return false;
	path[len - n] = 0;
	return !ckpt_leads_to(p, path, st);
}

/*
 * overlayfs tells the count of links from when it looked the file up: one that was
 * opened from the lower layer, then removed, has it for ever.  A descriptor that can
 * write is another matter: what goes through it must reach the other link, if any.
 */
static bool keeps_count(struct ckpt_held_proc *p, const char *name)
{
	cleanup_close int fd = openat(p->dir, name, O_PATH | O_CLOEXEC);
	struct statfs fs;
	struct stat link;

	if (fd < 0 || fstatfs(fd, &fs) || fs.f_type != OVERLAYFS_SUPER_MAGIC)
		return false;
	/* the link of a descriptor, of a process or our own, has the mode in which it is open */
	return (strncmp(name, "fd/", 3) && *name != '/') ||
	       (!fstatat(p->dir, name, &link, AT_SYMLINK_NOFOLLOW) && !(link.st_mode & 0200));
}

/* The directories above a deleted file that are gone as well are made for that moment. */
static bool has_room(const struct ckpt_held_proc *p, const char *path)
{
	char full[PATH_MAX + 8];
	struct stat dir;
	char *slash;

	snprintf(full, sizeof(full), "root%s", path);
	for (slash = strchr(full + 5, '/'); slash; slash = strchr(slash + 1, '/')) {
		int gone;

		*slash = 0;
		gone = fstatat(p->dir, full, &dir, 0);
		*slash = '/';
		if (gone)
			return errno == ENOENT;
		if (!S_ISDIR(dir.st_mode))
			return false;
	}
	return true;
}

/*
 * A deleted file comes back under a name of its own for a moment, beside where
 * it was; and alone: with other links to it there would be two files instead
 * of one.
 */
static int check_deleted(struct ckpt_held_proc *p, const char *name, const struct ckpt_file *f,
			 const struct stat *st, struct ckpt_err *err)
{
	if (!f->deleted)
		return 0;
	if (S_ISREG(st->st_mode) && st->st_nlink && !keeps_count(p, name))
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) has %s as %s, a name that is gone while other hard links lead "
			"to the file, none of them in that directory or a root, which this version "
			"cannot restore", p->pid, p->comm, f->path, name);
	if (has_room(p, f->path))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has the deleted %s as %s, where something else has come in place of "
		"a directory, which this version cannot restore", p->pid, p->comm, f->path, name);
}

static void from_stat(struct ckpt_file *f, const struct stat *st)
{
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->mode = st->st_mode;
	f->rdev = st->st_rdev;
	f->size = st->st_size;
	f->uid = st->st_uid;
	f->gid = st->st_gid;
	f->mtime_ns = st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec;
	f->ctime_ns = st->st_ctim.tv_sec * 1000000000ll + st->st_ctim.tv_nsec;
}

static int add_file(struct ckpt_reader *r, struct ckpt_file *f, uint32_t *ret, struct ckpt_err *err)
{
	struct ckpt_file *files = ckpt_grow(r->image->files, &r->image->n_files, sizeof(*files));

	if (!files)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of files");
	r->image->files = files;
	*ret = r->image->n_files - 1;
	files[*ret] = *f;
	f->path = NULL;
	return 0;
}

static void file_done(struct ckpt_file *f)
{
	free(f->path);
}

/* While it has a name, a file comes back under that, with all its other links. */
static void take_other_name(const struct ckpt_reader *r, const struct ckpt_held_proc *p,
			    struct ckpt_file *f, const struct stat *st)
{
	char *name = ckpt_read_other_name(r->hold, p, f->path, st);

	if (!name)
		return;
	free(f->path);
	f->path = name;
	f->deleted = false;
}

/* Link and stat of @name below /proc/PID, with deletion told apart. */
static int look_at(const struct ckpt_reader *r, struct ckpt_held_proc *p, const char *name,
		   struct ckpt_file *f, struct ckpt_err *err)
{
	struct stat st;
	int e = ckpt_procfs_link(p->dir, name, &f->path);

	if (e || fstatat(p->dir, name, &st, 0))
		return ckpt_fail(err, CKPT_FAILED, e ? -e : errno,
				 "cannot look at %s of pid %d (%s)", name, p->pid, p->comm);
	from_stat(f, &st);
	if (st.st_dev == r->shm_dev) {
		f->kind = CKPT_FILE_SHM;
		return 0;
	}
	if (f->path[0] == '/')
		f->deleted = strip_deleted(p, f->path, &st);
	if (f->deleted && S_ISREG(st.st_mode) && st.st_nlink)
		take_other_name(r, p, f, &st);
	return check_deleted(p, name, f, &st, err);
}

/* The same file, used in the same way; neither by a descriptor. */
static bool same_named(const struct ckpt_file *a, const struct ckpt_file *b)
{
	if (a->capture_fd >= 0 || a->ino != b->ino || a->dev != b->dev || a->flags != b->flags ||
	    a->deleted != b->deleted || a->kind != b->kind)
		return false;
	return a->kind == CKPT_FILE_SHM ? a->object == b->object : !strcmp(a->path, b->path);
}

int ckpt_read_named(struct ckpt_reader *r, struct ckpt_held_proc *p, const char *name,
		    uint32_t flags, uint32_t *ret, struct ckpt_err *err)
{
	cleanup_with(file_done) struct ckpt_file f = {
		.flags = flags,
		.pipe = CKPT_NONE,
		.capture_pid = p->pid,
		.capture_fd = -1,
		.writable = flags == O_RDWR,
	};
	unsigned long long start, end;

	if (look_at(r, p, name, &f, err) || ckpt_filesystem_check(p, name, f.path, f.mode, err))
		return -1;
	if (sscanf(name, "map_files/%llx-%llx", &start, &end) == 2) {
		f.capture_start = start;
		f.capture_end = end;
	}
	if (f.kind == CKPT_FILE_SHM && ckpt_read_shm(r, p, &f, err))
		return -1;
	if (S_ISDIR(f.mode))
		f.kind = CKPT_FILE_DIR;
	else if (!S_ISREG(f.mode))
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) uses %s as %s, which this version cannot restore", p->pid,
			p->comm, f.path, name);
	for (uint32_t i = 0; i < r->image->n_files; i++) {
		if (same_named(&r->image->files[i], &f)) {
			*ret = i;
			return 0;
		}
	}
	return add_file(r, &f, ret, err);
}

static int check_state(struct ckpt_held_proc *p, int fd, const struct ckpt_file *f,
		       const struct ckpt_proc_fdinfo *info, struct ckpt_err *err)
{
	const char *what = NULL;

	if (info->odd)
		what = "a lock of an unknown kind";
	else if (!f->deleted && f->kind == CKPT_FILE_REG && (f->flags & O_TMPFILE) == O_TMPFILE)
		what = "a file that was made without a name and has been given one";
	else if ((f->kind == CKPT_FILE_PIPE || f->kind == CKPT_FILE_FIFO) &&
		 (f->flags & O_DIRECT))
		what = "a pipe in packet mode";
	else if (f->kind >= CKPT_FILE_EVENTFD && f->kind != CKPT_FILE_PROC &&
		 f->flags & O_PATH)
		what = "a path of what has none";
	if (info->breaking)
		what = "a lease that it is to give up";
	if (!what)
		return 0;
	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds %s on descriptor %d (%s), which this version cannot restore",
		p->pid, p->comm, what, fd, f->path);
	return info->breaking ? ckpt_fail_passing(err) : -1;
}

static bool same_description(const struct ckpt_file *a, const struct ckpt_file *b)
{
	return a->capture_fd >= 0 && a->ino == b->ino && a->dev == b->dev && a->pos == b->pos &&
	       a->flags == b->flags &&
	       syscall(SYS_kcmp, a->capture_pid, b->capture_pid, KCMP_FILE, a->capture_fd,
		       b->capture_fd) == 0;
}

/* What it leads to, as far as that is not a file or looked at when all tables are known. */
static int read_object(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_file *f,
		       const char *fdinfo, struct ckpt_err *err)
{
	switch (f->kind) {
	case CKPT_FILE_PIPE:
		f->pipe_write = (f->flags & O_ACCMODE) == O_WRONLY;
		return 0;
	case CKPT_FILE_EVENTFD:
		return ckpt_read_eventfd(r, f, fdinfo, err);
	case CKPT_FILE_TIMERFD:
		return ckpt_read_timerfd(r, f, fdinfo, err);
	case CKPT_FILE_SIGNALFD:
		return ckpt_read_signalfd(r, f, fdinfo, err);
	case CKPT_FILE_INOTIFY:
		return ckpt_read_inotify(r, f, fdinfo, err);
	case CKPT_FILE_PIDFD:
		return ckpt_read_pidfd(r, f, fdinfo, err);
	case CKPT_FILE_URING:
		return ckpt_read_uring(r, f, fdinfo, err);
	case CKPT_FILE_SOCKET:
		return ckpt_read_socket(r, f, err);
	case CKPT_FILE_SHM:
		return ckpt_read_shm(r, p, f, err);
	case CKPT_FILE_PROC:
		return ckpt_read_procfile(r, p, f, err);
	default:
		return 0;
	}
}

/* @at: where the descriptor of @f is listed, with a slash at its end, from the directory of @p */
static int look_at_fd(struct ckpt_reader *r, struct ckpt_held_proc *p, const char *at,
		      struct ckpt_file *f, struct ckpt_proc_fdinfo *info, struct ckpt_err *err)
{
	int e, fd = f->capture_fd;
	char name[48];

	snprintf(name, sizeof(name), "%sfd/%d", at, fd);
	if (look_at(r, p, name, f, err) ||
	    ckpt_fd_check(f->capture_pid, p->comm, fd, f->path, f->mode, f->rdev, err) ||
	    ckpt_filesystem_check(p, name, f->path, f->mode, err))
		return -1;
	snprintf(name, sizeof(name), "%sfdinfo/%d", at, fd);
	e = ckpt_procfs_read_piece(p->dir, name, &r->hold->scratch);
	if (e || ckpt_parse_fdinfo((char *)r->hold->scratch.data, info))
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read descriptor %d of pid %d", fd,
				 f->capture_pid);
	if (f->kind != CKPT_FILE_SHM)
		f->kind = ckpt_fd_kind(f);
	f->pos = info->pos;
	f->flags = info->flags;
	f->writable = (f->flags & O_ACCMODE) != O_RDONLY && !(f->flags & O_PATH);
	return check_state(p, fd, f, info, err);
}

/* One that was not seen yet, as look_at_fd has left it. */
static int add_fd(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_file *f,
		  bool leased, uint32_t *ret, struct ckpt_err *err)
{
	if (ckpt_read_owner(r, p, f, leased, err) ||
	    read_object(r, p, f, (char *)r->hold->scratch.data, err))
		return -1;
	if (f->path && f->path[0] != '/') {
		free(f->path);
		f->path = NULL;
	}
	return add_file(r, f, ret, err);
}

static int read_fd(struct ckpt_reader *r, struct ckpt_held_proc *p, int fd, struct ckpt_fd *ret,
		   struct ckpt_err *err)
{
	cleanup_with(file_done) struct ckpt_file f = {
		.pipe = CKPT_NONE,
		.capture_pid = p->pid,
		.capture_fd = fd,
	};
	struct ckpt_proc_fdinfo info;

	if (look_at_fd(r, p, "", &f, &info, err))
		return -1;
	ret->fd = fd;
	ret->cloexec = info.cloexec;
	for (uint32_t i = 0; i < r->image->n_files; i++) {
		if (same_description(&r->image->files[i], &f)) {
			ret->file = i;
			return info.locked ? ckpt_read_locks(r, p, fd, i, true, err) : 0;
		}
	}
	if (add_fd(r, p, &f, info.leased, &ret->file, err))
		return -1;
	return info.locked ? ckpt_read_locks(r, p, fd, ret->file, false, err) : 0;
}

int ckpt_read_own_fd(struct ckpt_reader *r, struct ckpt_held_proc *p, int own, uint32_t *ret,
		     struct ckpt_err *err)
{
	cleanup_with(file_done) struct ckpt_file f = {
		.pipe = CKPT_NONE,
		.capture_pid = getpid(),
		.capture_fd = own,
	};
	struct ckpt_proc_fdinfo info;

	if (look_at_fd(r, p, "/proc/self/", &f, &info, err))
		return -1;
	if (info.locked)
		return ckpt_fail(err, CKPT_REFUSED, 0, "it has a lock");
	/* which is made again by who has it open */
	if (f.flags & O_ASYNC)
		return ckpt_fail(err, CKPT_REFUSED, 0, "it has signal-driven I/O");
	switch (f.kind) {
	case CKPT_FILE_INOTIFY:
	case CKPT_FILE_PTM:
	case CKPT_FILE_PTS:
	case CKPT_FILE_PIDFD:
	case CKPT_FILE_URING:
	case CKPT_FILE_OUTER:
		return ckpt_fail(err, CKPT_REFUSED, 0, "it leads to %s", f.path);
	}
	return add_fd(r, p, &f, info.leased, ret, err);
}

int ckpt_read_fdinfo(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);
	char name[48];
	int e;

	snprintf(name, sizeof(name), "%sfdinfo/%d", p ? "" : "/proc/self/", f->capture_fd);
	e = ckpt_procfs_read(p ? p->dir : AT_FDCWD, name, &r->hold->scratch);
	return e ? ckpt_fail(err, CKPT_FAILED, -e, "cannot read descriptor %d of pid %d",
			     f->capture_fd, f->capture_pid) : 0;
}

/*
 * For a survey: @fd was refused.  Something stands in its place, so that who leads to it finds
 * that, and what was noted of it is forgotten.
 */
static int pass_fd(struct ckpt_reader *r, struct ckpt_held_proc *p, int fd,
		   const struct ckpt_image *before, struct ckpt_fd *ret, struct ckpt_err *err)
{
	cleanup_with(file_done) struct ckpt_file f = {
		.kind = CKPT_FILE_CHR,
		.pipe = CKPT_NONE,
		.capture_pid = p->pid,
		.capture_fd = fd,
		.path = strdup("/dev/null"),
	};
	struct stat st;
	char name[32];

	if (ckpt_survey_pass(r->hold->survey, -1, err))
		return -1;
	ckpt_image_cut(r->image, before);
	snprintf(name, sizeof(name), "fd/%d", fd);
	if (!f.path || fstatat(p->dir, name, &st, 0))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot look at %s of pid %d", name, p->pid);
	from_stat(&f, &st);
	ret->fd = fd;
	return add_file(r, &f, &ret->file, err);
}

int ckpt_read_fdtable(struct ckpt_reader *r, struct ckpt_held_proc *p, uint32_t *ret,
		      struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_fdtable *table = ckpt_grow(image->fdtables, &image->n_fdtables, sizeof(*table));
	cleanup_free int *fds = NULL;
	struct ckpt_image before;
	ssize_t n;

	if (!table)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a descriptor table");
	image->fdtables = table;
	table += image->n_fdtables - 1;
	n = ckpt_procfs_numbers(p->dir, "fd", &fds);
	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, -n, "cannot list the descriptors of pid %d",
				 p->pid);
	table->fds = calloc(n ? n : 1, sizeof(*table->fds));
	if (!table->fds)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a descriptor table");
	before = *image;
	for (ssize_t i = 0; i < n; i++) {
		if (read_fd(r, p, fds[i], &table->fds[i], err) &&
		    pass_fd(r, p, fds[i], &before, &table->fds[i], err))
			return -1;
		table->n_fds = i + 1;
		before = *image;
	}
	*ret = image->n_fdtables - 1;
	return 0;
}
