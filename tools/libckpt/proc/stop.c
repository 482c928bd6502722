// SPDX-License-Identifier: GPL-2.0-or-later
/* Stop of a group: the caller's side. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/keeper.h"
#include "proc/procfs.h"
#include "proc/stop.h"

/**
 * struct ckpt_stop - the caller's end
 * @freeze: cgroup.freeze, for the case that the keeper dies; -1 without cgroup
 * @sees_reads: ckpt_stop_sees_reads
 * @n_wanted: pids in the memfd, for the next collect
 * @took_ns: ckpt_stop_took_ns
 * @tcp_left, @tcp_reset: ckpt_stop_tcps
 */
struct ckpt_stop {
	int sock, memfd, freeze;
	uint32_t n_wanted;
	uint32_t tcp_left, tcp_reset;
	pid_t keeper;
	bool sees_reads;
	uint64_t took_ns;
};

/* Its descriptors are closed before its end can be waited for; a moment is enough. */
static void say_end(struct ckpt_stop *stop, char *text, size_t size)
{
	int status;

	snprintf(text, size, "and did not say how");
	for (int tries = 0; stop->keeper > 0 && tries < 1000; tries++) {
		pid_t pid = waitpid(stop->keeper, &status, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (pid == stop->keeper) {
			stop->keeper = -1;
			if (WIFSIGNALED(status))
				snprintf(text, size, "of signal %d", WTERMSIG(status));
			else
				snprintf(text, size, "with status %d", WEXITSTATUS(status));
			return;
		}
		ckpt_sleep_us(1000);
	}
}

static int keeper_died(struct ckpt_stop *stop, struct ckpt_err *err)
{
	char how[32];

	if (stop->freeze >= 0 && pwrite(stop->freeze, "0", 1, 0) < 0)
		return ckpt_fail(err, CKPT_FAILED, errno,
			"the keeper died and the cgroup cannot be thawed; write 0 to its "
			"cgroup.freeze");
	say_end(stop, how, sizeof(how));
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "the keeper died %s; the tree was detached and thawed, try again", how);
}

static int get_reply(struct ckpt_stop *stop, struct ckpt_keeper_reply *reply, struct ckpt_err *err)
{
	ssize_t n;

	do
		n = recv(stop->sock, reply, sizeof(*reply), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*reply))
		return keeper_died(stop, err);
	if (reply->err.status == CKPT_OK)
		return 0;
	if (err)
		*err = reply->err;
	return -1;
}

static int ask(struct ckpt_stop *stop, uint32_t op, struct ckpt_err *err)
{
	struct ckpt_keeper_request request = { .op = op, .n_wanted = stop->n_wanted };

	if (send(stop->sock, &request, sizeof(request), MSG_NOSIGNAL) == sizeof(request))
		return 0;
	return keeper_died(stop, err);
}

static int open_freeze(const char *cgroup)
{
	cleanup_close int dir = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? -1 : openat(dir, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
}

int ckpt_stop_open(const struct ckpt_stop_params *params, struct ckpt_stop **ret,
		   struct ckpt_err *err)
{
	struct ckpt_stop *stop = malloc(sizeof(*stop));
	struct ckpt_keeper_reply reply;
	pid_t caller = getpid();
	int ends[2];

	if (!stop)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a stop");
	*stop = (struct ckpt_stop){ .sock = -1, .memfd = -1, .freeze = -1, .keeper = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		ckpt_fail(err, CKPT_FAILED, errno, "cannot make a socket for the keeper");
		goto fail;
	}
	stop->sock = ends[0];
	stop->memfd = memfd_create("ckpt-image", MFD_CLOEXEC);
	if (stop->memfd >= 0)
		stop->keeper = fork();
	if (stop->keeper < 0) {
		ckpt_fail(err, CKPT_FAILED, errno, "cannot start the keeper");
		close(ends[1]);
		goto fail;
	}
	if (!stop->keeper) {
		close(ends[0]);
		ckpt_keeper_main(params, ends[1], stop->memfd, caller);
	}
	close(ends[1]);
	ckpt_fault("stop.forked");
	if (get_reply(stop, &reply, err))
		goto fail;
	stop->sees_reads = reply.sees_reads;
	if (params->cgroup)
		stop->freeze = open_freeze(params->cgroup);
	ckpt_fault("stop.opened");
	*ret = stop;
	return 0;

fail:
	ckpt_stop_close(stop);
	return -1;
}

bool ckpt_stop_sees_reads(const struct ckpt_stop *stop)
{
	return stop->sees_reads;
}

int ckpt_stop_begin(struct ckpt_stop *stop, struct ckpt_err *err)
{
	struct ckpt_keeper_reply reply;

	if (ask(stop, CKPT_KEEPER_BEGIN, err))
		return -1;
	ckpt_fault("stop.beginning");
	if (get_reply(stop, &reply, err))
		return -1;
	stop->took_ns = reply.freeze_ns;
	ckpt_fault("stop.begun");
	return 0;
}

uint64_t ckpt_stop_took_ns(const struct ckpt_stop *stop)
{
	return stop->took_ns;
}

int ckpt_stop_want(struct ckpt_stop *stop, const int32_t *pids, size_t n, struct ckpt_err *err)
{
	ssize_t len = n * sizeof(*pids);

	if (n > UINT32_MAX || pwrite(stop->memfd, pids, len, 0) != len)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot tell the keeper of %zu processes",
				 n);
	stop->n_wanted = n;
	return 0;
}

