// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tracker `pagemap-scan`: the dirty sets of the group's own process, over its socket
 *
 * When that process is gone, or there is none to be had, nothing is known: then nothing is
 * told, and who asks reads everything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "track/protect.h"
#include "track/tracker-main.h"
#include "track/tracker-wire.h"
#include "track/tracker.h"

#define NAME "pagemap-scan"

/**
 * struct scan - one group's epoch as seen by one caller
 * @path: of the socket
 * @dir: directory of the group's cgroup
 * @sock: connection, -1: nothing is known
 */
struct scan {
	char *path, *dir;
	int sock, board;
};

static void give_up(struct scan *s)
{
	if (s->sock >= 0)
		close(s->sock);
	s->sock = -1;
}

/* Return: 0, or -1 with nothing known from here on. */
static int ask(struct scan *s, const struct ckpt_tracker_request *request, int fd,
	       struct ckpt_tracker_reply *ret)
{
	int no_fd;

	if (s->sock >= 0 && !ckpt_tracker_send(s->sock, request, sizeof(*request), fd) &&
	    !ckpt_tracker_receive(s->sock, ret, sizeof(*ret), &no_fd) &&
	    ret->err.status == CKPT_OK)
		return 0;
	give_up(s);
	return -1;
}

static struct ckpt_tracker_request request_of(uint32_t op)
{
	return (struct ckpt_tracker_request){ .version = CKPT_TRACKER_VERSION, .op = op };
}

static int begin_with(struct scan *s, struct ckpt_tracker_reply *ret)
{
	struct ckpt_tracker_request request = request_of(CKPT_TRACKER_BEGIN);

	request.cgroup = ckpt_tracker_inode(s->dir);
	request.pid_space = ckpt_tracker_inode("/proc/self/ns/pid");
	s->sock = ckpt_tracker_connect(s->path);
	return ask(s, &request, s->board, ret);
}

static int scan_begin(void *self, struct ckpt_epoch *ret, struct ckpt_err *err)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;
	struct scan *s = self;
	struct ckpt_tracker_reply reply;

	*ret = (struct ckpt_epoch){ .round = 1 };
	s->board = memfd_create("ckpt-tracker", MFD_CLOEXEC);
	if (s->board < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make room for a take");
	if (begin_with(s, &reply)) {
		/* one that does not answer must not hold what the next one is to have */
		if (ckpt_tracker_end(s->path, err))
			return -1;
		if (ckpt_tracker_spawn(s->path, s->dir, &ignored) || begin_with(s, &reply))
			return 0;
	}
	ret->epoch = reply.epoch;
	ret->load_cookie = reply.load_cookie;
	ret->generation = reply.generation;
	ret->estimate = reply.estimate;
	memcpy(ret->committed, reply.committed, CKPT_ID_LEN);
	return 0;
}

/* Put @pids on the board and ask what is to be done with them. */
static int ask_of(struct scan *s, uint32_t op, const int32_t *pids, size_t n,
		  struct ckpt_tracker_reply *ret)
{
	struct ckpt_tracker_request request = request_of(op);

	request.n = n;
	if (ckpt_tracker_put(s->board, pids, n * sizeof(*pids))) {
		give_up(s);
		return -1;
	}
	return ask(s, &request, -1, ret);
}

static int scan_missing(void *self, const int32_t *pids, size_t n, int32_t **ret_pids,
			size_t *ret_n, struct ckpt_err *err)
{
	struct scan *s = self;
	struct ckpt_tracker_reply reply;
	cleanup_free int32_t *missing = NULL;

	*ret_pids = NULL;
	*ret_n = 0;
	if (ask_of(s, CKPT_TRACKER_MISSING, pids, n, &reply))
		return 0;
	missing = calloc(n + 1, sizeof(*missing));
	if (!missing)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of processes");
	if (reply.len > n * sizeof(*pids) || ckpt_tracker_get(s->board, missing, reply.len)) {
		give_up(s);
		return 0;
	}
	*ret_pids = take_ptr(missing);
	*ret_n = reply.len / sizeof(*pids);
	return 0;
}

static void scan_adopt(void *self, int32_t pid, int fd)
{
	struct scan *s = self;
	struct ckpt_tracker_request request = request_of(CKPT_TRACKER_ADOPT);
	struct ckpt_tracker_reply reply;

	request.pid = pid;
	ask(s, &request, fd, &reply);
}

