// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory of another process. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/pages.h"
#include "proc/memory.h"

int ckpt_memory_open(pid_t pid, struct ckpt_memory *ret, struct ckpt_err *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	*ret = (struct ckpt_memory){ .pid = pid, .fd = fd };
	return 0;
}

void ckpt_memory_close(struct ckpt_memory *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

size_t ckpt_memory_read(const struct ckpt_memory *m, uint64_t addr, void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct iovec to = { (uint8_t *)data + done, len - done };
		struct iovec from = { (void *)(uintptr_t)(addr + done), len - done };
		ssize_t got = process_vm_readv(m->pid, &to, 1, &from, 1, 0);

		/* Pages without read permission (guards, JITs) come through /proc/PID/mem. */
		if (got < (ssize_t)CKPT_PAGE_LEN) {
			do
				got = pread(m->fd, (uint8_t *)data + done, CKPT_PAGE_LEN,
					    addr + done);
			while (got < 0 && errno == EINTR);
			if (got != (ssize_t)CKPT_PAGE_LEN)
				break;
		}
		done += got & ~(ssize_t)(CKPT_PAGE_LEN - 1);
	}
	return done;
}

/* A hole is an error, an address space that nobody uses any more is an end of file. */
bool ckpt_memory_gone(const struct ckpt_memory *m)
{
	char byte;

	return !pread(m->fd, &byte, 1, 0);
}
