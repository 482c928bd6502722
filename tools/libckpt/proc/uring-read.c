// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io_urings: those that wait for nothing, with what is in their memory
 *
 * A program may have given a ring much that no restore could bring back, and the kernel shows
 * a part of that alone.  The rest is told by calls that fail one way or another and change
 * nothing, by the size of the memory, and by the requests themselves: what was registered for
 * other requests than these is of no use to a ring that makes these.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "proc/image-check.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/uring.h"

#define NOWHERE 1ull	/* an address that no process has */
#define REFUSE(f, what, ...) refuse(f, err, what, ##__VA_ARGS__)

__attribute__((format(printf, 3, 4)))
static int refuse(const struct ckpt_file *f, struct ckpt_err *err, const char *what, ...)
{
	char comm[16] = "", path[64], text[160];
	cleanup_close int fd = -1;
	va_list args;

	snprintf(path, sizeof(path), "/proc/%d/comm", f->capture_pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, comm, sizeof(comm) - 1) > 0)
		*strchrnul(comm, '\n') = 0;
	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds an io_uring, descriptor %d, %s, which this version cannot "
		"restore", f->capture_pid, comm, f->capture_fd, text);
}

/* What fdinfo tells of it. */
static int check_shown(const struct ckpt_file *f, const struct ckpt_proc_uring *u,
		       struct ckpt_err *err)
{
	if (u->sq_mask + 1 < CKPT_URING_SQ_LEAST || u->cq_mask + 1 < CKPT_URING_CQ_LEAST)
		return REFUSE(f, "too small to show the size of its requests and completions");
	if (u->served)
		return REFUSE(f, "served by a thread of the kernel (SQPOLL)");
	if (u->registered)
		return REFUSE(f, "with files, buffers or credentials of its own");
	if (u->busy_poll)
		return REFUSE(f, "that polls network devices (NAPI)");
	if (u->lost)
		return REFUSE(f, "with more completions than it has room for");
	if (u->waiting || u->sq_cached != u->cq_cached)
		return REFUSE(f, "with requests under way");
	if (u->sq_cached > CKPT_URING_MADE_MOST)
		return REFUSE(f, "that has made %u requests, more than %u", u->sq_cached,
			      CKPT_URING_MADE_MOST);
	if (u->cq_tail - u->cq_head > u->cq_mask)
		return REFUSE(f, "full of completions");
	return 0;
}

/* Each of these calls fails, by what the ring is; that it did not would be news. */
static int check_calls(const struct ckpt_file *f, int fd, const struct ckpt_uring *u,
		       struct ckpt_err *err)
{
	const struct io_uring_getevents_arg wait = { .ts = NOWHERE };

	/* a ring that has an eventfd is busy, any other finds no number of one there */
	syscall(SYS_io_uring_register, fd, IORING_REGISTER_EVENTFD, NOWHERE, 1);
	if (errno == EBUSY)
		return REFUSE(f, "with an eventfd");
	if (errno == EEXIST)
		return REFUSE(f, "for one thread alone (SINGLE_ISSUER)");
	if (errno != EFAULT)
		return REFUSE(f, "with restrictions");
	syscall(SYS_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS, NULL, 0);
	if (errno != EBADFD)
		return REFUSE(f, "with restrictions, or not enabled yet");
	/* one that is polled would not look for how long to wait */
	if (syscall(SYS_io_uring_enter, fd, 0, u->cq_entries,
		    IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &wait, sizeof(wait)) >= 0 ||
	    errno != EFAULT)
		return REFUSE(f, "polled, or not enabled yet");
	return 0;
}

/* Requests and completions of double size need more pages. */
static int check_sizes(const struct ckpt_file *f, int fd, const struct ckpt_uring *u,
		       struct ckpt_err *err)
{
	size_t ring = ckpt_uring_cqes(u) + 2 * CKPT_URING_CQE_LEN * (size_t)u->cq_entries;
	size_t sqes = 2 * CKPT_URING_SQE_LEN * (size_t)u->sq_entries;

	if (ckpt_uring_has_page(fd, CKPT_URING_RING, (ring - 1) / CKPT_PAGE_LEN) ||
	    ckpt_uring_has_page(fd, CKPT_URING_SQES, (sqes - 1) / CKPT_PAGE_LEN))
		return REFUSE(f, "with requests or completions of double size");
	return 0;
}

/* What leaves nothing in the ring but a completion. */
static bool is_plain(const struct io_uring_sqe *sqe)
{
	static const uint8_t plain[] = {
		IORING_OP_NOP, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
		IORING_OP_OPENAT, IORING_OP_CLOSE, IORING_OP_STATX, IORING_OP_READ,
		IORING_OP_WRITE, IORING_OP_EPOLL_CTL, IORING_OP_RENAMEAT, IORING_OP_UNLINKAT,
		IORING_OP_MKDIRAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT, 55 /* FTRUNCATE */,
	};

	return memchr(plain, sqe->opcode, sizeof(plain)) && !sqe->personality &&
	       !(sqe->flags & (IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS));
}

