// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Eventfds: what is in them, and whether a read takes one or all of it
 *
 * Kernels before 6.7 do not say the latter, so it is tried, with the tree stopped: two are put
 * in, a read takes one or all, and what was there is put back.  Nobody sees more of it than a
 * wake-up for nothing, which whoever waits for it must expect; but who waits by an edge alone and
 * then reads, may wait in the read for ever: that is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* A read and a write of one that may block are no matter: there is something, or room. */
static int take(int fd, uint64_t *ret, struct ckpt_err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	*ret = 0;
	if (poll(&p, 1, 0) < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot poll an eventfd");
	if (p.revents & POLLIN && read(fd, ret, sizeof(*ret)) != sizeof(*ret))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read an eventfd");
	return 0;
}

static int give(int fd, uint64_t count, struct ckpt_err *err)
{
	if (count && write(fd, &count, sizeof(count)) != sizeof(count))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot write to an eventfd");
	return 0;
}

static int try_semaphore(const struct ckpt_file *f, struct ckpt_eventfd *e, struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_borrow_fd(f, err);
	uint64_t got, more = e->count < 2 ? 2 - e->count : 0;

	if (fd < 0 || give(fd, more, err) || take(fd, &got, err))
		return -1;
	e->semaphore = got == 1;
	if (!e->semaphore) {
		/* somebody outside may have added to it since it was looked at */
		e->count = got - more;
		return give(fd, e->count, err);
	}
	/* one is gone; what was added goes as well */
	for (; more > 1; more--) {
		if (take(fd, &got, err))
			return -1;
	}
	return more ? 0 : give(fd, 1, err);
}

int ckpt_read_eventfd(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		      struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_eventfd e, *list;
	bool known;

	if (ckpt_parse_eventfd(fdinfo, &e, &known))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot read eventfd %d of pid %d",
				 f->capture_fd, f->capture_pid);
	if (e.count == UINT64_MAX)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d holds an eventfd that has run over (descriptor %d), which this "
			"version cannot restore", f->capture_pid, f->capture_fd);
	e.unsure = !known;
	list = ckpt_grow(image->eventfds, &image->n_eventfds, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of eventfds");
	image->eventfds = list;
	f->object = image->n_eventfds - 1;
	list[f->object] = e;
	return 0;
}

/* Does somebody wait for an edge of it, and then perhaps in a read? */
static bool on_edge(const struct ckpt_image *image, uint32_t file)
{
	if (image->files[file].flags & O_NONBLOCK)
		return false;
	for (size_t i = 0; i < image->n_epolls; i++) {
		const struct ckpt_epoll *e = &image->epolls[i];

		for (size_t j = 0; j < e->n_targets; j++) {
			if (e->targets[j].file == file && e->targets[j].events & EPOLLET)
				return true;
		}
	}
	return false;
}

static int find_out(struct ckpt_image *image, uint32_t file, struct ckpt_err *err)
{
	const struct ckpt_file *f = &image->files[file];

	if (on_edge(image, file))
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d waits for edges of eventfd %d, which blocks; whether that is a "
			"semaphore Linux before 6.7 does not tell", f->capture_pid, f->capture_fd);
	return try_semaphore(f, &image->eventfds[f->object], err);
}

int ckpt_read_semaphores(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;

	for (uint32_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if (f->kind != CKPT_FILE_EVENTFD || !image->eventfds[f->object].unsure)
			continue;
		if (ckpt_survey_pass(r->hold->survey, find_out(image, i, err), err))
			return -1;
	}
	return 0;
}
