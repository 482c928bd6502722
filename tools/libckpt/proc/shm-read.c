// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory without a name: memfds, shared anonymous memory, System V segments
 *
 * All of it is files of one file system that nobody can mount, so its device tells it from
 * everything else.  A segment has its id for an inode number, which a memfd may have as
 * well: the two are told apart by what they are called.  The content is read by flow.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/shm.h"

#define SEGMENT_LOCKED 02000	/* SHM_LOCKED, SHM_DEST: of shm_perm.mode */
#define SEGMENT_DOOMED 01000
#define ATTRIBUTES_MAX 4096	/* bytes of their names */

int ckpt_shm_device(uint64_t *ret, struct ckpt_err *err)
{
	cleanup_close int fd = memfd_create("ckpt", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a memfd");
	*ret = st.st_dev;
	return 0;
}

const struct ckpt_file *ckpt_shm_file(const struct ckpt_image *image, size_t index)
{
	const struct ckpt_file *f = image->files;

	while (f->kind != CKPT_FILE_SHM || f->object != index)
		f++;
	return f;
}

void ckpt_shm_path(const struct ckpt_file *f, char ret[CKPT_SHM_PATH_LEN])
{
	int n = snprintf(ret, CKPT_SHM_PATH_LEN, "/proc/%d/", f->capture_pid);

	if (f->capture_fd >= 0)
		snprintf(ret + n, CKPT_SHM_PATH_LEN - n, "fd/%d", f->capture_fd);
	else if (f->capture_end)
		snprintf(ret + n, CKPT_SHM_PATH_LEN - n, "map_files/%" PRIx64 "-%" PRIx64,
			 f->capture_start, f->capture_end);
	else
		snprintf(ret + n, CKPT_SHM_PATH_LEN - n, "exe");
}

static int refuse(const struct ckpt_held_proc *p, const char *link, const char *what,
		  struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has %s (%s), which this version cannot restore", p->pid, p->comm,
		what, link);
}

/* Kind and name, by the text of a link. Return: 0, or -1: it is none of those. */
static int kind_of(const char *link, struct ckpt_shm *s)
{
	static const char memfd[] = "/memfd:", anon[] = "/dev/zero", sysv[] = "/SYSV";
	static const char deleted[] = " (deleted)";
	size_t len = strlen(link), mark = sizeof(deleted) - 1;
	char *end;

	if (len < mark || strcmp(link + len - mark, deleted))
		return -1;
	len -= mark;
	if (len == sizeof(anon) - 1 && !strncmp(link, anon, len)) {
		s->kind = CKPT_SHM_ANON;
		return 0;
	}
	if (!strncmp(link, memfd, sizeof(memfd) - 1)) {
		s->kind = CKPT_SHM_MEMFD;
		s->name = strndup(link + sizeof(memfd) - 1, len - sizeof(memfd) + 1);
		return 0;
	}
	if (strncmp(link, sysv, sizeof(sysv) - 1) || !isxdigit(link[sizeof(sysv) - 1]))
		return -1;
	s->kind = CKPT_SHM_SYSV;
	s->key = (int32_t)strtoul(link + sizeof(sysv) - 1, &end, 16);
	return end == link + len ? 0 : -1;
}

/* Attributes and flags that somebody has set on purpose. */
static bool has_attributes(int fd)
{
	static const char label[] = "security.";
	char names[ATTRIBUTES_MAX];
	ssize_t len = flistxattr(fd, names, sizeof(names));
	int flags;

	if (!ioctl(fd, FS_IOC_GETFLAGS, &flags) && flags)
		return true;
	if (len < 0)
		return errno != ENOTSUP;
	for (const char *at = names; at < names + len; at += strlen(at) + 1) {
		if (strncmp(at, label, sizeof(label) - 1))
			return true;
	}
	return false;
}

static int read_memfd(const struct ckpt_held_proc *p, const char *link, int fd, struct ckpt_shm *s,
		      struct ckpt_err *err)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (!s->name)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the name of a memfd");
	if (seals < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the seals of %s of pid %d",
				 link, p->pid);
	if (seals & ~(int)CKPT_SHM_SEALS)
		return refuse(p, link, "a memfd with a seal of a newer kernel", err);
	s->seals = seals;
	return has_attributes(fd) ? refuse(p, link, "a memfd with extended attributes or flags of "
					   "chattr", err) : 0;
}

static int read_new(struct ckpt_held_proc *p, const struct ckpt_file *f, struct ckpt_shm *s,
		    struct ckpt_err *err)
{
	cleanup_close int fd = -1;
	char path[CKPT_SHM_PATH_LEN];

	ckpt_shm_path(f, path);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s (%s)", path, f->path);
	if (s->kind == CKPT_SHM_SYSV)
		s->id = (int32_t)s->ino;
	return s->kind == CKPT_SHM_MEMFD ? read_memfd(p, f->path, fd, s, err) : 0;
}

static void shm_done(struct ckpt_shm *s)
{
	free(s->name);
}

static bool same(const struct ckpt_shm *a, const struct ckpt_shm *b)
{
	return a->kind == b->kind && a->ino == b->ino && a->dev == b->dev;
}

