// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Limits of sockets: who waits on one with SO_RCVTIMEO or SO_SNDTIMEO waits for what is left
 *
 * Such a call has no time among its arguments, it takes that of its socket when it begins.  So the
 * socket has what is left for a moment, until its threads wait in their calls again.  A process
 * of its own sees to it: when that one is killed meanwhile, the keeper puts the limit back, and
 * when the keeper is, that one does.  Only the end of both at that moment leaves a socket with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/hold.h"
#include "proc/procfs.h"

#define NS_PER_S 1000000000ll
/* For a thread to be in its call again: of a processor's time, which may be long in coming. */
#define BACK_RAN_NS 20000000ull
#define BACK_NS 5000000000ull

/* A limit is rounded up to a tick of the kernel, of which there are 100 in a second at least. */
#define TICK_NS 10000000ll

/**
 * struct ckpt_held_limit - a thread that waits on a socket with a limit
 * @pid, @tid: as we see them
 * @ino: of the socket; @name: SO_RCVTIMEO or SO_SNDTIMEO
 * @fd: the socket in its process; @own: here
 * @untold: poll(2) does not tell whether its call would end at once
 * @back: it has its limit again
 * @was: the limit
 * @left_ns: what is to be it for a moment
 * @ran_ns: how long the thread had run when it stood
 */
struct ckpt_held_limit {
	pid_t pid, tid;
	uint64_t ino;
	int name, fd, own;
	bool untold, back;
	struct timeval was;
	int64_t left_ns;
	uint64_t ran_ns;
};

static int name_of(long call)
{
	switch (call) {
	case SYS_read:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_accept:
	case SYS_accept4:
		return SO_RCVTIMEO;
	case SYS_connect:
	case SYS_write:
	case SYS_writev:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
		return SO_SNDTIMEO;
	}
	return 0;
}

static int borrow(pid_t pid, int fd)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, pid, 0);

	return pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

static bool is_unix(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_UNIX;
}

/* Is this a socket with a limit? */
static bool look(struct ckpt_held_limit *l, long call)
{
	socklen_t len = sizeof(l->was);
	struct stat st;

	if (l->own < 0 || fstat(l->own, &st) || !S_ISSOCK(st.st_mode) ||
	    getsockopt(l->own, SOL_SOCKET, l->name, &l->was, &len))
		return false;
	l->ino = st.st_ino;
	/* it waits for room at its peer, which its own state does not show */
	l->untold = call == SYS_connect && is_unix(l->own);
	return l->was.tv_sec || l->was.tv_usec;
}

void ckpt_limits_note(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
		      const struct ckpt_held_thread *t)
{
	struct ckpt_held_limit limit = {
		.pid = p->pid, .tid = t->tid, .name = name_of(t->regs.orig_rax),
		.fd = t->regs.rdi, .own = -1,
	};
	struct ckpt_held_limit *list;
	struct ckpt_due_time due;

	if (!limit.name || !t->forgiven ||
	    !ckpt_due_of(&hold->due, t->tid, hold->began_ns, &due))
		return;
	limit.left_ns = due.at_ns - ckpt_now_ns();
	limit.own = borrow(p->pid, limit.fd);
	list = look(&limit, t->regs.orig_rax) ?
	       ckpt_grow(hold->limits, &hold->n_limits, sizeof(*list)) : NULL;
	if (list) {
		hold->limits = list;
		list[hold->n_limits - 1] = limit;
	} else if (limit.own >= 0) {
		close(limit.own);
	}
}

static int by_socket(const void *a, const void *b)
{
	const struct ckpt_held_limit *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->name - y->name;
}

/* How many from @i on wait on one socket for one thing. */
static size_t together(const struct ckpt_hold *hold, size_t i)
{
	size_t n = 1;

	while (i + n < hold->n_limits && !by_socket(&hold->limits[i], &hold->limits[i + n]))
		n++;
	return n;
}

/* Several that wait on one socket: none is to end too early. */
static void agree(struct ckpt_hold *hold)
{
	qsort(hold->limits, hold->n_limits, sizeof(*hold->limits), by_socket);
	for (size_t i = 0, n; i < hold->n_limits; i += n) {
		struct ckpt_held_limit *l = &hold->limits[i];
		int64_t longest = l->left_ns;

		n = together(hold, i);
		for (size_t k = 1; k < n; k++)
			longest = l[k].left_ns > longest ? l[k].left_ns : longest;
		for (size_t k = 0; k < n; k++)
			l[k].left_ns = longest;
	}
}

static void put(const struct ckpt_held_limit *l, const struct timeval *limit)
{
	setsockopt(l->own, SOL_SOCKET, l->name, limit, sizeof(*limit));
}

/* No time at all would be no limit: the shortest that there is ends at the next tick. */
static struct timeval left(const struct ckpt_held_limit *l)
{
	const struct timeval none = { 0, 1 };
	struct timeval t = { l->left_ns / NS_PER_S, l->left_ns % NS_PER_S / 1000 };

	return l->left_ns < 1000 ? none : t;
}

static int64_t ns_of(const struct timeval *t)
{
	return t->tv_sec * NS_PER_S + t->tv_usec * 1000;
}

/* Unless the program has set another meanwhile, which is to stay. */
static void put_back(const struct ckpt_held_limit *l)
{
	const struct timeval ours = left(l);
	struct timeval now;
	socklen_t len = sizeof(now);
	int64_t more;

	if (getsockopt(l->own, SOL_SOCKET, l->name, &now, &len))
		return;
	more = ns_of(&now) - ns_of(&ours);
	/* what is told is rounded down */
	if (more > -TICK_NS && more <= TICK_NS)
		put(l, &l->was);
}

