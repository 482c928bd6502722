// SPDX-License-Identifier: GPL-2.0-or-later
/* Scans of a pagemap. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ckpt.h>
#include <stdio.h>
#include <unistd.h>

#include "track/pagemap.h"

/* A read tells nothing of one without memory, on which some kernels stumble in a scan. */
int ckpt_scan_open(int32_t pid)
{
	uint64_t entry;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && pread(fd, &entry, sizeof(entry), 0) != sizeof(entry)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int ckpt_scan_next(int pagemap, struct ckpt_scan_arg *arg)
{
	for (;;) {
		int n = ioctl(pagemap, CKPT_SCAN_IOCTL, arg);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EINVAL && arg->return_mask & CKPT_SCAN_GUARD) {
			arg->return_mask &= ~(__u64)CKPT_SCAN_GUARD;
			continue;
		}
		if (n < 0)
			return -errno;
		if (arg->walk_end <= arg->start)
			return -EPROTO;
		arg->start = arg->walk_end;
		return n;
	}
}

uint16_t ckpt_scan_state(uint64_t categories)
{
	if (categories & CKPT_SCAN_GUARD)	/* swapped as well, so it says */
		return CKPT_PAGE_GUARD;
	if (categories & CKPT_SCAN_SWAPPED)
		return CKPT_PAGE_SWAP;
	if (categories & CKPT_SCAN_PFNZERO)
		return CKPT_PAGE_ZERO;
	return categories & CKPT_SCAN_FILE ? CKPT_PAGE_FILE : CKPT_PAGE_ANON;
}
