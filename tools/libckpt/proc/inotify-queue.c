// SPDX-License-Identifier: GPL-2.0-or-later
/* Queues of inotifies: whether events wait in them that the tree has not read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* What reading a file or a directory tells. */
#define READS (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)

int ckpt_queue_note(struct ckpt_hold *hold, pid_t pid, int fd, const char *fdinfo,
		    struct ckpt_err *err)
{
	struct ckpt_held_queue *list;
	struct ckpt_proc_watch w;

	while (fdinfo && ckpt_parse_watch_line(&fdinfo, &w) > 0)
		hold->sees_reads |= (w.mask & READS) != 0;
	for (size_t i = 0; i < hold->n_queues; i++) {
		if (hold->queues[i].pid == pid && hold->queues[i].fd == fd)
			return 0;
	}
	list = ckpt_grow(hold->queues, &hold->n_queues, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of inotifies");
	hold->queues = list;
	list[hold->n_queues - 1] = (struct ckpt_held_queue){ pid, fd };
	return 0;
}

int ckpt_queue_waiting(pid_t pid, int fd, struct ckpt_err *err)
{
	const struct ckpt_file f = { .capture_pid = pid, .capture_fd = fd };
	cleanup_close int own = ckpt_borrow_fd(&f, err);
	int bytes;

	if (own < 0)
		return -1;
	if (ioctl(own, FIONREAD, &bytes))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at inotify %d of pid %d",
				 fd, pid);
	return bytes;
}

int ckpt_queue_refuse(pid_t pid, int fd, int bytes, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d has not read %d bytes of events of inotify %d, which this version cannot "
		"restore; take the checkpoint again when it has", pid, bytes, fd);
}

/* Is it still what it was when it was noted? */
static bool is_there(struct ckpt_hold *hold, const struct ckpt_held_queue *q)
{
	const struct ckpt_held_proc *p = ckpt_tree_find(hold, q->pid);
	cleanup_free char *link = NULL;
	char name[32];

	snprintf(name, sizeof(name), "fd/%d", q->fd);
	return p && !p->zombie && !ckpt_procfs_link(p->dir, name, &link) &&
	       !strcmp(link, CKPT_INOTIFY_LINK);
}

int ckpt_queues_check(struct ckpt_hold *hold, struct ckpt_err *ret_why, struct ckpt_err *err)
{
	for (size_t i = 0; i < hold->n_queues; i++) {
		const struct ckpt_held_queue *q = &hold->queues[i];
		int bytes = is_there(hold, q) ? ckpt_queue_waiting(q->pid, q->fd, err) : 0;

		if (bytes < 0)
			return -1;
		if (bytes) {
			ckpt_queue_refuse(q->pid, q->fd, bytes, ret_why);
			return 1;
		}
	}
	return 0;
}
