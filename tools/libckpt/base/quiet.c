// SPDX-License-Identifier: GPL-2.0-or-later
/* Quiet: files that are read so that nobody is told. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/quiet.h"

int ckpt_quiet_add_watched(struct ckpt_quiet *q, uint64_t ino, struct ckpt_err *err)
{
	void *list = q->n_watched & (q->n_watched - 1) ? q->watched :
		     realloc(q->watched, (2 * q->n_watched + 1) * sizeof(*q->watched));

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of watched files");
	q->watched = list;
	q->watched[q->n_watched++] = ino;
	return 0;
}

int ckpt_quiet_add_lease(struct ckpt_quiet *q, const struct ckpt_quiet_lease *lease,
			 struct ckpt_err *err)
{
	void *list = realloc(q->leases, (q->n_leases + 1) * sizeof(*q->leases));

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of leases");
	q->leases = list;
	q->leases[q->n_leases++] = *lease;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void ckpt_quiet_sort(struct ckpt_quiet *q)
{
	if (q->n_watched)
		qsort(q->watched, q->n_watched, sizeof(*q->watched), by_number);
}

bool ckpt_quiet_heard(const struct ckpt_quiet *q, uint64_t ino)
{
	return q && (q->all || (q->n_watched && bsearch(&ino, q->watched, q->n_watched,
							sizeof(ino), by_number)));
}

/**
 * struct ckpt_quiet_asker - a fanotify, and a thread that answers all its questions
 * @end: an eventfd, written to when the thread is to end
 * @tid: whose opens are denied, while it makes one; else 0
 * @fd: what came with the question; -1: nothing yet
 */
struct ckpt_quiet_asker {
	int group, end;
	pthread_t thread;
	atomic_int tid, fd;
};

/* Ours is denied, and what came with it kept; all others are allowed. */
static void answer_one(struct ckpt_quiet_asker *a, const struct fanotify_event_metadata *m)
{
	bool ours = m->pid == a->tid && a->fd < 0;
	struct fanotify_response r = { m->fd, ours ? FAN_DENY : FAN_ALLOW };

	/* what cannot be given out the kernel has denied */
	if (m->fd < 0)
		return;
	if (ours)
		a->fd = m->fd;
	if (write(a->group, &r, sizeof(r)) < 0)
		errno = 0;	/* who has asked is gone */
	if (!ours)
		close(m->fd);
}

static void *answer(void *arg)
{
	struct ckpt_quiet_asker *a = arg;
	struct pollfd fds[2] = { { a->group, POLLIN, 0 }, { a->end, POLLIN, 0 } };
	struct fanotify_event_metadata room[8], *m;
	ssize_t n;

	while (!fds[1].revents) {
		if (poll(fds, 2, -1) < 0)
			continue;
		n = fds[0].revents ? read(a->group, room, sizeof(room)) : 0;
		for (m = room; n > 0 && FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n))
			answer_one(a, m);
	}
	return NULL;
}

static int start(struct ckpt_quiet_asker *a)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	failed = pthread_create(&a->thread, NULL, answer, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? -1 : 0;
}

static struct ckpt_quiet_asker *new_asker(void)
{
	struct ckpt_quiet_asker *a = malloc(sizeof(*a));

	if (!a)
		return NULL;
	*a = (struct ckpt_quiet_asker){ .fd = -1 };
	a->group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_TID,
				 O_RDONLY | O_LARGEFILE | O_NOATIME | O_NONBLOCK | O_CLOEXEC);
	a->end = a->group < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
	if (a->end >= 0 && !start(a))
		return a;
	if (a->group >= 0)
		close(a->group);
	if (a->end >= 0)
		close(a->end);
	free(a);
	return NULL;
}

static void end_asker(struct ckpt_quiet_asker *a)
{
	const uint64_t one = 1;

	if (write(a->end, &one, sizeof(one)) < 0)
		abort();	/* an eventfd takes that always */
	pthread_join(a->thread, NULL);
	/* whoever waits for an answer now is allowed */
	close(a->group);
	close(a->end);
	free(a);
}

void ckpt_quiet_done(struct ckpt_quiet *q)
{
	free(q->watched);
	free(q->leases);
	if (q->asker)
		end_asker(q->asker);
	*q = (struct ckpt_quiet){ 0 };
}

static int ask(struct ckpt_quiet_asker *a, const char *path, int flags)
{
	int fd, e;

	a->fd = -1;
	a->tid = (int)syscall(SYS_gettid);
	fd = open(path, flags | O_CLOEXEC);
	e = errno;
	a->tid = 0;
	if (a->fd < 0)
		return fd < 0 ? -e : fd;
	if (fd >= 0)
		close(fd);
	return a->fd;
}

int ckpt_quiet_open(struct ckpt_quiet *q, int path, int flags)
{
	const uint64_t question = FAN_OPEN_PERM | FAN_ONDIR;
	char at[32];
	int fd;

	snprintf(at, sizeof(at), "/proc/self/fd/%d", path);
	if (!q->asker && !q->loud)
		q->asker = new_asker();
	q->loud = q->loud || !q->asker ||
		  fanotify_mark(q->asker->group, FAN_MARK_ADD, question, AT_FDCWD, at);
	if (q->loud) {
		fd = open(at, flags | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	fd = ask(q->asker, at, flags);
	fanotify_mark(q->asker->group, FAN_MARK_REMOVE, question, AT_FDCWD, at);
	return fd;
}

int ckpt_quiet_open_at(struct ckpt_quiet *q, const char *path, int flags)
{
	bool heard = q && (q->all || q->n_watched);
	cleanup_close int fd = open(path, (heard ? O_PATH : flags) | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return heard ? ckpt_quiet_open(q, fd, flags) : take_fd(fd);
}

const struct ckpt_quiet_lease *ckpt_quiet_leased(const struct ckpt_quiet *q, uint64_t dev,
						 uint64_t ino)
{
	for (size_t i = 0; q && i < q->n_leases; i++) {
		if (q->leases[i].ino == ino && q->leases[i].dev == dev)
			return &q->leases[i];
	}
	return NULL;
}

int ckpt_quiet_borrow(const struct ckpt_quiet *q, const struct ckpt_quiet_lease *lease,
		      const char *path, struct ckpt_err *err)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, lease->pid, 0);
	cleanup_close int fd = pidfd < 0 ? -1 :
			       (int)syscall(SYS_pidfd_getfd, pidfd, lease->fd, 0);
	struct stat st;
	int flags;

	if (fd < 0 || fstat(fd, &st) || st.st_dev != lease->dev || st.st_ino != lease->ino)
		return ckpt_fail(err, CKPT_FAILED, fd < 0 ? errno : 0,
				 "cannot borrow descriptor %d of pid %d, which has a lease on %s",
				 lease->fd, lease->pid, path);
	flags = fcntl(fd, F_GETFL);
	if (st.st_size && (flags & O_ACCMODE) == O_WRONLY)
		return ckpt_fail(err, CKPT_REFUSED, 0, "pid %d has a lease on %s by descriptor %d, "
				 "which cannot be read, so that its content cannot be had without "
				 "breaking it", lease->pid, path, lease->fd);
	if (ckpt_quiet_heard(q, st.st_ino))
		return ckpt_fail(err, CKPT_REFUSED, 0, "pid %d has a lease on %s, whose readers "
				 "somebody watches, so that its content cannot be had without "
				 "showing", lease->pid, path);
	return take_fd(fd);
}
