// SPDX-License-Identifier: GPL-2.0-or-later
/* The tracker's process. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "track/tracker-main.h"
#include "track/tracker-wire.h"
#include "track/notes.h"

#define NAME "ckpt-tracker"

/**
 * struct server - the process
 * @events: cgroup.events of the group
 * @dir: directory of its cgroup
 * @caller: the connection that is served, -1: none
 * @board: its board
 * @cgroup, @pid_space: whom it watches, as the requests name them
 * @cookie: of this process, never 0
 * @open: an epoch is
 */
struct server {
	struct ckpt_notes notes;
	char *dir;
	int listener, events, caller, board;
	uint64_t cgroup, pid_space, cookie, epoch;
	uint8_t committed[CKPT_ID_LEN];
	bool open, quit;
};

/* Does a task live in the group?  Of a cgroup that was removed nothing can be read. */
static bool populated(const struct server *s)
{
	char text[256];
	ssize_t n = pread(s->events, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = 0;
	return !strstr(text, "populated 0");
}

static void drop_caller(struct server *s)
{
	if (s->open)
		ckpt_notes_abort(&s->notes);
	s->open = false;
	if (s->board >= 0)
		close(s->board);
	if (s->caller >= 0)
		close(s->caller);
	s->board = s->caller = -1;
}

static int do_begin(struct server *s, const struct ckpt_tracker_request *q, int *fd,
		    struct ckpt_tracker_reply *reply)
{
	if (q->cgroup != s->cgroup || q->pid_space != s->pid_space)
		return ckpt_fail(&reply->err, CKPT_REFUSED, 0, "this tracker is of another group");
	if (s->board >= 0)
		close(s->board);
	s->board = take_fd(*fd);
	if (s->open)
		ckpt_notes_abort(&s->notes);
	s->open = true;
	s->epoch++;
	reply->estimate = ckpt_notes_estimate(&s->notes);
	return 0;
}

/* The pids on the board; allocated. */
static int32_t *asked(const struct server *s, uint32_t n, struct ckpt_err *err)
{
	int32_t *pids = calloc((size_t)n + 1, sizeof(*pids));

	if (pids && !ckpt_tracker_get(s->board, pids, n * sizeof(*pids)))
		return pids;
	free(pids);
	ckpt_fail(err, CKPT_FAILED, errno, "the tracker cannot read what it is asked");
	return NULL;
}

static int answer(const struct server *s, const void *data, size_t len,
		  struct ckpt_tracker_reply *reply)
{
	if (ckpt_tracker_put(s->board, data, len))
		return ckpt_fail(&reply->err, CKPT_FAILED, errno, "the tracker cannot answer");
	reply->len = len;
	return 0;
}

static int do_missing(struct server *s, uint32_t n, struct ckpt_tracker_reply *reply)
{
	cleanup_free int32_t *pids = asked(s, n, &reply->err);
	cleanup_free int32_t *missing = NULL;
	size_t n_missing = 0;

	if (!pids ||
	    ckpt_notes_missing(&s->notes, pids, n, &missing, &n_missing, &reply->err))
		return -1;
	return answer(s, missing, n_missing * sizeof(*missing), reply);
}

/* Hand over @take, used up. */
static int answer_take(const struct server *s, struct ckpt_take *take,
		       struct ckpt_tracker_reply *reply)
{
	cleanup_buf struct ckpt_buf bytes = CKPT_BUF_INIT;
	int ret = ckpt_take_encode(take, &bytes);

	ckpt_take_done(take);
	if (ret)
		return ckpt_fail(&reply->err, CKPT_FAILED, 0, "no memory for a take");
	return answer(s, bytes.data, bytes.len, reply);
}

static int do_ahead(struct server *s, struct ckpt_tracker_reply *reply)
{
	struct ckpt_take take;

	if (ckpt_notes_ahead(&s->notes, s->dir, &take, &reply->err))
		return -1;
	ckpt_fault("tracker.ahead");
	return answer_take(s, &take, reply);
}

/* A walk of stopped processes: of the group, or of those of it that were not walked. */
typedef int (*walk_fn)(struct ckpt_notes *notes, const int32_t *pids, size_t n,
		       struct ckpt_take *ret, struct ckpt_err *err);

static int do_walk(struct server *s, walk_fn walk, uint32_t n, struct ckpt_tracker_reply *reply)
{
	cleanup_free int32_t *pids = asked(s, n, &reply->err);
	struct ckpt_take take;

	if (!pids)
		return -1;
	/* what has been protected and not told nobody would ever hear of */
	if (walk(&s->notes, pids, n, &take, &reply->err))
		_exit(1);
	ckpt_fault("tracker.round");
	return answer_take(s, &take, reply);
}

static int do_adopt(struct server *s, int32_t pid, int *fd, struct ckpt_tracker_reply *reply)
{
	int ret = ckpt_notes_adopt(&s->notes, pid, take_fd(*fd), &reply->err);

	ckpt_fault("tracker.adopted");
	return ret;
}

static void do_commit(struct server *s, const struct ckpt_tracker_request *q)
{
	ckpt_notes_commit(&s->notes);
	memcpy(s->committed, q->id, CKPT_ID_LEN);
	s->open = false;
	ckpt_fault("tracker.committed");
}

static void serve(struct server *s, const struct ckpt_tracker_request *q, int *fd,
		  struct ckpt_tracker_reply *reply)
{
	bool begun = s->open || q->op == CKPT_TRACKER_BEGIN || q->op == CKPT_TRACKER_QUIT;
	bool carries = q->op == CKPT_TRACKER_BEGIN || q->op == CKPT_TRACKER_ADOPT;

	if (q->version != CKPT_TRACKER_VERSION || !begun || (carries && *fd < 0)) {
		ckpt_fail(&reply->err, CKPT_REFUSED, 0, "the tracker cannot do that now");
		return;
	}
	switch (q->op) {
	case CKPT_TRACKER_BEGIN:
		do_begin(s, q, fd, reply);
		break;
	case CKPT_TRACKER_MISSING:
		do_missing(s, q->n, reply);
		break;
	case CKPT_TRACKER_ADOPT:
		do_adopt(s, q->pid, fd, reply);
		break;
	case CKPT_TRACKER_AHEAD:
		do_ahead(s, reply);
		break;
	case CKPT_TRACKER_WATCH:
		do_walk(s, ckpt_notes_watch, q->n, reply);
		break;
	case CKPT_TRACKER_ROUND:
		do_walk(s, ckpt_notes_round, q->n, reply);
		break;
	case CKPT_TRACKER_MORE:
		do_walk(s, ckpt_notes_more, q->n, reply);
		break;
	case CKPT_TRACKER_COMMIT:
		do_commit(s, q);
		break;
	case CKPT_TRACKER_QUIT:
		ckpt_notes_done(&s->notes);
		s->quit = true;
		break;
	}
	reply->epoch = s->epoch;
	reply->load_cookie = s->cookie;
	reply->generation = s->cgroup;
	memcpy(reply->committed, s->committed, CKPT_ID_LEN);
}

static void next_request(struct server *s)
{
	struct ckpt_tracker_reply reply = { .err = CKPT_ERR_INIT };
	struct ckpt_tracker_request request;
	cleanup_close int fd = -1;

	if (ckpt_tracker_receive(s->caller, &request, sizeof(request), &fd)) {
		drop_caller(s);
		return;
	}
	serve(s, &request, &fd, &reply);
	ckpt_fault("tracker.answering");
	if (ckpt_tracker_send(s->caller, &reply, sizeof(reply), -1))
		drop_caller(s);
}

/* Root alone: whoever else gets as far as the socket. */
static void take_caller(struct server *s)
{
	int caller = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	struct ucred who;
	socklen_t len = sizeof(who);

	if (caller < 0)
		return;
	if (getsockopt(caller, SOL_SOCKET, SO_PEERCRED, &who, &len) || who.uid) {
		close(caller);
		return;
	}
	s->caller = caller;
}

/* One caller at a time: those that have the group's lock are one. */
static void run(struct server *s)
{
	while (!s->quit && (s->caller >= 0 || populated(s))) {
		struct pollfd p[] = {
			{ .fd = s->caller >= 0 ? s->caller : s->listener, .events = POLLIN },
			{ .fd = s->events, .events = POLLPRI },
		};

		if (poll(p, s->caller >= 0 ? 1 : 2, -1) < 0 && errno != EINTR)
			return;
		if (!p[0].revents)
			continue;
		if (s->caller >= 0)
			next_request(s);
		else
			take_caller(s);
	}
}

void ckpt_tracker_main(const char *path, const char *dir, int ready)
{
	struct server s = { .listener = -1, .events = -1, .caller = -1, .board = -1 };
	cleanup_close int group = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int *keep[] = { &ready, &s.listener, &s.events };

	s.dir = strdup(dir);	/* the arguments are written over */
	s.cgroup = ckpt_tracker_inode(dir);
	s.pid_space = ckpt_tracker_inode("/proc/self/ns/pid");
	s.events = group < 0 ? -1 : openat(group, "cgroup.events", O_RDONLY | O_CLOEXEC);
	s.listener = ckpt_tracker_listen(path);
	if (!s.dir || s.events < 0 || s.listener < 0 ||
	    getrandom(&s.cookie, sizeof(s.cookie), 0) != sizeof(s.cookie))
		_exit(1);
	s.cookie |= 1;
	ckpt_fault("tracker.started");
	ckpt_apart_descriptors(keep, 3);
	ckpt_apart(NAME);
	if (write(ready, "", 1) != 1)
		_exit(1);
	close(ready);
	run(&s);
	ckpt_notes_done(&s.notes);
	_exit(0);
}