static int check_memory(const struct ckpt_file *f, const struct ckpt_uring *u,
			const struct ckpt_proc_uring *info, struct ckpt_err *err)
{
	if (ckpt_uring_word(u, CKPT_URING_SQ_HEAD) != info->sq_cached ||
	    ckpt_uring_word(u, CKPT_URING_CQ_TAIL) != info->cq_cached ||
	    ckpt_uring_word(u, CKPT_URING_SQ_MASK) != info->sq_mask ||
	    ckpt_uring_word(u, CKPT_URING_CQ_MASK) != info->cq_mask ||
	    ckpt_uring_word(u, CKPT_URING_SQ_ENTRIES) != u->sq_entries ||
	    ckpt_uring_word(u, CKPT_URING_CQ_ENTRIES) != u->cq_entries)
		return REFUSE(f, "whose memory is not as the kernel has it");
	if (ckpt_uring_word(u, CKPT_URING_SQ_TAIL) - info->sq_cached > u->sq_entries)
		return REFUSE(f, "with more requests than it has room for");
	if (ckpt_uring_word(u, CKPT_URING_SQ_FLAGS) || ckpt_uring_word(u, CKPT_URING_SQ_DROPPED) ||
	    ckpt_uring_word(u, CKPT_URING_CQ_OVERFLOW))
		return REFUSE(f, "with work left to the kernel, or that has lost some");
	for (size_t i = 0; i < u->sq_entries; i++) {
		const struct io_uring_sqe *sqe = (void *)(u->sqes + i * CKPT_URING_SQE_LEN);

		if (!is_plain(sqe))
			return REFUSE(f, "with requests of kind %u, flags 0x%x, credentials %u",
				      sqe->opcode, sqe->flags, sqe->personality);
	}
	return 0;
}

/* Does this kernel make rings without an array of requests at all (6.6)? */
static bool knows_no_array(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_NO_SQARRAY };
	int fd = syscall(SYS_io_uring_setup, 1, &p);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || errno != EINVAL;
}

/*
 * An array of zeros may as well be none.  fdinfo shows requests that wait to be taken: by their
 * number when there is none, or not at all, and otherwise by what the array says.  So two are
 * made to look as if they waited, in the one word of the ring that nobody but its program
 * reads, which stands still: the kernel has a head of its own, and writes it here with every
 * call.  A program that finds it so (its keeper was killed just then) sees two requests less
 * of room until its next call.
 */
static int look_at_array(struct ckpt_reader *r, const struct ckpt_file *f,
			 const struct ckpt_uring *u, struct ckpt_uring_view *view, bool *ret_none,
			 struct ckpt_err *err)
{
	struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);
	volatile uint32_t *word = ckpt_uring_in(view, u, CKPT_URING_SQ_HEAD);
	const uint32_t head = *word;
	struct ckpt_proc_uring info;
	char name[32];
	int e;

	snprintf(name, sizeof(name), "fdinfo/%d", f->capture_fd);
	*word = head - 2;
	e = ckpt_procfs_read(p->dir, name, &r->hold->scratch);
	*word = head;
	if (e || ckpt_parse_uring((char *)r->hold->scratch.data, &info))
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot look at io_uring %d of pid %d once "
				 "more; try again", f->capture_fd, f->capture_pid);
	*ret_none = !info.shown || info.at[0] || info.at[1];
	return 0;
}

/* @u as if it had an array; whether it has. */
static int find_array(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_uring *u,
		      struct ckpt_uring_view *view, bool dated, struct ckpt_err *err)
{
	const uint32_t *array = (const uint32_t *)(u->ring + ckpt_uring_array(u));

	for (uint32_t i = 0; i < u->sq_entries; i++) {
		if (array[i])
			return 0;
	}
	if (dated)
		return look_at_array(r, f, u, view, &u->no_array, err);
	/* what would tell stumbles over such a ring */
	return knows_no_array() ? REFUSE(f, "of which this kernel does not tell enough") : 0;
}

/* The ring may be a page shorter without the array. */
static int copy(struct ckpt_uring *u, int fd, struct ckpt_uring_view *view, struct ckpt_err *err)
{
	size_t last = ckpt_uring_ring_len(u) / CKPT_PAGE_LEN - 1;
	int has = ckpt_uring_has_page(fd, CKPT_URING_RING, last);

	u->no_array = !has;
	if (has < 0 || ckpt_uring_map(fd, u, view))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot map an io_uring");
	u->ring = malloc(view->ring_len);
	u->sqes = malloc(view->sqes_len);
	if (!u->ring || !u->sqes)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an io_uring");
	u->ring_len = view->ring_len;
	u->sqes_len = view->sqes_len;
	memcpy(u->ring, (void *)view->ring, view->ring_len);
	memcpy(u->sqes, view->sqes, view->sqes_len);
	return 0;
}

