// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening things beneath a root. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "fs/path.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

static int open_piece(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_XDEV,
	};
	int fd;

	/* RESOLVE_NO_SYMLINKS would refuse a link as the last component too. */
	if ((flags & O_PATH) && !(flags & O_DIRECTORY))
		how.resolve &= ~RESOLVE_NO_SYMLINKS;
	fd = syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* A link in the middle must not be followed although the last component may be one. */
static int open_node(int dirfd, const char *path, int flags)
{
	const char *last = strrchr(path, '/');
	cleanup_free char *head = NULL;
	cleanup_close int dir = -1;

	if (!(flags & O_PATH) || (flags & O_DIRECTORY) || !last)
		return open_piece(dirfd, path, flags);
	head = strndup(path, last - path);
	if (!head)
		return -ENOMEM;
	dir = open_piece(dirfd, head, O_PATH | O_DIRECTORY);
	return dir < 0 ? dir : open_piece(dir, last + 1, flags);
}

int ckpt_fs_open(int dirfd, const char *path, int flags)
{
	cleanup_close int held = -1;
	char piece[PATH_MAX];

	while (strlen(path) >= PATH_MAX) {
		const char *cut = memrchr(path, '/', PATH_MAX - 1);
		int fd;

		if (!cut)
			return -ENAMETOOLONG;
		snprintf(piece, sizeof(piece), "%.*s", (int)(cut - path), path);
		fd = open_piece(dirfd, piece, O_PATH | O_DIRECTORY);
		if (fd < 0)
			return fd;
		if (held >= 0)
			close(held);
		dirfd = held = fd;
		path = cut + 1;
	}
	return open_node(dirfd, path, flags);
}

int ckpt_fs_open_parent(int dirfd, const char *path, const char **ret_name)
{
	const char *last = strrchr(path, '/');
	cleanup_free char *head = NULL;

	*ret_name = last ? last + 1 : path;
	head = last ? strndup(path, last - path) : strdup("");
	if (!head)
		return -ENOMEM;
	return ckpt_fs_open(dirfd, head, O_PATH | O_DIRECTORY);
}

int ckpt_fs_reopen(int fd, int flags)
{
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = open(path, flags | O_CLOEXEC);
	return ret < 0 ? -errno : ret;
}

int ckpt_fs_mount_dev(uint64_t mnt, uint64_t *ret_dev)
{
	cleanup_fclose FILE *f = fopen("/proc/self/mountinfo", "re");
	cleanup_free char *line = NULL;
	unsigned int major, minor;
	unsigned long long id;
	size_t cap = 0;

	if (!f)
		return -errno;
	while (getline(&line, &cap, f) > 0)
		if (sscanf(line, "%llu %*u %u:%u", &id, &major, &minor) == 3 && id == mnt) {
			*ret_dev = (uint64_t)major << 32 | minor;
			return 0;
		}
	return -ENODEV;
}

/* Undo the \ooo escapes of mountinfo in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		unsigned int c;

		if (*s == '\\' && sscanf(s + 1, "%3o", &c) == 1) {
			*to = c;
			s += 3;
		} else {
			*to = *s;
		}
	}
	*to = 0;
}

char *ckpt_fs_mount_inside(const char *path)
{
	cleanup_fclose FILE *f = fopen("/proc/self/mountinfo", "re");
	cleanup_free char *line = NULL;
	size_t cap = 0, len = strlen(path);

	while (f && getline(&line, &cap, f) > 0) {
		char *at = line, *end;

		for (int i = 0; i < 4 && at; i++) {
			at = strchr(at, ' ');
			at = at ? at + 1 : NULL;
		}
		end = at ? strchr(at, ' ') : NULL;
		if (!end)
			continue;
		*end = 0;
		unescape(at);
		if (!strncmp(at, path, len) && at[len] == '/')
			return strdup(at);
	}
	return NULL;
}

int ckpt_fs_times_tell(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st))
		return 0;
	return st.f_type == EXT4_SUPER_MAGIC || st.f_type == XFS_SUPER_MAGIC ||
	       st.f_type == BTRFS_SUPER_MAGIC || st.f_type == F2FS_SUPER_MAGIC;
}

int ckpt_fs_numbers_last(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st))
		return 0;
	return ckpt_fs_times_tell(fd) || st.f_type == TMPFS_MAGIC;
}

int ckpt_fs_forgets(int fd)
{
	struct statfs st;

	return !fstatfs(fd, &st) && (st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC);
}

uint64_t ckpt_fs_boot(void)
{
	cleanup_fclose FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	unsigned long long high, low, last;

	if (!f || fscanf(f, "%8llx-%4llx-%4llx", &high, &low, &last) != 3)
		return 1;
	high = high << 32 | low << 16 | last;
	return high ? high : 1;
}

int ckpt_fs_sync_dir(int dirfd)
{
	cleanup_close int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* some file systems have no such call, and need none */
	if (fd < 0 || (fsync(fd) && errno != EINVAL))
		return -errno;
	return 0;
}

/* Deeper trees are hung up elsewhere, so that descriptors stay bounded. */
#define REMOVE_DEPTH 64

/* @moved: how many were hung up at @top */
struct remove {
	int top;
	unsigned int moved;
};

static int remove_at(struct remove *r, int dirfd, const char *name, int depth);

static int remove_inside(struct remove *r, int fd, int depth)
{
	cleanup_closedir DIR *dir = fdopendir(fd);
	struct dirent *e;
	int rc = 0;

	if (!dir) {
		rc = -errno;
		close(fd);
		return rc;
	}
	while (!rc && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = remove_at(r, fd, e->d_name, depth + 1);
	return rc;
}

/* Hang a directory up at the top and remove it there. Return: -EXDEV when it cannot be moved. */
static int remove_moved(struct remove *r, int dirfd, const char *name)
{
	char moved[64];

	do {
		snprintf(moved, sizeof(moved), ".ckpt-deep-%d-%u", getpid(), r->moved++);
		if (!renameat(dirfd, name, r->top, moved))
			return remove_at(r, r->top, moved, 0);
	} while (errno == ENOTEMPTY || errno == EEXIST);
	return -errno;
}

static int remove_at(struct remove *r, int dirfd, const char *name, int depth)
{
	int fd;

	if (ckpt_fault("fs.unlink"))
		return -EIO;
	if (!unlinkat(dirfd, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (!unlinkat(dirfd, name, AT_REMOVEDIR))
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	if (depth >= REMOVE_DEPTH) {
		fd = remove_moved(r, dirfd, name);
		/* a directory of an overlay's lower layer is not renamed */
		if (fd != -EXDEV)
			return fd;
	}
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
	if (fd < 0)
		return -errno;
	fd = remove_inside(r, fd, depth);
	if (fd)
		return fd;
	return unlinkat(dirfd, name, AT_REMOVEDIR) ? -errno : 0;
}

int ckpt_fs_remove_tree(int dirfd, const char *name, int hang)
{
	struct remove r = { .top = hang };

	return remove_at(&r, dirfd, name, 0);
}
