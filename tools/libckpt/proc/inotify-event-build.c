// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events of inotifies: made again where nobody else is
 *
 * No call puts an event into a queue.  But one holds no more of a file than the number of a watch,
 * so it can be made with another file: in a small file system of ours, with a watch of that number
 * which hears that alone.
 *
 * The end of a watch is an event as well, and these watches must end before the real ones can have
 * their numbers.  When a queue is full, events are dropped for one that tells of it, and while that
 * one waits already, without a trace.  So the queue is made to overflow, emptied but for this last
 * event, and filled again with what takes the room that the real ones leave; then these; then the
 * watches end unheard, and what is in front of the real events is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/build.h"
#include "proc/inotify.h"
#include "proc/procfs.h"

#define QUEUE_MAX "/proc/sys/fs/inotify/max_queued_events"
/* A queue that is no longer is filled in a few seconds. */
#define MOST (1u << 20)
#define EACH ((int)sizeof(struct inotify_event))
/* What is moved in from, or out to, a place that is not watched. */
#define ASIDE "aside"
#define FILLER "filler"
#define PATH_LEN (16 + CKPT_EVENT_NAME_MAX)
/* A mask in which no event is. */
#define DEAF IN_DONT_FOLLOW

/**
 * struct maker - an inotify whose events are being made
 * @fd: of it
 * @top: the file system
 * @filler: a file in it, and @filler_wd the number of its watch
 * @in: what is wanted
 * @sources: one file or directory each, named by its number
 */
struct maker {
	int fd, top, filler;
	int32_t filler_wd;
	const struct ckpt_inotify *in;
	struct ckpt_event_sources sources;
};

static int make_top(void)
{
	cleanup_close int fs = syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	return fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? -1 :
	       (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
}

static uint64_t queue_max(void)
{
	cleanup_fclose FILE *f = fopen(QUEUE_MAX, "re");
	uint64_t n;

	return f && fscanf(f, "%lu", &n) == 1 ? n : 0;
}

int ckpt_events_machine(const struct ckpt_image *image, struct ckpt_err *err)
{
	const uint64_t max = queue_max();
	cleanup_close int top = -1;
	size_t n = 0;

	for (size_t i = 0; i < image->n_inotifies; i++) {
		if (image->inotifies[i].n_events > n)
			n = image->inotifies[i].n_events;
	}
	if (!n)
		return 0;
	if (!ckpt_inotify_has_numbers())
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "events wait in an inotify of the tree, which this kernel lets "
				 "nobody make (CONFIG_CHECKPOINT_RESTORE)");
	if (max <= n)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%zu events wait in an inotify of the tree; raise "
				 "fs.inotify.max_queued_events above that", n);
	if (max > MOST)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "events wait in an inotify of the tree; lower "
				 "fs.inotify.max_queued_events to %u for the restore", MOST);
	top = make_top();
	return top >= 0 ? 0 :
	       ckpt_fail(err, CKPT_REFUSED, errno, "events wait in an inotify of the tree, and "
			 "ckpt-tool cannot make the tmpfs that it makes them again in");
}

static int failed(struct ckpt_err *err, const char *what)
{
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot %s to make events of an inotify", what);
}

/* What waits in it is that much, unless memory is short or somebody has changed the setting. */
static int expect(const struct maker *m, int64_t bytes, struct ckpt_err *err)
{
	int waiting;

	if (ioctl(m->fd, FIONREAD, &waiting))
		return failed(err, "look at a queue");
	return waiting == bytes ? 0 :
	       ckpt_fail(err, CKPT_FAILED, 0, "%d bytes of events wait in an inotify that was to "
			 "have %ld (memory is short, or fs.inotify.max_queued_events was changed)",
			 waiting, bytes);
}

/* A watch of what is called @name, be it there or not, hears no more than @mask then. */
static int hear_at(const struct maker *m, const char *name, int32_t wd, uint32_t mask,
		   struct ckpt_err *err)
{
	char path[64];
	int got;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", m->top, name);
	if (ioctl(m->fd, INOTIFY_IOC_SETNEXTWD, wd))
		return failed(err, "number a watch");
	got = inotify_add_watch(m->fd, path, mask | DEAF);
	if (got < 0)
		return failed(err, "watch");
	return got == wd ? 0 : ckpt_fail(err, CKPT_FAILED, 0, "a watch that is to make events is "
					 "%d, not %d", got, wd);
}

static int hear(const struct maker *m, int32_t wd, uint32_t mask, struct ckpt_err *err)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", wd);
	return hear_at(m, name, wd, mask, err);
}

/* @n events, no two of which in a row are alike. */
static int fill(const struct maker *m, uint64_t n, struct ckpt_err *err)
{
	char byte = 0;

	for (uint64_t i = 0; i < n; i++) {
		if ((i % 2 ? pread(m->filler, &byte, 1, 0) : pwrite(m->filler, &byte, 1, 0)) != 1)
			return failed(err, "fill a queue");
	}
	return 0;
}