static int read_ring(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_uring *u,
		     const struct ckpt_proc_uring *info, struct ckpt_err *err)
{
	cleanup_with(ckpt_uring_unmap) struct ckpt_uring_view view = { 0 };
	cleanup_close int fd = ckpt_borrow_fd(f, err);
	int spread = ckpt_uring_spread();

	if (fd < 0)
		return -1;
	if (spread < 0)
		return REFUSE(f, "as nobody may make one any more");
	u->spread = spread;
	if (check_calls(f, fd, u, err) || check_sizes(f, fd, u, err) ||
	    copy(u, fd, &view, err) || check_memory(f, u, info, err))
		return -1;
	if (!u->no_array && find_array(r, f, u, &view, info->dated, err))
		return -1;
	/* all of what is mapped is kept, also where nothing of the ring is any more */
	u->ring_len = ckpt_uring_ring_len(u);
	return 0;
}

int ckpt_read_uring(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		    struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);
	struct ckpt_uring *list;
	struct ckpt_proc_uring info;

	/* it says nothing while somebody is in the ring: a thread of the kernel, or an outsider */
	if (ckpt_parse_uring(fdinfo, &info))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot look at io_uring %d of pid %d, which "
				 "is in use; try again", f->capture_fd, f->capture_pid);
	if (ckpt_uring_workers(p, f->capture_fd, err) || check_shown(f, &info, err))
		return -1;
	list = ckpt_grow(image->urings, &image->n_urings, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of io_urings");
	image->urings = list;
	f->object = image->n_urings - 1;
	p->has_uring = true;
	list[f->object].sq_entries = info.sq_mask + 1;
	list[f->object].cq_entries = info.cq_mask + 1;
	return read_ring(r, f, &list[f->object], &info, err);
}

const char *ckpt_uring_area(const struct ckpt_maps_line *line, const struct ckpt_vm_flags *flags)
{
	if (line->pgoff != CKPT_URING_RING && line->pgoff != CKPT_URING_CQ_RING &&
	    line->pgoff != CKPT_URING_SQES)
		return "a piece of an io_uring, or its buffers";
	if (flags->area & CKPT_AREA_F_SEALED)
		return "a sealed io_uring";
	return flags->area & CKPT_AREA_F_LOCKED ? "a locked io_uring" : NULL;
}

/* The ring that is mapped at @a, by its inode, which no other has. */
static int find_ring(struct ckpt_reader *r, const struct ckpt_mm *mm, struct ckpt_area *a,
		     struct ckpt_err *err)
{
	struct ckpt_held_proc *p = ckpt_tree_find(r->hold, mm->pid);
	struct stat st;
	char name[64];

	snprintf(name, sizeof(name), "map_files/%lx-%lx", a->start, a->end);
	if (fstatat(p->dir, name, &st, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at %s of pid %d", name,
				 p->pid);
	for (uint32_t i = 0; i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];

		/* for a survey, of one that was refused something stands in its place */
		if ((f->kind == CKPT_FILE_URING || r->hold->survey) && f->ino == st.st_ino &&
		    f->dev == st.st_dev) {
			a->file = i;
			return 0;
		}
	}
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) maps an io_uring at 0x%lx that no descriptor of the tree leads to, "
		"which this version cannot restore", p->pid, p->comm, a->start);
}

static int check_alone(const struct ckpt_image *image, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &image->files[index];
	size_t holders = 0;

	for (size_t i = 0; i < image->n_tasks; i++)
		holders += ckpt_uring_held(image, &image->tasks[i], index);
	if (holders == 1)
		return 0;
	/* mostly a child that has not executed its program yet */
	REFUSE(f, "that %zu processes share", holders);
	return ckpt_fail_passing(err);
}

int ckpt_read_urings(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_survey *survey = r->hold->survey;
	struct ckpt_image *image = r->image;
	struct ckpt_err e = CKPT_ERR_INIT;

	for (size_t i = 0; i < image->n_mms; i++) {
		for (size_t j = 0; j < image->mms[i].n_areas; j++) {
			struct ckpt_area *a = &image->mms[i].areas[j];

			if (a->kind == CKPT_AREA_KIND_URING &&
			    ckpt_survey_pass(survey, find_ring(r, &image->mms[i], a, err),
					     err))
				return -1;
		}
	}
	for (uint32_t i = 0; i < image->n_files && image->n_urings; i++) {
		if (image->files[i].kind == CKPT_FILE_URING &&
		    ckpt_survey_pass(survey, check_alone(image, i, err), err))
			return -1;
	}
	/* what an image may not say is nothing that a sound program has */
	if ((survey && survey->n) || !ckpt_urings_check(image, &e))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0, "an io_uring of the tree cannot be restored (%s)",
			 e.text);
}
