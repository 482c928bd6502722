// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory without a name: is it what the image has, and does each task have the right one? */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/parse.h"

static int verify_memfd(const struct ckpt_shm *s, int fd, const struct stat *st,
			struct ckpt_err *err)
{
	if (fcntl(fd, F_GET_SEALS) != (int)s->seals)
		return NOT_AS_CAPTURED("memfd '%s' has other seals", s->name);
	if ((st->st_mode & 07777) != s->mode || st->st_uid != s->uid || st->st_gid != s->gid)
		return NOT_AS_CAPTURED("memfd '%s' has another owner or mode", s->name);
	return 0;
}

/* That of a memfd is a descriptor of the tree as well, whose position must stay. */
static int open_apart(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_shm_open(r, index, err);
	char path[32];
	int own;

	if (fd < 0 || r->image->shms[index].kind != CKPT_SHM_MEMFD)
		return take_fd(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY | O_CLOEXEC);
	return own < 0 ? ckpt_fail(err, CKPT_FAILED, errno, "cannot open a memfd once more") : own;
}

static int verify_shm(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_shm *s = &r->image->shms[index];
	cleanup_close int fd = open_apart(r, index, err);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) || (uint64_t)st.st_size != s->size)
		return NOT_AS_CAPTURED("shared memory is not of the size of the checkpoint");
	if ((s->kind == CKPT_SHM_MEMFD && verify_memfd(s, fd, &st, err)) ||
	    (s->kind == CKPT_SHM_SYSV && ckpt_segment_verify(r, index, err)))
		return -1;
	return ckpt_shm_compare(r, s, fd, err);
}

int ckpt_verify_shms(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_shms; i++) {
		if (verify_shm(r, i, err))
			return -1;
	}
	return 0;
}

/* The object of image file @index as it is now, or NULL. */
static const struct ckpt_build_shm *made_of(const struct ckpt_restore *r, uint32_t index)
{
	const struct ckpt_file *f = index == CKPT_NONE ? NULL : &r->image->files[index];

	return f && f->kind == CKPT_FILE_SHM ? &r->shms[f->object] : NULL;
}

/* Every line of maps that lies in an area of such memory names its inode. */
static int verify_areas(const struct ckpt_restore *r, const struct ckpt_build_task *t,
			struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	cleanup_free char *text = NULL;
	struct ckpt_maps_line m;
	const char *at;
	char path[64];
	size_t i = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", t->host);
	if (ckpt_build_text(path, &text, err))
		return -1;
	for (at = text; ckpt_parse_maps_line(&at, &m) > 0;) {
		while (i < mm->n_areas && mm->areas[i].end <= m.start)
			i++;
		for (size_t j = i; j < mm->n_areas && mm->areas[j].start < m.end; j++) {
			const struct ckpt_build_shm *made = made_of(r, mm->areas[j].file);

			if (made && (made->ino != m.ino || made->dev != m.dev))
				return NOT_AS_CAPTURED("process %d maps other memory at 0x%lx",
						       t->task->pid, mm->areas[j].start);
		}
	}
	return 0;
}

static int verify_fds(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		      struct ckpt_err *err)
{
	const struct ckpt_fdtable *table = &r->image->fdtables[t->task->fdtable];
	struct stat st;
	char path[64];

	for (size_t i = 0; i < table->n_fds; i++) {
		const struct ckpt_build_shm *made = made_of(r, table->fds[i].file);

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", t->host, table->fds[i].fd);
		if (made && (stat(path, &st) || st.st_ino != made->ino || st.st_dev != made->dev))
			return NOT_AS_CAPTURED("process %d: descriptor %d is of other memory",
					       t->task->pid, table->fds[i].fd);
	}
	return 0;
}

int ckpt_verify_shm_uses(struct ckpt_restore *r, const struct ckpt_build_task *t,
			 struct ckpt_err *err)
{
	if (!r->image->n_shms)
		return 0;
	return verify_areas(r, t, err) || verify_fds(r, t, err) ? -1 : 0;
}
