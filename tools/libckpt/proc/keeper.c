// SPDX-License-Identifier: GPL-2.0-or-later
/* Keeper: holds a tree for a caller that may die. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/ask.h"
#include "proc/hold.h"
#include "proc/keeper.h"
#include "proc/label.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/remote.h"
#include "proc/tcp-outside.h"

#define NAME "ckpt-keeper"
#define HEAP_LEN (4 << 20)
#define IMAGE_LEN (1 << 20)
#define CALL_MS 1000
#define KILL_NS 5000000000ull

/**
 * struct keeper - the process
 * @holding: the tree is stopped
 * @survey: what was refused so far, where all of it is to be known
 * @lapsed: it was let go because the caller took too long
 */
struct keeper {
	struct ckpt_hold hold;
	struct ckpt_survey survey;
	int sock, memfd;
	uint32_t hold_ms;
	bool holding, lapsed;
};

static void on_tick(int sig)
{
	(void)sig;
}

/* A signal every 50 ms while a request is served: it ends a wait for a task. */
static void tick(bool on)
{
	struct sigaction action = { .sa_handler = on_tick };
	struct itimerval every = { 0 };
	sigset_t set;

	if (on)
		every.it_interval.tv_usec = every.it_value.tv_usec = 50000;
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

/* Memory that the stop will need, so that none is first touched in it. */
static void touch_heap(void)
{
	void *heap = malloc(HEAP_LEN);

	if (heap)
		memset(heap, 1, HEAP_LEN);
	__asm__ volatile("" : : "r"(heap) : "memory");
	free(heap);
}

/*
 * What is first used while the tree is stopped would be paid for then: memory
 * of a forked process is copied page by page at the first write, the library of
 * hashes sets itself up, and cpuid is slow in a virtual machine.
 */
static void warm_up(void)
{
	unsigned char hash[32];
	unsigned int n = sizeof(hash);

	mallopt(M_MMAP_THRESHOLD, 1 << 26);
	mallopt(M_TRIM_THRESHOLD, 1 << 27);
	mallopt(M_TOP_PAD, 1 << 20);
	touch_heap();
	EVP_Digest("", 0, hash, &n, EVP_sha256(), NULL);
	ckpt_sigframe_warm_up();
	ckpt_strange_warm_up();
}

static void let_go(struct keeper *k)
{
	if (!k->holding)
		return;
	ckpt_flight_done(&k->hold);
	ckpt_hold_release(&k->hold);
	k->holding = false;
}

/* What was for the stop alone goes with it: no socket of the tree stays open with us. */
static void settle(struct keeper *k)
{
	if (k->holding)
		return;
	ckpt_limits_settle(&k->hold);
	ckpt_due_close(&k->hold.due);
}

static int put_memfd(int memfd, const struct ckpt_buf *b, struct ckpt_err *err)
{
	for (size_t done = 0; done < b->len;) {
		ssize_t n = pwrite(memfd, b->data + done, b->len - done, done);

		if (n <= 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot hand the image over");
		done += n;
	}
	return 0;
}

/* Take an image apart for the caller. */
static int hand_over(struct keeper *k, const struct ckpt_image *image,
		     struct ckpt_keeper_reply *reply)
{
	cleanup_buf struct ckpt_buf bytes = CKPT_BUF_INIT;
	struct ckpt_err *err = &reply->err;

	if (ckpt_image_encode(image, &bytes, err))
		return -1;
	reply->image_len = bytes.len;
	ckpt_buf_put(&bytes, NULL, CKPT_ASIDE_AT(bytes.len) - bytes.len);
	if (ckpt_aside_encode(image, &bytes, err))
		return -1;
	reply->aside_len = bytes.len - CKPT_ASIDE_AT(reply->image_len);
	return put_memfd(k->memfd, &bytes, err);
}

/* What is refused; when that is nothing, the image. */
static int do_survey(struct keeper *k, struct ckpt_keeper_reply *reply)
{
	cleanup_buf struct ckpt_buf bytes = CKPT_BUF_INIT;
	struct ckpt_err *err = &reply->err;
	struct ckpt_image image = { 0 };
	int ret = 0;

	if (k->holding) {
		k->hold.survey = &k->survey;
		ret = ckpt_survey_pass(&k->survey, ckpt_read_tree(&k->hold, &image, err), err);
		k->hold.survey = NULL;
	}
	if (!ret && k->holding && !k->survey.n)
		ret = hand_over(k, &image, reply);
	else if (!ret)
		ret = ckpt_survey_encode(&k->survey, &bytes, err);
	if (!ret && bytes.len) {
		reply->survey_len = bytes.len;
		ret = put_memfd(k->memfd, &bytes, err);
	}
	ckpt_image_done(&image);
	return ret;
}

static int read_wanted(struct keeper *k, uint32_t n, struct ckpt_err *err)
{
	ssize_t len = n * sizeof(*k->hold.wanted);

	if (!n)
		return 0;
	free(k->hold.wanted);
	k->hold.n_wanted = 0;
	k->hold.wanted = malloc(len);
	if (!k->hold.wanted || pread(k->memfd, k->hold.wanted, len, 0) != len)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of processes");
	k->hold.n_wanted = n;
	return 0;
}

static int do_collect(struct keeper *k, uint32_t n_wanted, struct ckpt_keeper_reply *reply)
{
	struct ckpt_image image;
	int ret;

	if (read_wanted(k, n_wanted, &reply->err) ||
	    ckpt_read_tree(&k->hold, &image, &reply->err))
		return -1;
	ckpt_fault("keeper.read");
	ret = hand_over(k, &image, reply);
	ckpt_image_done(&image);
	return ret;
}

/* Processes that are neither gone nor zombies. */
static size_t alive(struct ckpt_hold *hold)
{
	size_t n = 0;

	for (size_t i = 0; i < hold->n_procs; i++)
		n += !ckpt_tree_ended(hold, &hold->procs[i]);
	return n;
}

static int blame(const struct ckpt_held_proc *p, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "pid %d (%s) was killed while it was held; the others run on, try again",
			 p->pid, p->comm);
}

/*
 * Only SIGKILL ends a held process; that is then why the rest has failed.  Between
 * the two signs of it, the signal and the exit, the kernel shows none for a moment.
 * Nobody is held while we wait for that.
 */
static void blame_kill(struct keeper *k, struct ckpt_err *err)
{
	int patience = err->status != CKPT_FAILED ? 0 : err->os == ESRCH ? 1000 : 20;
	struct ckpt_hold *hold = &k->hold;
	const struct ckpt_held_proc *p;

	for (p = hold->procs; p < hold->procs + hold->n_procs; p++) {
		if (!p->zombie && ckpt_tree_ending(p)) {
			blame(p, err);
			return;
		}
	}
	let_go(k);
	for (int tries = 0; tries < patience; tries++) {
		for (p = hold->procs; p < hold->procs + hold->n_procs; p++) {
			if (!p->zombie && ckpt_tree_was_killed(hold, p)) {
				blame(p, err);
				return;
			}
		}
		ckpt_sleep_us(1000);
	}
}

static int do_kill(struct keeper *k, struct ckpt_keeper_reply *reply)
{
	struct ckpt_hold *hold = &k->hold;
	uint64_t until = ckpt_now_ns() + KILL_NS;

	ckpt_outside_borrow(hold);
	ckpt_flight_done(hold);
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (!hold->procs[i].zombie)
			kill(hold->procs[i].pid, SIGKILL);
	}
	reply->freeze_ns = ckpt_now_ns() - hold->began_ns;
	while (alive(hold)) {
		/* the ends of traced threads are reported here first */
		while (waitpid(-1, NULL, __WALL | WNOHANG) > 0)
			;
		if (ckpt_now_ns() > until)
			return ckpt_fail(&reply->err, CKPT_FAILED, 0,
					 "the tree was killed but does not end");
		ckpt_sleep_us(200);
	}
	while (waitpid(-1, NULL, __WALL | WNOHANG) > 0)
		;
	ckpt_outside_leave(hold, &reply->tcp_left, &reply->tcp_reset);
	k->holding = false;
	return 0;
}