int ckpt_stop_fetch(struct ckpt_stop *stop, int fd, struct ckpt_err *err)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, stop->keeper, 0);
	int own = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	return own >= 0 ? own :
	       ckpt_fail(err, CKPT_FAILED, errno, "cannot get descriptor %d of the keeper", fd);
}

int ckpt_stop_collect_start(struct ckpt_stop *stop, struct ckpt_err *err)
{
	if (ask(stop, CKPT_KEEPER_COLLECT, err))
		return -1;
	ckpt_fault("stop.collecting");
	return 0;
}

/* The image and what goes beside it, out of the memfd. */
static int take_image(struct ckpt_stop *stop, const struct ckpt_keeper_reply *reply,
		      struct ckpt_image *ret, struct ckpt_err *err)
{
	size_t at = CKPT_ASIDE_AT(reply->image_len);
	size_t len = at + reply->aside_len;
	struct ckpt_image image;
	uint8_t *data;
	int r;

	data = mmap(NULL, len, PROT_READ, MAP_SHARED, stop->memfd, 0);
	if (data == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot map the image of the keeper");
	r = ckpt_image_decode(data, reply->image_len, &image, err);
	if (!r) {
		r = ckpt_aside_decode(data + at, reply->aside_len, &image, err);
		if (r)
			ckpt_image_done(&image);
	}
	munmap(data, len);
	if (!r)
		*ret = image;
	return r;
}

static int end(struct ckpt_stop *stop, uint32_t op, uint64_t *ret_freeze_ns, struct ckpt_err *err)
{
	struct ckpt_keeper_reply reply;

	ckpt_fault("stop.ending");
	if (ask(stop, op, err))
		return -1;
	ckpt_fault("stop.releasing");
	if (get_reply(stop, &reply, err))
		return -1;
	ckpt_fault("stop.released");
	stop->tcp_left = reply.tcp_left;
	stop->tcp_reset = reply.tcp_reset;
	if (ret_freeze_ns)
		*ret_freeze_ns = reply.freeze_ns;
	return 0;
}

int ckpt_stop_collect_wait(struct ckpt_stop *stop, struct ckpt_image *ret, struct ckpt_err *err)
{
	struct ckpt_keeper_reply reply;

	if (get_reply(stop, &reply, err))
		return -1;
	ckpt_fault("stop.collected");
	if (!take_image(stop, &reply, ret, err))
		return 0;
	end(stop, CKPT_KEEPER_RELEASE, NULL, NULL);
	return -1;
}

int ckpt_stop_collect(struct ckpt_stop *stop, struct ckpt_image *ret, struct ckpt_err *err)
{
	if (ckpt_stop_collect_start(stop, err))
		return -1;
	return ckpt_stop_collect_wait(stop, ret, err);
}

static int take_survey(struct ckpt_stop *stop, const struct ckpt_keeper_reply *reply,
		       struct ckpt_survey *ret, struct ckpt_err *err)
{
	cleanup_free char *data = malloc(reply->survey_len + 1);

	if (!data ||
	    pread(stop->memfd, data, reply->survey_len, 0) != (ssize_t)reply->survey_len)
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot take over what the keeper found");
	return ckpt_survey_decode(data, reply->survey_len, ret, err);
}

int ckpt_stop_survey(struct ckpt_stop *stop, struct ckpt_survey *ret,
		     struct ckpt_image *ret_image, struct ckpt_err *err)
{
	struct ckpt_keeper_reply reply;

	if (ask(stop, CKPT_KEEPER_SURVEY, err) || get_reply(stop, &reply, err))
		return -1;
	if (!(reply.image_len ? take_image(stop, &reply, ret_image, err) :
				take_survey(stop, &reply, ret, err)))
		return 0;
	end(stop, CKPT_KEEPER_RELEASE, NULL, NULL);
	return -1;
}

int ckpt_stop_holding(struct ckpt_stop *stop, uint64_t *ret_freeze_ns, struct ckpt_err *err)
{
	struct ckpt_keeper_reply reply;

	if (ask(stop, CKPT_KEEPER_HOLDING, err) || get_reply(stop, &reply, err))
		return -1;
	*ret_freeze_ns = reply.freeze_ns;
	return 0;
}

int ckpt_stop_release(struct ckpt_stop *stop, uint64_t *ret_freeze_ns, struct ckpt_err *err)
{
	return end(stop, CKPT_KEEPER_RELEASE, ret_freeze_ns, err);
}

int ckpt_stop_kill(struct ckpt_stop *stop, uint64_t *ret_freeze_ns, struct ckpt_err *err)
{
	return end(stop, CKPT_KEEPER_KILL, ret_freeze_ns, err);
}

void ckpt_stop_tcps(const struct ckpt_stop *stop, uint32_t *ret_left, uint32_t *ret_reset)
{
	*ret_left = stop->tcp_left;
	*ret_reset = stop->tcp_reset;
}

void ckpt_stop_close(struct ckpt_stop *stop)
{
	if (!stop)
		return;
	/* the keeper sees the end of the socket, lets go and exits */
	if (stop->sock >= 0)
		close(stop->sock);
	if (stop->keeper > 0) {
		while (waitpid(stop->keeper, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (stop->memfd >= 0)
		close(stop->memfd);
	if (stop->freeze >= 0)
		close(stop->freeze);
	free(stop);
}