static void put_all_back(const struct ckpt_hold *hold)
{
	for (size_t i = 0; i < hold->n_limits; i++)
		put_back(&hold->limits[i]);
}

/* Let go by ptrace, a thread runs until it waits in its call, or in another one. */
static bool runs(const struct ckpt_held_limit *l)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_proc_stat stat;
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/task/%d/stat", l->pid, l->tid);
	return !ckpt_procfs_read(AT_FDCWD, name, &b) &&
	       !ckpt_parse_stat((char *)b.data, &stat) && strchr("RDt", stat.state);
}

/* 0 where the kernel does not count it. */
static uint64_t ran_ns(const struct ckpt_held_limit *l)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/task/%d/schedstat", l->pid, l->tid);
	return ckpt_procfs_read(AT_FDCWD, name, &b) ? 0 : strtoull((char *)b.data, NULL, 10);
}

/* A stream takes some of what is written long before poll says so. */
static bool has_room(int fd)
{
	uint32_t m[SK_MEMINFO_VARS] = { 0 };
	int type = 0;
	socklen_t m_len = sizeof(m), type_len = sizeof(type);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) && type == SOCK_STREAM &&
	       !getsockopt(fd, SOL_SOCKET, SO_MEMINFO, m, &m_len) &&
	       m[SK_MEMINFO_WMEM_ALLOC] < m[SK_MEMINFO_SNDBUF] &&
	       m[SK_MEMINFO_WMEM_QUEUED] < m[SK_MEMINFO_SNDBUF];
}

/*
 * Would a call end at once, by what is there?  Then a limit is nothing to it, and the one that is
 * there for a moment would be that of the call after it, which would fail for it.
 */
static bool is_ready(const struct ckpt_held_limit *l)
{
	const bool reads = l->name == SO_RCVTIMEO;
	struct pollfd p = { .fd = l->own, .events = reads ? POLLIN : POLLOUT };

	return !l->untold && (poll(&p, 1, 0) > 0 || (!reads && has_room(l->own)));
}

/* It waits, or has run for so long that it was in its call and is not any more. */
static bool is_in_call(const struct ckpt_held_limit *l)
{
	return !runs(l) || ran_ns(l) - l->ran_ns >= BACK_RAN_NS;
}

static bool are_in_call(const struct ckpt_held_limit *l, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_in_call(&l[i]))
			return false;
	}
	return true;
}

/* Sockets whose threads need what is left no more. Return: how many there are yet. */
static size_t put_some_back(struct ckpt_hold *hold, bool all)
{
	size_t remain = 0;

	for (size_t i = 0, n; i < hold->n_limits; i += n) {
		struct ckpt_held_limit *l = &hold->limits[i];

		n = together(hold, i);
		if (!l->back && !all && !is_ready(l) && !are_in_call(l, n)) {
			remain++;
			continue;
		}
		/* one of its processes may be gone, and its descriptor not ours */
		for (size_t k = 0; !l->back && k < n; k++)
			put_back(&l[k]);
		l->back = true;
	}
	return remain;
}

/* The process: what it has set it puts back, whether or not the keeper lives. */
static void guard(struct ckpt_hold *hold, int sock)
{
	uint64_t until;
	char c = 0;

	for (size_t i = 0; i < hold->n_limits; i++) {
		struct ckpt_held_limit *l = &hold->limits[i];
		const struct timeval t = left(l);

		l->own = borrow(l->pid, l->fd);
		if (!is_ready(l))
			put(l, &t);
		l->ran_ns = ran_ns(l);
	}
	ckpt_fault("keeper.limited");
	if (send(sock, &c, 1, MSG_NOSIGNAL) == 1)
		(void)!recv(sock, &c, 1, 0);
	until = ckpt_now_ns() + BACK_NS;
	while (put_some_back(hold, ckpt_now_ns() > until))
		ckpt_sleep_us(50);
	_exit(0);
}

void ckpt_limits_shorten(struct ckpt_hold *hold)
{
	int ends[2];
	ssize_t n;
	char c;

	if (!hold->n_limits || hold->guard ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return;
	agree(hold);
	hold->guard = fork();
	if (!hold->guard) {
		int *kept[] = { &ends[1] };

		ckpt_apart_descriptors(kept, 1);
		guard(hold, ends[1]);
	}
	close(ends[1]);
	hold->guarded = ends[0];
	do {
		n = recv(ends[0], &c, 1, 0);
	} while (n < 0 && errno == EINTR);
	/* it was killed */
	if (n != 1)
		put_all_back(hold);
}

void ckpt_limits_go(struct ckpt_hold *hold)
{
	if (hold->guarded < 0)
		return;
	ckpt_fault("keeper.shortened");
	if (send(hold->guarded, "", 1, MSG_NOSIGNAL) != 1)
		put_all_back(hold);
	close(hold->guarded);
	hold->guarded = -1;
}

void ckpt_limits_settle(struct ckpt_hold *hold)
{
	int status = 0;

	ckpt_limits_go(hold);
	while (hold->guard > 0 && waitpid(hold->guard, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		put_all_back(hold);
	for (size_t i = 0; i < hold->n_limits; i++)
		close(hold->limits[i].own);
	free(hold->limits);
	hold->limits = NULL;
	hold->n_limits = 0;
	hold->guard = 0;
}
