// SPDX-License-Identifier: GPL-2.0-or-later
/* Members of an image that are not stored: host pids, ways to files and their change times. */
#include <string.h>

#include "proc/keeper.h"

/* One form for all of them, in the order of the image; it lies behind the records, at 4 bytes. */
struct aside {
	int32_t pid, fd;
	uint64_t start, end;
	int64_t ctime_ns;
} __attribute__((packed, aligned(4)));

typedef void move_fn(struct aside *a, void *object);

static void put_task(struct aside *a, void *object)
{
	a->pid = ((struct ckpt_task *)object)->host_pid;
}

static void get_task(struct aside *a, void *object)
{
	((struct ckpt_task *)object)->host_pid = a->pid;
}

static void put_thread(struct aside *a, void *object)
{
	a->pid = ((struct ckpt_thread *)object)->host_tid;
}

static void get_thread(struct aside *a, void *object)
{
	((struct ckpt_thread *)object)->host_tid = a->pid;
}

static void put_mm(struct aside *a, void *object)
{
	struct ckpt_mm *mm = object;

	*a = (struct aside){ .pid = mm->pid, .fd = mm->userfault,
			      .start = mm->skip_start, .end = mm->skip_end };
}

static void get_mm(struct aside *a, void *object)
{
	struct ckpt_mm *mm = object;

	mm->pid = a->pid;
	mm->userfault = a->fd;
	mm->skip_start = a->start;
	mm->skip_end = a->end;
}

static void put_file(struct aside *a, void *object)
{
	struct ckpt_file *f = object;

	*a = (struct aside){ f->capture_pid, f->capture_fd, f->capture_start, f->capture_end,
			     f->ctime_ns };
}

static void get_file(struct aside *a, void *object)
{
	struct ckpt_file *f = object;

	f->capture_pid = a->pid;
	f->capture_fd = a->fd;
	f->capture_start = a->start;
	f->capture_end = a->end;
	f->ctime_ns = a->ctime_ns;
}

static size_t count(const struct ckpt_image *image)
{
	size_t n = image->n_tasks + image->n_mms + image->n_files;

	for (size_t i = 0; i < image->n_tasks; i++)
		n += image->tasks[i].n_threads;
	return n;
}

static void walk(const struct ckpt_image *image, struct aside *a, move_fn *task, move_fn *thread,
		 move_fn *mm, move_fn *file)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		task(a++, &image->tasks[i]);
		for (size_t j = 0; j < image->tasks[i].n_threads; j++)
			thread(a++, &image->tasks[i].threads[j]);
	}
	for (size_t i = 0; i < image->n_mms; i++)
		mm(a++, &image->mms[i]);
	for (size_t i = 0; i < image->n_files; i++)
		file(a++, &image->files[i]);
}

int ckpt_aside_encode(const struct ckpt_image *image, struct ckpt_buf *ret, struct ckpt_err *err)
{
	size_t at = ckpt_buf_put(ret, NULL, count(image) * sizeof(struct aside));

	if (ret->failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an image");
	walk(image, (struct aside *)(ret->data + at), put_task, put_thread, put_mm, put_file);
	return 0;
}

int ckpt_aside_decode(const void *data, size_t len, struct ckpt_image *image, struct ckpt_err *err)
{
	if (len != count(image) * sizeof(struct aside))
		return ckpt_fail(err, CKPT_FAILED, 0, "the keeper sent half an image");
	walk(image, (struct aside *)data, get_task, get_thread, get_mm, get_file);
	return 0;
}
