// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io_urings: made in the process that has them, whose memory they account for
 *
 * A new ring counts from nothing.  It does as many empty requests as have been made of it, so
 * that the kernel's own counters are those that the program knows; then its memory is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/remote.h"
#include "proc/uring.h"

/* A descriptor of @t in this process. */
static int borrow(const struct ckpt_build_task *t, int fd, struct ckpt_err *err)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, t->host, 0);
	int own = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	return own < 0 ? ckpt_fail(err, CKPT_FAILED, errno,
				   "process %d: cannot reach its io_uring", t->task->pid) : own;
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/*
 * Completions are taken at once, but for the last ones, which the program has not taken: the
 * kernel then knows that their places are not free.
 */
static int count_up(int fd, const struct ckpt_uring *u, struct ckpt_uring_view *view,
		    struct ckpt_err *err)
{
	const uint32_t made = ckpt_uring_word(u, CKPT_URING_SQ_HEAD);
	const uint32_t taken = ckpt_uring_word(u, CKPT_URING_CQ_HEAD);
	volatile uint32_t *tail = ckpt_uring_in(view, u, CKPT_URING_SQ_TAIL);
	volatile uint32_t *head = ckpt_uring_in(view, u, CKPT_URING_CQ_HEAD);
	uint32_t at, n;

	for (at = 0; at < made; at += n) {
		n = lesser(made - at, u->sq_entries);
		__atomic_store_n(tail, at + n, __ATOMIC_RELEASE);
		if (syscall(SYS_io_uring_enter, fd, n, 0, 0, NULL, 0) != n)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot use an io_uring");
		if ((int32_t)(taken - *head) > 0)
			__atomic_store_n(head, lesser(at + n, taken), __ATOMIC_RELEASE);
	}
	if (*ckpt_uring_in(view, u, CKPT_URING_SQ_HEAD) != made ||
	    *ckpt_uring_in(view, u, CKPT_URING_CQ_TAIL) != made)
		return ckpt_fail(err, CKPT_FAILED, 0, "an io_uring does not count its requests");
	return 0;
}

static int fill(int fd, const struct ckpt_uring *u, struct ckpt_err *err)
{
	cleanup_with(ckpt_uring_unmap) struct ckpt_uring_view view = { 0 };
	uint32_t *array;

	if (ckpt_uring_map(fd, u, &view))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot map an io_uring");
	array = (uint32_t *)((uint8_t *)view.ring + ckpt_uring_array(u));
	for (uint32_t i = 0; i < u->sq_entries && !u->no_array; i++)
		array[i] = i;
	if (count_up(fd, u, &view, err))
		return -1;
	memcpy((void *)view.ring, u->ring, u->ring_len);
	memcpy(view.sqes, u->sqes, u->sqes_len);
	return 0;
}

/* As descriptor fd_base + @index, where init has none. */
static int make(struct ckpt_restore *r, struct ckpt_build_task *t, const struct ckpt_site *s,
		size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	const struct ckpt_uring *u = &r->image->urings[f->object];
	const struct io_uring_params p = {
		.flags = IORING_SETUP_CQSIZE | (u->no_array ? IORING_SETUP_NO_SQARRAY : 0),
		.cq_entries = u->cq_entries,
	};
	uint64_t at = ckpt_site_put(s, 0, &p, sizeof(p), err);
	cleanup_close int own = -1;
	int64_t fd;

	if (!at)
		return -1;
	fd = ckpt_site_call(s, err, "make an io_uring", SYS_io_uring_setup,
			    ARGS(u->sq_entries, at));
	if (fd < 0 ||
	    ckpt_site_call(s, err, "place a descriptor", SYS_dup3,
			   ARGS(fd, r->fd_base + index, O_CLOEXEC)) < 0 ||
	    ckpt_site_call(s, err, "close a descriptor", SYS_close, ARGS(fd)) < 0 ||
	    ckpt_site_call(s, err, "set flags of a descriptor", SYS_fcntl,
			   ARGS(r->fd_base + index, F_SETFL, f->flags & O_NONBLOCK)) < 0)
		return -1;
	own = borrow(t, r->fd_base + index, err);
	return own < 0 ? -1 : fill(own, u, err);
}

static int map_areas(struct ckpt_restore *r, struct ckpt_build_task *t, const struct ckpt_site *s,
		     struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	cleanup_with(ckpt_room_done) struct ckpt_room room = { .task = t, .site = s };

	for (size_t i = 0; i < mm->n_areas; i++) {
		const struct ckpt_area *a = &mm->areas[i];

		if (a->kind != CKPT_AREA_KIND_URING)
			continue;
		if ((!room.n && ckpt_room_take(&room, err)) ||
		    ckpt_room_map(&room, a, r->fd_base + a->file, err))
			return -1;
	}
	return ckpt_room_leave(&room, mm, err);
}

int ckpt_build_urings(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);

	for (size_t i = 0; i < r->image->n_files && r->image->n_urings; i++) {
		if (r->image->files[i].kind == CKPT_FILE_URING &&
		    ckpt_uring_held(r->image, t->task, i) && make(r, t, &s, i, err))
			return ckpt_fail_at(err, "process %d: cannot make its io_uring",
					    t->task->pid);
	}
	return map_areas(r, t, &s, err);
}

int ckpt_verify_urings(struct ckpt_restore *r, const struct ckpt_build_task *t,
		       struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];

	for (size_t i = 0; i < mm->n_areas; i++) {
		const struct ckpt_area *a = &mm->areas[i];
		const struct ckpt_uring *u;
		cleanup_free uint8_t *found = NULL;
		size_t len = a->end - a->start;

		if (a->kind != CKPT_AREA_KIND_URING)
			continue;
		u = &r->image->urings[r->image->files[a->file].object];
		found = malloc(len);
		if (!found)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory to compare an io_uring");
		if (ckpt_remote_read(t->host, a->start, found, len, err))
			return -1;
		if (memcmp(found, a->pgoff == CKPT_URING_SQES ? u->sqes : u->ring, len))
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "process %d: the io_uring at 0x%lx is not that of the "
					 "checkpoint", t->task->pid, a->start);
	}
	return 0;
}
