// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads of a group that runs, and what they wait in. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "track/notes.h"
#include "track/quiet.h"
#include "track/sample.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define PATIENCE_NS 20000000ull
#define PAUSE_NS 100000

/*
 * Who sleeps in one of these holds no page to write to it later: they wait, or take what is in
 * memory and write nothing to it, or copy to it by its addresses, with a fault like any program.
 * By these numbers no call of 32-bit programs (int 0x80) does either, as read would by that of
 * close.
 */
static const int harmless[] = {
	/* wait */
	SYS_futex, SYS_futex_waitv, SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_poll,
	SYS_ppoll, SYS_select, SYS_pselect6, SYS_nanosleep, SYS_clock_nanosleep, SYS_wait4,
	SYS_waitid, SYS_pause, SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_restart_syscall,
	SYS_accept, SYS_accept4, SYS_connect, SYS_flock,
	/* take */
	SYS_write, SYS_pwrite64, SYS_writev, SYS_sendto, SYS_sendmsg,
	/* neither */
	SYS_open, SYS_openat, SYS_fsync, SYS_fdatasync, SYS_rename, SYS_renameat2,
	SYS_unlink, SYS_unlinkat, SYS_mkdir, SYS_rmdir, SYS_mmap, SYS_munmap, SYS_mprotect,
	SYS_madvise, SYS_brk, SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_execve, SYS_exit,
	SYS_exit_group,
};

/* The same of those that read, by what from. */
static const int readers[] = { SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg };

/* More that run at once are not followed. */
#define SAMPLES_MAX 64

/* A thread that was not seen yet. @sample: of those that run, one by one, once asked for */
struct waiter {
	int32_t pid, tid;
	bool asked;
	struct ckpt_sample sample;
};

struct waiters {
	struct waiter *list;
	size_t n;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static bool add(struct waiters *w, int32_t pid, int32_t tid)
{
	struct waiter *list = realloc(w->list, (w->n + 1) * sizeof(*list));

	if (!list)
		return false;
	w->list = list;
	list[w->n++] = (struct waiter){ .pid = pid, .tid = tid };
	return true;
}

static bool add_threads(struct waiters *w, int32_t pid)
{
	cleanup_closedir DIR *dir = NULL;
	struct dirent *d;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT;
	while ((d = readdir(dir))) {
		if (d->d_name[0] != '.' && !add(w, pid, atoi(d->d_name)))
			return false;
	}
	return true;
}

static bool is_one_of(const int *calls, size_t n, long nr)
{
	for (size_t i = 0; i < n; i++) {
		if (calls[i] == nr)
			return true;
	}
	return false;
}

#define ONE_OF(calls, nr) is_one_of(calls, sizeof(calls) / sizeof((calls)[0]), nr)

/* A cipher's socket and one that deciphers itself (AF_ALG, TLS) write to pages. */
static bool plain_socket(int32_t pid, int nr)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, pid, 0);
	cleanup_close int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, nr, 0);
	char layer[32] = "";
	socklen_t len = sizeof(int);
	int domain;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return false;
	len = sizeof(layer);
	if (domain == AF_UNIX || domain == AF_NETLINK)
		return true;
	if (domain != AF_INET && domain != AF_INET6)
		return false;
	/* of what is not TCP there is no such layer */
	return getsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, &len) || !len || !*layer;
}

static bool plain_source(int32_t pid, int nr)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, nr);
	if (stat(path, &st))
		return false;
	return S_ISFIFO(st.st_mode) || (S_ISSOCK(st.st_mode) && plain_socket(pid, nr)) ||
	       (S_ISCHR(st.st_mode) && ckpt_notes_plain_device(st.st_rdev));
}

/*
 * Of a thread that sleeps the kernel tells the call that it is in and its arguments, or -1 outside
 * of one; of one that runs, nothing.
 */
static bool rests(const struct waiter *w)
{
	cleanup_close int fd = -1;
	char path[64], text[256];
	ssize_t n;
	char *end;
	long nr;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", w->pid, w->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return errno == ENOENT || errno == ESRCH;
	text[n] = 0;
	nr = strtol(text, &end, 10);
	if (end == text)
		return false;
	return nr == -1 || ONE_OF(harmless, nr) ||
	       (ONE_OF(readers, nr) && plain_source(w->pid, strtol(end, NULL, 16)));
}

static void forget(struct waiter *w)
{
	if (w->asked)
		ckpt_sample_close(&w->sample);
}

/* One look at those that were not seen yet, which stay. */
static void look(struct waiters *w)
{
	size_t left = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct waiter *one = &w->list[i];

		if (rests(one) || (one->asked && ckpt_sample_seen(&one->sample))) {
			forget(one);
			continue;
		}
		if (!one->asked && left < SAMPLES_MAX) {
			one->asked = true;
			ckpt_sample_open(&one->sample, one->tid);
		}
		w->list[left++] = *one;
	}
	w->n = left;
}

bool ckpt_quiet(const int32_t *pids, size_t n)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t until = now_ns() + PATIENCE_NS;
	struct waiters w = { 0 };
	bool known = true;

	for (size_t i = 0; i < n && known; i++)
		known = add_threads(&w, pids[i]);
	for (look(&w); known && w.n; look(&w)) {
		known = now_ns() < until;
		nanosleep(&pause, NULL);
	}
	for (size_t i = 0; i < w.n; i++)
		forget(&w.list[i]);
	free(w.list);
	return known;
}