/* Take @n events without names out of it, which are there. */
static int drain(const struct maker *m, uint64_t n, struct ckpt_err *err)
{
	char data[1024 * sizeof(struct inotify_event)];

	for (uint64_t left = n * EACH; left;) {
		ssize_t got = read(m->fd, data, left < sizeof(data) ? left : sizeof(data));

		if (got <= 0)
			return failed(err, "empty a queue");
		left -= got;
	}
	return 0;
}

static int make_node(const struct maker *m, const char *path, bool dir)
{
	return dir ? mkdirat(m->top, path, 0700) : mknodat(m->top, path, S_IFREG | 0600, 0);
}

static int remove_node(const struct maker *m, const char *path, bool dir)
{
	return unlinkat(m->top, path, dir ? AT_REMOVEDIR : 0);
}

/* The path of what event @e happens to. */
static const char *path_of(const struct ckpt_watch_event *e, char path[PATH_LEN])
{
	snprintf(path, PATH_LEN, e->name ? "%d/%s" : "%d", e->wd, e->name);
	return path;
}

static int make_sources(struct maker *m, struct ckpt_err *err)
{
	char path[16];

	for (size_t i = 0; i < m->sources.n; i++) {
		const struct ckpt_event_source *s = &m->sources.list[i];

		snprintf(path, sizeof(path), "%d", s->wd);
		if (make_node(m, path, s->dir))
			return failed(err, "make a file");
		if (hear(m, s->wd, DEAF, err))
			return -1;
	}
	return 0;
}

/* A time that was set alone is an access, or a change. */
static int set_time(const struct maker *m, const char *path, bool changed)
{
	const struct timespec t[2] = {
		{ .tv_nsec = changed ? UTIME_OMIT : 0 }, { .tv_nsec = changed ? 0 : UTIME_OMIT },
	};

	return utimensat(m->top, path, t, 0);
}

/* An open, or the end of one, of which one only is heard. */
static int open_close(const struct maker *m, const struct ckpt_watch_event *e, const char *path,
		      struct ckpt_err *err)
{
	const uint32_t kind = e->mask & IN_ALL_EVENTS;
	cleanup_close int fd = -1;

