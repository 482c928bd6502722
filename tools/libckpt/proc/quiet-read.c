// SPDX-License-Identifier: GPL-2.0-or-later
/* What must not be opened as it is: watched by the tree, or leased for writing by anybody. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/parse.h"
#include "proc/procfs.h"
#include "proc/quiet.h"
#include "proc/read.h"

/* What reading a file or a directory tells; fanotify has the same bits for it. */
#define READS (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)

/**
 * struct look - one look at some processes
 * @mounts: our mountinfo, once something was watched
 * @leases: some file has a lease for writing; else they are not looked for
 */
struct look {
	struct ckpt_quiet *quiet;
	struct ckpt_buf text, mounts;
	bool leases;
};

static void look_done(struct look *l)
{
	ckpt_buf_done(&l->text);
	ckpt_buf_done(&l->mounts);
}

static int open_proc(const char *pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s", pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * On overlayfs the kernel shows other inode numbers than stat does.  A file system that is not
 * mounted where we are may be one.
 */
static int numbers_differ(struct look *l, uint32_t dev, bool *ret, struct ckpt_err *err)
{
	const char *line;
	char key[32];

	if (!l->mounts.data) {
		cleanup_close int self = open_proc("self");
		int e = self < 0 ? -errno : ckpt_procfs_read(self, "mountinfo", &l->mounts);

		if (e)
			return ckpt_fail(err, CKPT_FAILED, -e, "cannot read our own mounts");
	}
	*ret = true;
	snprintf(key, sizeof(key), " %u:%u ", dev >> 20, dev & 0xfffff);
	line = strstr((char *)l->mounts.data, key);
	if (line) {
		const char *end = strchrnul(line, '\n'), *type = strstr(line, " - ");

		*ret = !type || type > end || !strncmp(type, " - overlay ", 11);
	}
	return 0;
}

static int see_watch(struct look *l, uint64_t ino, uint32_t dev, uint32_t mask,
		     struct ckpt_err *err)
{
	bool differ;

	if (!(mask & READS) || l->quiet->all)
		return 0;
	if (numbers_differ(l, dev, &differ, err))
		return -1;
	l->quiet->all = differ;
	return ckpt_quiet_add_watched(l->quiet, ino, err);
}

/* A mark of a whole mount or file system has no inode. */
static int see_marks(struct look *l, const char *text, struct ckpt_err *err)
{
	for (const char *p = text; *p; p += *p == '\n') {
		unsigned int mask = 0, dev = 0;
		uint64_t ino = 0;
		const char *at;

		if (sscanf(p, "fanotify ino:%" SCNx64 " sdev:%x", &ino, &dev) == 2) {
			at = strstr(p, " mask:");
			if (!at || sscanf(at, " mask:%x", &mask) != 1)
				mask = READS;
			if (see_watch(l, ino, dev, mask, err))
				return -1;
		} else if (!strncmp(p, "fanotify mnt_id:", 16) ||
			   !strncmp(p, "fanotify sdev:", 14)) {
			l->quiet->all = true;
		}
		p = strchrnul(p, '\n');
	}
	return 0;
}

static int see_watches(struct look *l, const char *link, struct ckpt_err *err)
{
	const char *text = (char *)l->text.data;
	struct ckpt_proc_watch w;

	if (strcmp(link, CKPT_INOTIFY_LINK))
		return see_marks(l, text, err);
	while (ckpt_parse_watch_line(&text, &w) > 0) {
		if (see_watch(l, w.ino, w.dev, w.mask, err))
			return -1;
	}
	return 0;
}

static int see_lease(struct look *l, int dir, int32_t pid, int fd, struct ckpt_err *err)
{
	const char *text = (char *)l->text.data;
	struct ckpt_quiet_lease lease = { .pid = pid, .fd = fd };
	struct ckpt_lock_line line;
	struct stat st;
	char name[32];

	while (ckpt_parse_lock_line(&text, true, &line) > 0) {
		if (line.kind != CKPT_LOCK_LEASE || (!line.write && !line.breaking))
			continue;
		snprintf(name, sizeof(name), "fd/%d", fd);
		if (fstatat(dir, name, &st, 0) ||
		    ckpt_quiet_leased(l->quiet, st.st_dev, st.st_ino))
			return 0;
		lease.dev = st.st_dev;
		lease.ino = st.st_ino;
		return ckpt_quiet_add_lease(l->quiet, &lease, err);
	}
	return 0;
}

static int see_fd(struct look *l, int dir, int32_t pid, int fd, bool watches, struct ckpt_err *err)
{
	char name[32], link[64];
	bool watch = false;
	ssize_t n;

	snprintf(name, sizeof(name), "fd/%d", fd);
	n = watches ? readlinkat(dir, name, link, sizeof(link) - 1) : -1;
	if (n > 0) {
		link[n] = 0;
		watch = !strcmp(link, CKPT_INOTIFY_LINK) || !strcmp(link, "anon_inode:[fanotify]");
	}
	if (!watch && !l->leases)
		return 0;
	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	if (ckpt_procfs_read(dir, name, &l->text))
		return 0;	/* closed meanwhile */
	return watch ? see_watches(l, link, err) : see_lease(l, dir, pid, fd, err);
}

static int see_process(struct look *l, int32_t pid, bool watches, struct ckpt_err *err)
{
	cleanup_free int *fds = NULL;
	cleanup_close int dir = -1;
	char name[16];
	ssize_t n;

	snprintf(name, sizeof(name), "%d", pid);
	dir = open_proc(name);
	n = dir < 0 ? 0 : ckpt_procfs_numbers(dir, "fd", &fds);
	for (ssize_t i = 0; i < n; i++) {
		if (see_fd(l, dir, pid, fds[i], watches, err))
			return -1;
	}
	return 0;
}

/*
 * Who has a lease may be outside the tree, but the file in it.  Those of the tree come first: who
 * has made one may have closed it since.
 */
static int see_all(struct look *l, const int32_t *pids, size_t n, bool watches,
		   struct ckpt_err *err)
{
	cleanup_close int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_buf struct ckpt_buf locks = CKPT_BUF_INIT;
	struct ckpt_lock_line line;
	const char *at;
	int e = proc < 0 ? -errno : ckpt_procfs_read(proc, "locks", &locks);

	/* a kernel without locks has none */
	at = e ? "" : (char *)locks.data;
	while (ckpt_parse_lock_line(&at, false, &line) > 0)
		l->leases |= line.kind == CKPT_LOCK_LEASE && (line.write || line.breaking);
	for (size_t i = 0; i < n && (watches || l->leases); i++) {
		if (see_process(l, pids[i], watches, err))
			return -1;
	}
	at = l->leases ? (char *)locks.data : "";
	while (ckpt_parse_lock_line(&at, false, &line) > 0) {
		if (line.kind == CKPT_LOCK_LEASE && line.pid > 0 &&
		    see_process(l, line.pid, false, err))
			return -1;
	}
	return 0;
}

int ckpt_quiet_read_leases(const int32_t *pids, size_t n, struct ckpt_quiet *ret,
			   struct ckpt_err *err)
{
	cleanup_with(look_done) struct look l = { .quiet = ret };

	ret->n_leases = 0;
	return see_all(&l, pids, n, false, err);
}

int ckpt_quiet_read(const int32_t *pids, size_t n, struct ckpt_quiet *ret, struct ckpt_err *err)
{
	cleanup_with(look_done) struct look l = { .quiet = ret };

	ret->n_leases = ret->n_watched = 0;
	ret->all = false;
	if (see_all(&l, pids, n, true, err))
		return -1;
	ckpt_quiet_sort(ret);
	return 0;
}

static int add_pid(int32_t **list, size_t *n, int32_t pid, struct ckpt_err *err)
{
	int32_t *more = ckpt_grow(*list, n, sizeof(*more));

	if (!more)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of processes");
	*list = more;
	more[*n - 1] = pid;
	return 0;
}

static int add_children(int32_t **list, size_t *n, int32_t pid, struct ckpt_buf *text,
			struct ckpt_err *err)
{
	cleanup_free int *tids = NULL;
	cleanup_close int dir = -1;
	char name[48], *at, *end;
	ssize_t n_tids;

	snprintf(name, sizeof(name), "%d", pid);
	dir = open_proc(name);
	n_tids = dir < 0 ? 0 : ckpt_procfs_numbers(dir, "task", &tids);
	for (ssize_t i = 0; i < n_tids; i++) {
		snprintf(name, sizeof(name), "task/%d/children", tids[i]);
		if (ckpt_procfs_read(dir, name, text))
			continue;
		for (at = (char *)text->data; *at; at = end) {
			long child = strtol(at, &end, 10);

			if (end == at)
				break;
			if (add_pid(list, n, child, err))
				return -1;
		}
	}
	return 0;
}

int ckpt_quiet_tree(int32_t root, int32_t **ret, size_t *ret_n, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	cleanup_free int32_t *list = NULL;
	size_t n = 0;

	if (add_pid(&list, &n, root, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (add_children(&list, &n, list[i], &text, err))
			return -1;
	}
	*ret = take_ptr(list);
	*ret_n = n;
	return 0;
}
