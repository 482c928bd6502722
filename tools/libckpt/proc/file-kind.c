// SPDX-License-Identifier: GPL-2.0-or-later
/* Kinds of open files: those that are restored, and what the others are called. */
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "proc/pty.h"
#include "proc/read.h"
#include "proc/socket.h"

#define MEM_MAJOR 1

/* null, zero, full, random, urandom */
static bool plain_device(uint64_t rdev)
{
	unsigned int m = minor(rdev);

	return major(rdev) == MEM_MAJOR && (m == 3 || m == 5 || m == 7 || m == 8 || m == 9);
}

/* Those that are restored. */
static uint32_t anonymous_kind(const char *link)
{
	static const struct {
		const char *link;
		uint32_t kind;
	} kinds[] = {
		{ "anon_inode:[eventfd]", CKPT_FILE_EVENTFD },
		{ "anon_inode:[eventpoll]", CKPT_FILE_EPOLL },
		{ "anon_inode:[pidfd]", CKPT_FILE_PIDFD },
		{ CKPT_INOTIFY_LINK, CKPT_FILE_INOTIFY },
		{ "anon_inode:[signalfd]", CKPT_FILE_SIGNALFD },
		{ "anon_inode:[timerfd]", CKPT_FILE_TIMERFD },
		{ "anon_inode:[io_uring]", CKPT_FILE_URING },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(link, kinds[i].link))
			return kinds[i].kind;
	}
	/* what Linux 6.9 and some after it call it, with a number */
	return strncmp(link, "pidfd:", 6) ? CKPT_NONE : CKPT_FILE_PIDFD;
}

/* Tell the kinds of anonymous descriptors by the text of their link. */
static const char *anonymous(const char *link)
{
	static const struct {
		const char *link, *what;
	} kinds[] = {
		{ "anon_inode:[userfaultfd]", "a userfaultfd" },
		{ "anon_inode:[fanotify]", "a fanotify" },
		{ "anon_inode:[perf_event]", "a perf event" },
		{ "anon_inode:bpf", "a BPF" },
		{ "/secretmem", "a memfd_secret" },
		{ "anon_inode:", "an anonymous" },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strncmp(link, kinds[i].link, strlen(kinds[i].link)))
			return kinds[i].what;
	}
	return NULL;
}

int ckpt_fd_check(pid_t pid, const char *comm, int fd, const char *link, uint32_t mode,
		  uint64_t rdev, struct ckpt_err *err)
{
	const char *what = anonymous(link);

	if (anonymous_kind(link) != CKPT_NONE)
		return 0;
	if (!what) {
		switch (mode & S_IFMT) {
		case S_IFREG:
		case S_IFDIR:
			what = *link == '/' || ckpt_procfile_is_space(link) ? NULL : "an anonymous";
			break;
		case S_IFIFO:
			break;
		case S_IFCHR:
			what = plain_device(rdev) || ckpt_is_ptmx(mode, rdev) ||
			       ckpt_is_pts(mode, rdev) || fd <= 2 ? NULL : "a device";
			break;
		case S_IFBLK:
			what = "a block device";
			break;
		case S_IFSOCK:
			what = ckpt_socket_restorable(pid, fd) ? NULL : "a socket";
			break;
		default:
			what = "an unknown";
		}
	}
	if (!what)
		return 0;
	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds %s descriptor %d (%s), which this version cannot restore", pid,
		comm, what, fd, link);
	/* who looks up a name has such sockets; and @link and @mode may be of two files in turn */
	return ckpt_fail_passing(err);
}

uint32_t ckpt_fd_kind(const struct ckpt_file *f)
{
	uint32_t kind = anonymous_kind(f->path);

	if (kind != CKPT_NONE)
		return kind;
	if (ckpt_filesystem_late(f->path, f->mode))
		return CKPT_FILE_PROC;
	switch (f->mode & S_IFMT) {
	case S_IFREG:
		return CKPT_FILE_REG;
	case S_IFDIR:
		return CKPT_FILE_DIR;
	case S_IFIFO:
		return strncmp(f->path, "pipe:", 5) ? CKPT_FILE_FIFO : CKPT_FILE_PIPE;
	case S_IFSOCK:
		return CKPT_FILE_SOCKET;
	default:
		if (ckpt_is_ptmx(f->mode, f->rdev))
			return CKPT_FILE_PTM;
		if (ckpt_is_pts(f->mode, f->rdev))
			return CKPT_FILE_PTS;
		return plain_device(f->rdev) ? CKPT_FILE_CHR : CKPT_FILE_OUTER;
	}
}
