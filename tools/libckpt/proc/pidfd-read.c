// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pidfds: which process of the tree they lead to, or what is known of one that is gone
 *
 * Of a process that has been waited for Linux 6.15 and newer still tell the holder of a pidfd how
 * it ended.  Who holds two of the same one sees that by their inode number, where pidfds have one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* PIDFD_GET_INFO, of which headers may know less than the kernel. */
struct info {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};

#define GET_INFO _IOWR(0xff, 11, struct info)
#define INFO_EXIT (1u << 3)

#define CORE_DUMPED 0x80
#define XATTRS "trusted."

/* PIDFD_THREAD and PIDFD_NONBLOCK, and what F_SETFL sets. */
#define FLAGS (O_ACCMODE | O_EXCL | O_NONBLOCK | O_APPEND | O_NOATIME)

#define REFUSE(f, format, ...) \
	ckpt_fail(err, CKPT_REFUSED, 0, "pid %d holds pidfd %d, " format ", which this version " \
		  "cannot restore", (f)->capture_pid, (f)->capture_fd, ##__VA_ARGS__)

/* Host pid or tid as the tree calls it; 0: it is not in the tree. */
static int32_t name_in_tree(const struct ckpt_image *image, int32_t host)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		if (t->host_pid == host)
			return t->pid;
		for (size_t j = 0; j < t->n_threads; j++) {
			if (t->threads[j].host_tid == host)
				return t->threads[j].tid;
		}
	}
	return 0;
}

/* Another pidfd of the same process that is gone. */
static bool find_twin(const struct ckpt_image *image, struct ckpt_file *f)
{
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *o = &image->files[i];

		if (o->kind == CKPT_FILE_PIDFD && o->dev == f->dev && o->ino == f->ino &&
		    !image->pidfds[o->object].pid) {
			f->object = o->object;
			return true;
		}
	}
	return false;
}

/* Attributes that the inode of a pidfd may have since Linux 6.18. */
static bool has_xattrs(int fd)
{
	char names[4096];
	ssize_t n = flistxattr(fd, names, sizeof(names));

	if (n < 0)
		return errno == ERANGE;
	for (const char *p = names; p < names + n; p += strlen(p) + 1) {
		if (!strncmp(p, XATTRS, strlen(XATTRS)))
			return true;
	}
	return false;
}

static int look_at(const struct ckpt_file *f, struct ckpt_pidfd *p, struct ckpt_err *err)
{
	struct info info = { .mask = INFO_EXIT };
	cleanup_close int fd = ckpt_borrow_fd(f, err);

	if (fd < 0)
		return -1;
	if (has_xattrs(fd))
		return REFUSE(f, "which has extended attributes");
	if (p->pid || ioctl(fd, GET_INFO, &info) || !(info.mask & INFO_EXIT))
		return 0;
	if (info.exit_code & CORE_DUMPED)
		return REFUSE(f, "of a process that has dumped core");
	p->exit_code = info.exit_code;
	return 0;
}

int ckpt_read_pidfd(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		    struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_pidfd p = { 0 }, *list;
	int32_t host;

	if (ckpt_parse_pidfd(fdinfo, &host))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot read pidfd %d of pid %d",
				 f->capture_fd, f->capture_pid);
	if (f->flags & ~(uint32_t)FLAGS)
		return REFUSE(f, "of a kind that is not known (flags 0%o)", f->flags);
	if (host >= 0) {
		p.pid = host ? name_in_tree(image, host) : 0;
		if (!p.pid)
			return REFUSE(f, "of pid %d, which is not in the tree", host);
	}
	if (look_at(f, &p, err))
		return -1;
	if (!p.pid && find_twin(image, f))
		return 0;
	list = ckpt_grow(image->pidfds, &image->n_pidfds, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of pidfds");
	image->pidfds = list;
	f->object = image->n_pidfds - 1;
	list[f->object] = p;
	return 0;
}
