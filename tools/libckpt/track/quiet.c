// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads of a group that runs, and what they wait in. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/procstat.h"
#include "track/notes.h"
#include "track/quiet.h"
#include "track/sample.h"

#define PF_IO_WORKER 0x10	/* include/linux/sched.h */
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

/* A thread. @sample: of one that runs, once @asked for */
struct waiter {
	int32_t pid, tid;
	bool seen, asked;
	struct ckpt_sample sample;
};

/* @left: those that were not seen yet; @running: samples that are under way */
struct waiters {
	struct waiter *list;
	size_t n, left, running;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static bool known(const struct waiters *w, int32_t pid, int32_t tid)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->list[i].tid == tid && w->list[i].pid == pid)
			return true;
	}
	return false;
}

static bool add(struct waiters *w, int32_t pid, int32_t tid)
{
	struct waiter *list = realloc(w->list, (w->n + 1) * sizeof(*list));

	if (!list)
		return false;
	w->list = list;
	list[w->n++] = (struct waiter){ .pid = pid, .tid = tid };
	w->left++;
	return true;
}

/* Threads of a process; 0 when it has ended, -1 when that is not to be had. */
static int64_t count(int32_t pid)
{
	uint64_t n;
	int r = ckpt_procstat(pid, CKPT_STAT_THREADS, &n, 1);

	return r == -ENOENT || r == -ESRCH ? 0 : r ? -1 : (int64_t)n;
}

/*
 * Add those of @pid that are not there.  A list of threads of which one ends meanwhile may leave
 * out another.  Return: 1 when there were none to add, and as many as the kernel counts; 0; or -1.
 */
static int list_threads(struct waiters *w, int32_t pid)
{
	cleanup_closedir DIR *dir = NULL;
	int64_t before = count(pid), listed = 0;
	size_t had = w->n;
	struct dirent *d;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = before > 0 ? opendir(path) : NULL;
	if (!dir)
		return count(pid) ? -1 : 1;
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		int32_t tid = d->d_name[0] == '.' ? 0 : atoi(d->d_name);

		listed += tid > 0;
		if (tid > 0 && !known(w, pid, tid) && !add(w, pid, tid))
			return -1;
	}
	if (errno && errno != ENOENT && errno != ESRCH)
		return -1;
	return w->n == had && before == listed && count(pid) == listed;
}

/* The same of all. */
static int list_all(struct waiters *w, const int32_t *pids, size_t n)
{
	int ret = 1;

	for (size_t i = 0; i < n && ret >= 0; i++) {
		int one = list_threads(w, pids[i]);

		ret = one < ret ? one : ret;
	}
	return ret;
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
static bool plain_socket(int32_t pid, int nr, ino_t ino)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, pid, 0);
	cleanup_close int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, nr, 0);
	int domain, type, protocol;
	socklen_t len = sizeof(int);
	char layer[32] = "";
	struct stat st;

	/* that of the process is not that of a thread with a table of its own */
	if (fd < 0 || fstat(fd, &st) || st.st_ino != ino ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len))
		return false;
	if (domain == AF_UNIX || domain == AF_NETLINK)
		return true;
	if (domain != AF_INET && domain != AF_INET6)
		return false;
	len = sizeof(layer);
	return type == SOCK_DGRAM ||
	       (type == SOCK_STREAM && protocol == IPPROTO_TCP &&
		!getsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, &len) && (!len || !*layer));
}

static bool plain_source(const struct waiter *w, int nr)
{
	struct stat st;
	char path[80];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fd/%d", w->pid, w->tid, nr);
	if (stat(path, &st))
		return false;
	return S_ISFIFO(st.st_mode) ||
	       (S_ISSOCK(st.st_mode) && plain_socket(w->pid, nr, st.st_ino)) ||
	       (S_ISCHR(st.st_mode) && ckpt_notes_plain_device(st.st_rdev));
}

/* A text of /proc of a thread. Return: its length, 0 when the thread has ended, or -1. */
static ssize_t text_of(const struct waiter *w, const char *name, char *text, size_t len)
{
	cleanup_close int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", w->pid, w->tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, len - 1);
	if (n < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -1;
	text[n] = 0;
	return n;
}

/* Does it sleep so that a signal would wake it?  Who waits for a disk does not. */
static bool lightly_asleep(const struct waiter *w)
{
	char text[512];
	const char *name_end;

	if (text_of(w, "stat", text, sizeof(text)) <= 0)
		return false;
	name_end = strrchr(text, ')');
	return name_end && !strncmp(name_end, ") S ", 4);
}

/*
 * In a call that reads from where nothing is written to pages?  The number may be that of something
 * else by now than what the call has: it sleeps, before and after in the same call, as it would
 * not for a disk.
 */
static bool reads_plainly(const struct waiter *w, int nr, const char *before)
{
	char after[256];

	return lightly_asleep(w) && plain_source(w, nr) &&
	       text_of(w, "syscall", after, sizeof(after)) > 0 && !strcmp(before, after);
}

/* A thread of the kernel that serves an io_uring: of these it is known that they are at rest. */
static bool serves_a_ring(const struct waiter *w)
{
	uint64_t flags;

	return !ckpt_procstat(w->tid, CKPT_STAT_FLAGS, &flags, 1) && flags & PF_IO_WORKER;
}

/*
 * Of a thread that sleeps the kernel tells the call that it is in and its arguments, or -1 outside
 * of one; of one that runs, nothing.
 */
static bool rests(const struct waiter *w)
{
	char text[256], *end;
	ssize_t n = text_of(w, "syscall", text, sizeof(text));
	long nr;

	if (n <= 0)
		return !n;
	nr = strtol(text, &end, 10);
	if (end == text)
		return false;
	return nr == -1 || ONE_OF(harmless, nr) ||
	       (ONE_OF(readers, nr) && reads_plainly(w, strtol(end, NULL, 16), text)) ||
	       serves_a_ring(w);
}

static void forget(struct waiters *w, struct waiter *one)
{
	if (!one->asked)
		return;
	ckpt_sample_close(&one->sample);
	one->asked = false;
	w->running--;
}

/* One look at those that were not seen yet. */
static void look(struct waiters *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct waiter *one = &w->list[i];

		if (one->seen)
			continue;
		one->seen = rests(one) || (one->asked && ckpt_sample_seen(&one->sample));
		if (one->seen) {
			forget(w, one);
			w->left--;
		} else if (!one->asked && w->running < SAMPLES_MAX) {
			one->asked = true;
			w->running++;
			ckpt_sample_open(&one->sample, one->tid);
		}
	}
}

/* Everybody was seen, and two lists in a row had nobody else. */
static bool all_seen(struct waiters *w, const int32_t *pids, size_t n)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t until = now_ns() + PATIENCE_NS;
	int same = 0;

	for (;;) {
		int r = list_all(w, pids, n);

		if (r < 0)
			return false;
		same = r ? same + 1 : 0;
		look(w);
		if (!w->left && same >= 2)
			return true;
		if (now_ns() > until)
			return false;
		if (w->left)
			nanosleep(&pause, NULL);
	}
}

bool ckpt_quiet(const int32_t *pids, size_t n)
{
	struct waiters w = { 0 };
	bool quiet = all_seen(&w, pids, n);

	for (size_t i = 0; i < w.n; i++)
		forget(&w, &w.list[i]);
	free(w.list);
	return quiet;
}
