// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queues of inotifies: whether events wait in them that the tree has not read, and which
 *
 * The program that tells takes some time to be made, and is mostly not needed.  A tree in which
 * events wait that were not there before the stop runs on meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/inotify.h"
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

void ckpt_queue_ready(struct ckpt_hold *hold)
{
	if (!hold->events_peek_tried && !ckpt_fault("keeper.events"))
		(void)ckpt_inotify_peek_open(&hold->events_peek);
	hold->events_peek_tried = true;
	hold->events_wanted = false;
}

/* Our own descriptor of it, and how many bytes of events wait there. Return: -1 with @err. */
static int reach(pid_t pid, int fd, int *ret_bytes, struct ckpt_err *err)
{
	const struct ckpt_file f = { .capture_pid = pid, .capture_fd = fd };
	cleanup_close int own = ckpt_borrow_fd(&f, err);

	if (own < 0)
		return -1;
	if (ioctl(own, FIONREAD, ret_bytes))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at inotify %d of pid %d",
				 fd, pid);
	return take_fd(own);
}

/* @ret_identity: may be NULL */
static bool waits(const struct ckpt_hold *hold, pid_t pid, int fd, uint64_t *ret_identity)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;
	int bytes = 0;
	cleanup_close int own = reach(pid, fd, &bytes, &ignored);

	if (bytes > 0 && ret_identity)
		*ret_identity = ckpt_inotify_identity(&hold->events_peek, own);
	return bytes > 0;
}

bool ckpt_queue_waits(pid_t pid, int fd)
{
	return waits(NULL, pid, fd, NULL);
}

static const char *says(enum ckpt_events_state state)
{
	switch (state) {
	case CKPT_EVENTS_MANY:
		return "more than 1024 of them";
	case CKPT_EVENTS_MOVING:
		return "which become more all the time";
	default:
		return "of which this kernel does not tell what they are (CONFIG_DEBUG_INFO_BTF, "
		       "CONFIG_BPF_SYSCALL)";
	}
}

int ckpt_queue_read(struct ckpt_hold *hold, pid_t pid, int fd, struct ckpt_inotify *in,
		    struct ckpt_err *err)
{
	struct ckpt_event_sources sources;
	enum ckpt_events_state state;
	const char *odd;
	int bytes = 0;
	cleanup_close int own = reach(pid, fd, &bytes, err);

	if (own < 0)
		return -1;
	if (!bytes)
		return 0;
	hold->events_wanted = !hold->events_peek_tried;
	state = ckpt_inotify_peek(&hold->events_peek, own, in);
	odd = state == CKPT_EVENTS_KNOWN ? ckpt_events_odd(in, &sources) : says(state);
	if (!odd)
		return 0;
	ckpt_events_forget(in);
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "pid %d has not read %d bytes of events of inotify %d, %s, which this "
			 "version cannot restore; take the checkpoint again when it has", pid,
			 bytes, fd, odd);
}

/* What it watches, as far as the events in it need to be compared with that. */
static int get_watches(struct ckpt_hold *hold, const struct ckpt_held_proc *p, int fd,
		       struct ckpt_inotify *in, struct ckpt_err *err)
{
	struct ckpt_proc_watch w;
	struct ckpt_watch *list;
	const char *text;
	char name[32];
	int more;

	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	if (ckpt_procfs_read(p->dir, name, &hold->scratch))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot read inotify %d of pid %d", fd,
				 p->pid);
	text = (char *)hold->scratch.data;
	while ((more = ckpt_parse_watch_line(&text, &w)) > 0) {
		list = ckpt_grow(in->watches, &in->n_watches, sizeof(*list));
		if (!list)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a watch");
		in->watches = list;
		list[in->n_watches - 1] = (struct ckpt_watch){ .wd = w.wd, .mask = w.mask };
	}
	ckpt_watches_order(in);
	return more ? ckpt_fail(err, CKPT_FAILED, 0, "cannot read inotify %d of pid %d", fd,
				p->pid) : 0;
}

/* Is it still what it was when it was noted? */
static const struct ckpt_held_proc *who_has(struct ckpt_hold *hold,
					    const struct ckpt_held_queue *q)
{
	const struct ckpt_held_proc *p = ckpt_tree_find(hold, q->pid);
	cleanup_free char *link = NULL;
	char name[32];

	snprintf(name, sizeof(name), "fd/%d", q->fd);
	return p && !p->zombie && !ckpt_procfs_link(p->dir, name, &link) &&
	       !strcmp(link, CKPT_INOTIFY_LINK) ? p : NULL;
}

int ckpt_queues_check(struct ckpt_hold *hold, struct ckpt_err *ret_why, struct ckpt_err *err)
{
	uint64_t last = 0;

	for (size_t i = 0; i < hold->n_queues; i++) {
		const struct ckpt_held_queue *q = &hold->queues[i];
		const struct ckpt_held_proc *p = who_has(hold, q);
		struct ckpt_inotify in = { 0 };
		uint64_t identity = 0;
		int bad;

		if (!p || !waits(hold, q->pid, q->fd, &identity))
			continue;
		/* that of a parent, which a crowd of children has as well */
		if (identity && identity == last)
			continue;
		last = identity;
		if (get_watches(hold, p, q->fd, &in, err)) {
			free(in.watches);
			return -1;
		}
		bad = ckpt_queue_read(hold, q->pid, q->fd, &in, ret_why);
		ckpt_events_forget(&in);
		free(in.watches);
		if (bad)
			return 1;
	}
	return 0;
}
