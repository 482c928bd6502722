// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System V segments: made with the id they had, and attached in tasks
 *
 * A segment outlives its users, so one with the id that a restore needs may be there: that of
 * the tree itself, which has ended since.  When nobody has it attached, whoever made it has ended
 * and it is alike, it is replaced; any other is somebody's, and the restore is refused.
 *
 * In an ipc namespace of the tree's own nobody else has one.
 *
 * This process has each attached until the tree is complete: one that is to go with its last
 * user would go at once.  One that stays is removed again if the tree does not come to run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/ipc.h"

#define NEXT_ID "/proc/sys/kernel/shm_next_id"
#define TRIES 5		/* somebody else who makes one may take the id that was asked for */
#define SLOT(id) ((id) & 0x7fff)	/* of the kernel's table; the rest counts its users */

static uint64_t length(const struct ckpt_shm *s)
{
	return (s->size + CKPT_PAGE_LEN - 1) & ~(uint64_t)(CKPT_PAGE_LEN - 1);
}

/* Left behind by the tree itself, or by a restore that was killed. */
static bool is_left(const struct shmid_ds *ds, const struct ckpt_shm *s)
{
	return !ds->shm_nattch && ds->shm_segsz == s->size && ds->shm_perm.__key == s->key &&
	       ds->shm_perm.cuid == s->cuid && ds->shm_perm.cgid == s->cgid &&
	       kill(ds->shm_cpid, 0) && errno == ESRCH;
}

static int refuse_used(const struct ckpt_shm *s, int32_t by, struct ckpt_err *err)
{
	if (by == s->id)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"System V segment %d of the checkpoint is there, in use or not the same; "
			"end who uses it, or remove it with ipcrm -m %d", s->id, by);
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"System V segment %d has the key (0x%x) or the place of segment %d of the "
		"checkpoint; end who uses it, and remove it with ipcrm -m %d", by, s->key, s->id,
		by);
}

/* Does segment @id, which is there now, let @s be made? */
static int check_other(const struct ckpt_shm *s, int32_t id, const struct shmid_ds *ds,
		       struct ckpt_err *err)
{
	if (id == s->id)
		return is_left(ds, s) ? 0 : refuse_used(s, id, err);
	if (SLOT(id) == SLOT(s->id) || (s->key && ds->shm_perm.__key == s->key))
		return refuse_used(s, id, err);
	return 0;
}

static int check_room(const struct ckpt_image *image, struct ckpt_err *err)
{
	struct shminfo limits;

	if (shmctl(0, IPC_INFO, (struct shmid_ds *)&limits) < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the limits of segments");
	for (size_t i = 0; i < image->n_shms; i++) {
		const struct ckpt_shm *s = &image->shms[i];

		if (s->kind == CKPT_SHM_SYSV && s->size > limits.shmmax)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "the tree has a System V segment of %lu bytes; raise "
					 "kernel.shmmax, which is %lu", s->size, limits.shmmax);
	}
	return 0;
}

static int check_taken(const struct ckpt_image *image, struct ckpt_err *err)
{
	struct shm_info info;
	struct shmid_ds ds;
	int highest = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);

	for (int slot = 0; slot <= highest; slot++) {
		int id = shmctl(slot, SHM_STAT_ANY, &ds);

		for (size_t i = 0; i < image->n_shms && id >= 0; i++) {
			if (image->shms[i].kind == CKPT_SHM_SYSV &&
			    check_other(&image->shms[i], id, &ds, err))
				return -1;
		}
	}
	return 0;
}

static int check_machine(const struct ckpt_image *image, size_t n, struct ckpt_err *err)
{
	if (image->n_ipc && n > CKPT_IPC_SEGMENTS)
		return ckpt_fail(err, CKPT_REFUSED, 0, "the tree has %zu System V segments in an "
				 "ipc namespace of its own, a new one takes %d", n,
				 CKPT_IPC_SEGMENTS);
	if (access(NEXT_ID, W_OK))
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "the checkpoint has System V segments, whose ids %s decides",
				 NEXT_ID);
	/* in a new one all ids and keys are free, and no size is limited */
	return !image->n_ipc && (check_room(image, err) || check_taken(image, err)) ? -1 : 0;
}

int ckpt_segment_machine(const struct ckpt_image *image, uint64_t eff, struct ckpt_err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < image->n_shms; i++) {
		const struct ckpt_shm *s = &image->shms[i];

		if (s->kind != CKPT_SHM_SYSV)
			continue;
		n++;
		if (!(eff >> CAP_IPC_OWNER & 1))
			return ckpt_fail(err, CKPT_REFUSED, 0, "ckpt-tool lacks CAP_IPC_OWNER, "
					 "without which it cannot fill System V segment %d",
					 s->id);
	}
	return n ? check_machine(image, n, err) : 0;
}

/* A segment to be made or looked at, where it belongs. */
struct one {
	struct ckpt_restore *r;
	size_t index;
};

static int in_ipc(struct ckpt_restore *r, ckpt_inside_fn fn, struct one *one, struct ckpt_err *err)
{
	return r->image->n_ipc ? ckpt_build_inside(r, "ipc", fn, one, err) : fn(one, err);
}