int ckpt_read_shm(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_file *f,
		  struct ckpt_err *err)
{
	cleanup_with(shm_done) struct ckpt_shm s = {
		.dev = f->dev, .ino = f->ino, .size = f->size, .mode = f->mode & 07777,
		.uid = f->uid, .gid = f->gid, .mtime_ns = f->mtime_ns,
	};
	struct ckpt_shm *list;

	if (kind_of(f->path, &s))
		return refuse(p, f->path, "memory of a driver", err);
	if (s.kind == CKPT_SHM_SYSV && f->capture_fd >= 0)
		return refuse(p, f->path, "a descriptor of a System V segment", err);
	for (f->object = 0; f->object < r->image->n_shms; f->object++) {
		if (same(&r->image->shms[f->object], &s))
			break;
	}
	if (f->object == r->image->n_shms) {
		if (read_new(p, f, &s, err))
			return -1;
		list = ckpt_grow(r->image->shms, &r->image->n_shms, sizeof(*list));
		if (!list)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of memfds");
		r->image->shms = list;
		list[f->object] = s;
		s.name = NULL;
	}
	free(f->path);
	f->path = NULL;
	return 0;
}

/* Attachments in the tree: each area is one. */
static size_t attachments(const struct ckpt_image *image, const struct ckpt_shm *s)
{
	size_t n = 0;

	for (size_t i = 0; i < image->n_mms; i++) {
		for (size_t j = 0; j < image->mms[i].n_areas; j++)
			n += ckpt_area_shm(image, &image->mms[i].areas[j]) == s;
	}
	return n;
}

static int refuse_segment(const struct ckpt_reader *r, const struct ckpt_shm *s, const char *what,
			  struct ckpt_err *err)
{
	pid_t pid = ckpt_shm_file(r->image, s - r->image->shms)->capture_pid;
	const struct ckpt_held_proc *p = r->hold->procs;

	while (p->pid != pid)
		p++;
	return ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s) has System V segment %d, which %s; "
			 "that cannot be restored", pid, p->comm, s->id, what);
}

static int read_segment(const struct ckpt_reader *r, struct ckpt_shm *s, struct ckpt_err *err)
{
	struct shmid_ds ds;
	int got = shmctl(s->id, IPC_STAT, &ds);

	if (got && errno != EINVAL && errno != EIDRM)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at System V segment %d",
				 s->id);
	s->doomed = !got && ds.shm_perm.mode & SEGMENT_DOOMED;
	if (got || ds.shm_segsz != s->size || (!s->doomed && ds.shm_perm.__key != s->key))
		return refuse_segment(r, s, "is not in its ipc namespace", err);
	if (ds.shm_perm.mode & SEGMENT_LOCKED)
		return refuse_segment(r, s, "is locked (SHM_LOCK)", err);
	s->mode = ds.shm_perm.mode & 0777;
	s->uid = ds.shm_perm.uid;
	s->gid = ds.shm_perm.gid;
	s->cuid = ds.shm_perm.cuid;
	s->cgid = ds.shm_perm.cgid;
	return ds.shm_nattch == attachments(r->image, s) ? 0 :
	       refuse_segment(r, s, "somebody outside the tree has attached as well", err);
}

static bool has_segment(const struct ckpt_image *image, int32_t id)
{
	for (size_t i = 0; i < image->n_shms; i++) {
		if (image->shms[i].kind == CKPT_SHM_SYSV && image->shms[i].id == id)
			return true;
	}
	return false;
}

/* In a namespace of the tree's own there is nothing but what comes back. */
static int check_others(const struct ckpt_reader *r, size_t n, struct ckpt_err *err)
{
	struct shm_info info;
	struct shmid_ds ds;
	int highest = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);

	for (int slot = 0; slot <= highest && (size_t)info.used_ids > n; slot++) {
		int id = shmctl(slot, SHM_STAT_ANY, &ds);

		if (id >= 0 && !has_segment(r->image, id))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"the tree has an ipc namespace of its own with System V segment "
				"%d (key 0x%x) in it that no process of it has attached, which "
				"this version cannot restore; remove it there with ipcrm -m %d",
				id, ds.shm_perm.__key, id);
	}
	return 0;
}

static int read_segments(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_survey *survey = r->hold->survey;
	size_t n = 0;

	for (size_t i = 0; i < r->image->n_shms; i++) {
		struct ckpt_shm *s = &r->image->shms[i];

		if (s->kind != CKPT_SHM_SYSV)
			continue;
		n++;
		if (ckpt_survey_pass(survey, read_segment(r, s, err), err))
			return -1;
	}
	return r->image->n_ipc ? check_others(r, n, err) : 0;
}

static int read_sysv(void *arg, struct ckpt_err *err)
{
	struct ckpt_reader *r = arg;
	struct ckpt_survey *survey = r->hold->survey;

	return ckpt_survey_pass(survey, read_segments(r, err), err) ||
	       ckpt_survey_pass(survey, ckpt_read_sems(r, err), err) ||
	       ckpt_survey_pass(survey, ckpt_read_messages(r, err), err) ? -1 : 0;
}

int ckpt_read_sysv(struct ckpt_reader *r, struct ckpt_err *err)
{
	return ckpt_read_in_ipc(r, read_sysv, r, err);
}