static int need_hold(struct keeper *k, struct ckpt_keeper_reply *reply)
{
	if (k->holding)
		return 0;
	if (k->lapsed)
		return ckpt_fail(&reply->err, CKPT_FAILED, 0,
			"the tree was let go after %u ms without a word from ckpt-tool; try again",
			k->hold_ms);
	return ckpt_fail(&reply->err, CKPT_USAGE, 0, "the tree is not stopped");
}

/* What was read before the stop and is too slow to be read in it. */
static int look_again(struct keeper *k, struct ckpt_keeper_reply *reply)
{
	if (!ckpt_seen_verify(&k->hold, &reply->err) &&
	    !ckpt_policy_verify(&k->hold, &reply->err) &&
	    !ckpt_labels_verify(&k->hold, &reply->err) &&
	    !ckpt_net_still(&k->hold, &reply->err))
		return 0;
	return ckpt_fail_passing(&reply->err);
}

static void serve(struct keeper *k, const struct ckpt_keeper_request *request,
		  struct ckpt_keeper_reply *reply)
{
	int ret = 0;

	switch (request->op) {
	case CKPT_KEEPER_BEGIN:
		if (k->holding)
			ret = ckpt_fail(&reply->err, CKPT_USAGE, 0, "the tree is stopped already");
		else
			ret = ckpt_hold_stop(&k->hold, &reply->err);
		k->holding = !ret;
		reply->freeze_ns = ckpt_now_ns() - k->hold.began_ns;
		return;
	case CKPT_KEEPER_SURVEY:
		ret = (k->lapsed && need_hold(k, reply)) || do_survey(k, reply);
		break;
	case CKPT_KEEPER_COLLECT:
		ret = need_hold(k, reply) || do_collect(k, request->n_wanted, reply);
		if (ret && k->holding)
			blame_kill(k, &reply->err);
		break;
	case CKPT_KEEPER_HOLDING:
		ret = need_hold(k, reply) || look_again(k, reply);
		reply->freeze_ns = ckpt_now_ns() - k->hold.began_ns;
		break;
	case CKPT_KEEPER_RELEASE:
		if (need_hold(k, reply))
			return;
		let_go(k);
		reply->freeze_ns = ckpt_now_ns() - k->hold.began_ns;
		look_again(k, reply);
		return;
	case CKPT_KEEPER_KILL:
		ret = need_hold(k, reply) || do_kill(k, reply);
		break;
	}
	if (ret)
		let_go(k);
}