static int ask_for_id(int32_t id, struct ckpt_err *err)
{
	cleanup_close int fd = open(NEXT_ID, O_WRONLY | O_CLOEXEC);
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", id);

	return fd >= 0 && write(fd, text, n) == n ? 0 :
	       ckpt_fail(err, CKPT_FAILED, errno, "cannot write %s", NEXT_ID);
}

/* Return: 0, or -errno: the id that was asked for may have gone to somebody else. */
static int get_segment(const struct ckpt_shm *s)
{
	int id = shmget(s->key, s->size, IPC_CREAT | IPC_EXCL | (int)s->mode);

	if (id < 0)
		return -errno;
	if (id == s->id)
		return 0;
	shmctl(id, IPC_RMID, NULL);
	return -EBUSY;
}

/*
 * Who makes it is its maker for good: a process that becomes that user.  And one that ends,
 * so that a segment which the tree leaves once more is told from one that is in use.
 */
static int get_segment_as(const struct ckpt_shm *s)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid)
		_exit(syscall(SYS_setresgid, -1, s->cgid, -1) ||
		      syscall(SYS_setresuid, -1, s->cuid, -1) ? errno : -get_segment(s));
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) != pid) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static int build_segment(void *arg, struct ckpt_err *err)
{
	const struct one *one = arg;
	const struct ckpt_shm *s = &one->r->image->shms[one->index];
	struct ckpt_build_shm *made = &one->r->shms[one->index];
	struct shmid_ds ds;
	int failed = -EBUSY;

	/* preflight has seen that it is what the tree has left */
	if (!shmctl(s->id, IPC_STAT, &ds) && is_left(&ds, s))
		shmctl(s->id, IPC_RMID, NULL);
	for (int try = 0; failed == -EBUSY && try < TRIES; try++) {
		if (ask_for_id(s->id, err))
			return -1;
		failed = get_segment_as(s);
	}
	if (failed)
		return ckpt_fail(err, CKPT_FAILED, -failed, "cannot make System V segment %d",
				 s->id);
	made->made = true;
	made->at = shmat(s->id, NULL, 0);
	if (made->at == (void *)-1) {
		made->at = NULL;
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot attach System V segment %d",
				 s->id);
	}
	if (shmctl(s->id, IPC_STAT, &ds))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at System V segment %d",
				 s->id);
	ds.shm_perm.uid = s->uid;
	ds.shm_perm.gid = s->gid;
	ds.shm_perm.mode = s->mode;
	if (shmctl(s->id, IPC_SET, &ds) || (s->doomed && shmctl(s->id, IPC_RMID, NULL)))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot set owner and mode of System V segment %d", s->id);
	return 0;
}

int ckpt_build_segment(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	struct one one = { r, index };

	return in_ipc(r, build_segment, &one, err);
}

int ckpt_segment_open(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	uint64_t at = (uint64_t)r->shms[index].at, end = at + length(&r->image->shms[index]);
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", at, end);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? ckpt_fail(err, CKPT_FAILED, errno, "cannot open System V segment %d",
				  r->image->shms[index].id) : fd;
}

int ckpt_segment_attach(struct ckpt_restore *r, const struct ckpt_site *s,
			const struct ckpt_area *a, struct ckpt_err *err)
{
	const struct ckpt_shm *shm = ckpt_area_shm(r->image, a);
	bool writable = r->image->files[a->file].writable;

	/* all of it comes with its first area */
	if (!a->pgoff && ckpt_site_call(s, err, "attach a System V segment", SYS_shmat,
					ARGS(shm->id, a->start, writable ? 0 : SHM_RDONLY)) < 0)
		return -1;
	return ckpt_site_call(s, err, "protect a System V segment", SYS_mprotect,
			      ARGS(a->start, a->end - a->start, a->prot)) < 0 ? -1 : 0;
}

static int verify_segment(void *arg, struct ckpt_err *err)
{
	const struct one *one = arg;
	const struct ckpt_shm *s = &one->r->image->shms[one->index];
	struct shmid_ds ds;

	if (shmctl(s->id, IPC_STAT, &ds) || ds.shm_segsz != s->size ||
	    ds.shm_perm.__key != (s->doomed ? IPC_PRIVATE : s->key) ||
	    ds.shm_perm.uid != s->uid || ds.shm_perm.gid != s->gid ||
	    ds.shm_perm.cuid != s->cuid || ds.shm_perm.cgid != s->cgid ||
	    (ds.shm_perm.mode & 0777) != s->mode)
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "System V segment %d is not that of the checkpoint", s->id);
	return 0;
}

int ckpt_segment_verify(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	struct one one = { r, index };

	return in_ipc(r, verify_segment, &one, err);
}

void ckpt_segments_leave(struct ckpt_restore *r)
{
	for (size_t i = 0; r->shms && i < r->image->n_shms; i++) {
		if (r->shms[i].at)
			shmdt(r->shms[i].at);
		r->shms[i].at = NULL;
	}
}

void ckpt_segments_remove(struct ckpt_restore *r)
{
	/* an ipc namespace of the tree's own goes with init */
	for (size_t i = 0; r->shms && !r->image->n_ipc && i < r->image->n_shms; i++) {
		if (r->shms[i].made)
			shmctl(r->image->shms[i].id, IPC_RMID, NULL);
	}
}