	if (hear(m, e->wd, kind & IN_OPEN, err))
		return -1;
	fd = openat(m->top, path, (kind == IN_CLOSE_WRITE ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return failed(err, "open a file");
	if (hear(m, e->wd, kind & IN_CLOSE, err))
		return -1;
	close(take_fd(fd));
	return 0;
}

/* What changes neither what is there nor its name. */
static int touch(const struct maker *m, const struct ckpt_watch_event *e, const char *path,
		 struct ckpt_err *err)
{
	const uint32_t kind = e->mask & IN_ALL_EVENTS;
	bool bad;

	if (kind & (IN_OPEN | IN_CLOSE))
		return open_close(m, e, path, err);
	if (hear(m, e->wd, kind, err))
		return -1;
	if (kind == IN_ATTRIB)
		bad = fchmodat(m->top, path, 0700, 0);
	else
		bad = set_time(m, path, kind == IN_MODIFY);
	return bad ? failed(err, "change a file") : 0;
}

/* Of a name that is there for that alone. */
static int make_named(const struct maker *m, const struct ckpt_watch_event *e, struct ckpt_err *err)
{
	const bool dir = e->mask & IN_ISDIR, from = e->mask & IN_MOVED_FROM;
	const uint32_t kind = e->mask & IN_ALL_EVENTS;
	char path[PATH_LEN];

	path_of(e, path);
	if (kind != IN_CREATE && make_node(m, kind == IN_MOVED_TO ? ASIDE : path, dir))
		return failed(err, "make a file");
	if (!(kind & (IN_CREATE | IN_DELETE | IN_MOVE))) {
		if (touch(m, e, path, err))
			return -1;
	} else if (hear(m, e->wd, kind, err)) {
		return -1;
	}
	if ((kind == IN_CREATE && make_node(m, path, dir)) ||
	    (kind == IN_DELETE && remove_node(m, path, dir)) ||
	    (kind & IN_MOVE && renameat(m->top, from ? path : ASIDE, m->top, from ? ASIDE : path)))
		return failed(err, "make, move or remove a file");
	if (hear(m, e->wd, DEAF, err))
		return -1;
	if (kind != IN_DELETE && remove_node(m, from ? ASIDE : path, dir))
		return failed(err, "remove a file");
	return 0;
}

/* Both halves of a move. */
static int make_move(const struct maker *m, const struct ckpt_watch_event *e, struct ckpt_err *err)
{
	const bool dir = e->mask & IN_ISDIR, within = e->wd == e[1].wd;
	char from[PATH_LEN], to[PATH_LEN];

	if (make_node(m, path_of(e, from), dir))
		return failed(err, "make a file");
	if (hear(m, e->wd, within ? IN_MOVE : IN_MOVED_FROM, err) ||
	    (!within && hear(m, e[1].wd, IN_MOVED_TO, err)))
		return -1;
	if (renameat(m->top, from, m->top, path_of(&e[1], to)))
		return failed(err, "move a file");
	if (hear(m, e->wd, DEAF, err) || (!within && hear(m, e[1].wd, DEAF, err)))
		return -1;
	return remove_node(m, to, dir) ? failed(err, "remove a file") : 0;
}

/* Of what is watched; when it is removed two events tell so. */
static int make_self(struct maker *m, const struct ckpt_watch_event *e, struct ckpt_err *err)
{
	const bool dir = ckpt_event_source(&m->sources, e->wd)->dir;
	char path[PATH_LEN];

	path_of(e, path);
	if (e->mask & IN_IGNORED)
		return inotify_rm_watch(m->fd, e->wd) ? failed(err, "end a watch") : 0;
	if (e->mask & IN_DELETE_SELF)
		return hear(m, e->wd, IN_DELETE_SELF, err) ? -1 :
		       remove_node(m, path, dir) ? failed(err, "remove a file") : 0;
	if (!(e->mask & IN_MOVE_SELF)) {
		if (touch(m, e, path, err))
			return -1;
		return hear(m, e->wd, DEAF, err);
	}
	if (hear(m, e->wd, IN_MOVE_SELF, err))
		return -1;
	if (renameat(m->top, path, m->top, ASIDE))
		return failed(err, "move a file");
	if (hear_at(m, ASIDE, e->wd, DEAF, err))
		return -1;
	return renameat(m->top, ASIDE, m->top, path) ? failed(err, "move a file") : 0;
}

static int make_events(struct maker *m, struct ckpt_err *err)
{
	const struct ckpt_inotify *in = m->in;

	for (size_t i = 0; i < in->n_events; i++) {
		const struct ckpt_watch_event *e = &in->events[i];
		bool moves = ckpt_event_moves(in, i);

		if (moves ? make_move(m, e, err) :
		    e->name ? make_named(m, e, err) : make_self(m, e, err))
			return -1;
		i += moves || e->mask & IN_DELETE_SELF;
	}
	return 0;
}

/* Nothing hears of it: the queue is full, and tells so already. */
static int end_watches(const struct maker *m, struct ckpt_err *err)
{
	for (size_t i = 0; i < m->sources.n; i++) {
		if (!m->sources.list[i].gone && inotify_rm_watch(m->fd, m->sources.list[i].wd))
			return failed(err, "end a watch");
	}
	return inotify_rm_watch(m->fd, m->filler_wd) ? failed(err, "end a watch") : 0;
}

static int make_all(struct maker *m, struct ckpt_err *err)
{
	const uint64_t max = queue_max();
	const int64_t before = EACH * (int64_t)(max - m->in->n_events);
	const int64_t all = before + (int64_t)ckpt_events_len(m->in);

	if (hear_at(m, FILLER, m->filler_wd, IN_ACCESS | IN_MODIFY, err) || make_sources(m, err) ||
	    fill(m, max + 1, err) || expect(m, EACH * (int64_t)(max + 1), err) ||
	    drain(m, max, err) || expect(m, EACH, err) ||
	    fill(m, max - 1 - m->in->n_events, err) || expect(m, before, err) ||
	    make_events(m, err) || expect(m, all, err))
		return -1;
	if (ckpt_fault("events.made"))
		return ckpt_fail(err, CKPT_FAILED, 0, "events.made: fault injected");
	return end_watches(m, err) || expect(m, all, err) ||
	       drain(m, max - m->in->n_events, err) || expect(m, all - before, err) ? -1 : 0;
}

int ckpt_build_events(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_inotify *in = &r->image->inotifies[r->image->files[index].object];
	cleanup_close int fd = ckpt_build_borrow(r, r->fd_base + index, err);
	cleanup_close int top = fd < 0 ? -1 : make_top();
	cleanup_close int filler = -1;
	struct maker m = { .fd = fd, .top = top, .filler_wd = 1, .in = in };

	if (fd < 0)
		return -1;
	if (top >= 0)
		filler = openat(top, FILLER, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (filler < 0)
		return failed(err, "make a file system");
	m.filler = filler;
	if (ckpt_events_odd(in, &m.sources))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "the events of an inotify cannot be made");
	for (size_t i = 0; i < m.sources.n && m.sources.list[i].wd == m.filler_wd; i++)
		m.filler_wd++;
	if (queue_max() <= in->n_events)
		return ckpt_fail(err, CKPT_FAILED, 0, "fs.inotify.max_queued_events was changed");
	return make_all(&m, err);
}