static int scan_next(void *self, bool final, struct ckpt_epoch *ret, struct ckpt_err *err)
{
	(void)self;
	(void)final;
	(void)ret;
	(void)err;
	return 0;
}

static int walk(struct scan *s, uint32_t op, const int32_t *pids, size_t n_pids,
		struct ckpt_take *ret, struct ckpt_err *err)
{
	struct ckpt_tracker_reply reply;
	struct stat st;
	void *data;
	int failed;

	*ret = (struct ckpt_take){ 0 };
	if (ask_of(s, op, pids, n_pids, &reply) || !reply.len)
		return 0;
	if (fstat(s->board, &st) || reply.len > (uint64_t)st.st_size) {
		give_up(s);
		return 0;
	}
	data = mmap(NULL, reply.len, PROT_READ, MAP_SHARED, s->board, 0);
	if (data == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read a take");
	failed = ckpt_take_decode(data, reply.len, ret, err);
	munmap(data, reply.len);
	return failed;
}

static int scan_pages(void *self, const int32_t *pids, size_t n_pids, struct ckpt_take *ret,
		      struct ckpt_err *err)
{
	return walk(self, CKPT_TRACKER_ROUND, pids, n_pids, ret, err);
}

static int scan_watch(void *self, const int32_t *pids, size_t n_pids, struct ckpt_take *ret,
		      struct ckpt_err *err)
{
	return walk(self, CKPT_TRACKER_WATCH, pids, n_pids, ret, err);
}

static int scan_ahead(void *self, struct ckpt_take *ret, struct ckpt_err *err)
{
	return walk(self, CKPT_TRACKER_AHEAD, NULL, 0, ret, err);
}

static int scan_more(void *self, const int32_t *pids, size_t n_pids, struct ckpt_take *take,
		     struct ckpt_err *err)
{
	struct ckpt_take more;
	int ret = walk(self, CKPT_TRACKER_MORE, pids, n_pids, &more, err);

	if (!ret && ckpt_take_join(take, &more))
		ret = ckpt_fail(err, CKPT_FAILED, 0, "no memory for a take");
	ckpt_take_done(&more);
	return ret;
}

static int scan_inodes(void *self, struct ckpt_inode_take *ret, struct ckpt_err *err)
{
	(void)self;
	(void)err;
	*ret = (struct ckpt_inode_take){ 0 };
	return 0;
}

/* Should it be heard by nobody: what is stored then is no parent of the next one. */
static int scan_commit(void *self, const uint8_t id[CKPT_ID_LEN], struct ckpt_err *err)
{
	struct scan *s = self;
	struct ckpt_tracker_request request = request_of(CKPT_TRACKER_COMMIT);
	struct ckpt_tracker_reply reply;

	(void)err;
	memcpy(request.id, id, CKPT_ID_LEN);
	ask(s, &request, -1, &reply);
	return 0;
}

static int scan_abort(void *self, struct ckpt_err *err)
{
	(void)err;
	give_up(self);	/* which is what it takes */
	return 0;
}

static void scan_close(void *self)
{
	struct scan *s = self;

	give_up(s);
	if (s->board >= 0)
		close(s->board);
	free(s->path);
	free(s->dir);
	free(s);
}

const char *ckpt_tracker_native(void)
{
	return ckpt_protect_works() ? NAME : "full";
}

int ckpt_tracker_open_scan(const char *path, const char *dir, struct ckpt_tracker *ret,
			   struct ckpt_err *err)
{
	struct scan *s;

	if (!ckpt_protect_works())
		return ckpt_fail(err, CKPT_REFUSED, ENOSYS,
				 "this kernel does not note what is written (Linux 6.7 and newer "
				 "with CONFIG_USERFAULTFD do)");
	s = calloc(1, sizeof(*s));
	if (!s)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the tracker");
	s->sock = s->board = -1;
	s->path = strdup(path);
	s->dir = strdup(dir);
	if (!s->path || !s->dir) {
		scan_close(s);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the tracker");
	}
	*ret = (struct ckpt_tracker){
		.name = NAME, .delta = true, .self = s,
		.begin = scan_begin, .next = scan_next, .missing = scan_missing,
		.adopt = scan_adopt, .watch = scan_watch, .ahead = scan_ahead,
		.pages = scan_pages, .more = scan_more,
		.inodes = scan_inodes, .commit = scan_commit, .abort = scan_abort,
		.close = scan_close,
	};
	return 0;
}