/* Return: 1 with a request, 0 when the caller is gone. */
static int next_request(struct keeper *k, struct ckpt_keeper_request *ret)
{
	for (;;) {
		struct pollfd p = { .fd = k->sock, .events = POLLIN };
		int n = poll(&p, 1, k->holding ? (int)k->hold_ms : -1);

		if (n < 0 && errno != EINTR)
			return 0;
		if (!n) {
			let_go(k);
			settle(k);
			k->lapsed = true;
		}
		if (n > 0)
			return recv(k->sock, ret, sizeof(*ret), 0) == sizeof(*ret);
	}
}

static int answer(struct keeper *k, const struct ckpt_keeper_reply *reply)
{
	return send(k->sock, reply, sizeof(*reply), MSG_NOSIGNAL) == sizeof(*reply);
}

void ckpt_keeper_main(const struct ckpt_stop_params *params, int sock, int memfd, pid_t caller)
{
	struct ckpt_keeper_reply reply = { .err = CKPT_ERR_INIT };
	struct ckpt_keeper_request request;
	struct keeper k = { .hold_ms = params->hold_ms ? params->hold_ms : CKPT_HOLD_MS };
	struct ckpt_stop_params own = *params;
	int kept = params->keep_fd ? *params->keep_fd : -1;
	int *keep[] = { &sock, &memfd, &kept };

	/* the text may lie in the arguments, which rename_self writes over */
	if (own.cgroup)
		own.cgroup = strdup(own.cgroup);
	if (params->cgroup && !own.cgroup)
		_exit(1);
	ckpt_apart_descriptors(keep, kept < 0 ? 2 : 3);
	ckpt_apart(NAME);
	ckpt_remote_bound(CALL_MS);
	warm_up();
	k.sock = sock;
	k.memfd = memfd;
	/* on failure the reply says why, and the caller closes */
	if (!ckpt_hold_init(&k.hold, &own, caller, &reply.err)) {
		k.hold.survey = own.survey ? &k.survey : NULL;
		ckpt_scan_tree(&k.hold, &reply.err);
		k.hold.survey = NULL;
	}
	/* what was read so far has taken the first one */
	touch_heap();
	(void)fallocate(memfd, 0, 0, IMAGE_LEN);
	reply.sees_reads = k.hold.sees_reads;
	if (!answer(&k, &reply))
		_exit(0);
	while (next_request(&k, &request)) {
		reply = (struct ckpt_keeper_reply){ .err = CKPT_ERR_INIT };
		tick(true);
		serve(&k, &request, &reply);
		tick(false);
		ckpt_fault("keeper.answering");
		if (!answer(&k, &reply))
			break;
		settle(&k);
	}
	let_go(&k);
	ckpt_hold_done(&k.hold);
	ckpt_survey_done(&k.survey);
	_exit(0);
}
