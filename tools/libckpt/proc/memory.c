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

#define ENTRIES 512u	/* of pagemap at a time */

#define PRESENT (1ull << 63)
#define SWAPPED (1ull << 62)
#define NOT_ANON (1ull << 61)
#define MAPPED_ONCE (1ull << 56)

int ckpt_memory_open(pid_t pid, struct ckpt_memory *ret, struct ckpt_err *err)
{
	struct ckpt_memory m = CKPT_MEMORY_NONE;
	char path[64];

	m.pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	m.pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	m.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (m.fd < 0 || m.pagemap < 0) {
		ckpt_fail(err, CKPT_FAILED, errno, "cannot open the memory of pid %d", pid);
		ckpt_memory_close(&m);
		return -1;
	}
	*ret = m;
	return 0;
}

void ckpt_memory_close(struct ckpt_memory *m)
{
	if (m->fd >= 0)
		close(m->fd);
	if (m->pagemap >= 0)
		close(m->pagemap);
	m->fd = m->pagemap = -1;
}

static size_t read_slowly(const struct ckpt_memory *m, uint64_t addr, uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = pread(m->fd, data + done, len - done, addr + done);

		if (got < 0 && errno == EINTR)
			continue;
		got = got < 0 ? 0 : got & ~(ssize_t)(CKPT_PAGE_LEN - 1);
		if (!got)
			break;
		done += got;
	}
	return done;
}

static size_t read_fast(const struct ckpt_memory *m, uint64_t addr, uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct iovec to = { data + done, len - done };
		struct iovec from = { (void *)(uintptr_t)(addr + done), len - done };
		ssize_t got = process_vm_readv(m->pid, &to, 1, &from, 1, 0);

		/* Pages without read permission (guards, JITs) come through /proc/PID/mem. */
		if (got < (ssize_t)CKPT_PAGE_LEN) {
			got = read_slowly(m, addr + done, data + done, CKPT_PAGE_LEN);
			if (got != (ssize_t)CKPT_PAGE_LEN)
				break;
		}
		done += got & ~(ssize_t)(CKPT_PAGE_LEN - 1);
	}
	return done;
}

/*
 * process_vm_readv pins what it reads, and a page that is shared since a fork cannot be pinned: who
 * is read gets a copy of its own first (Linux 5.19).  /proc/PID/mem only looks.
 */
static bool shared(uint64_t entry)
{
	return entry & SWAPPED || ((entry & PRESENT) && !(entry & (NOT_ANON | MAPPED_ONCE)));
}

/* Pages from the one of @entries on, of @n, that are all shared or all not. */
static size_t alike(const uint64_t *entries, size_t n)
{
	size_t i = 1;

	while (i < n && shared(entries[i]) == shared(entries[0]))
		i++;
	return i;
}

size_t ckpt_memory_read(const struct ckpt_memory *m, uint64_t addr, void *data, size_t len)
{
	uint64_t entries[ENTRIES];
	size_t done = 0, want, have, i, n, got;

	for (; done < len; done += have * CKPT_PAGE_LEN) {
		want = (len - done) / CKPT_PAGE_LEN < ENTRIES ? (len - done) / CKPT_PAGE_LEN :
							       ENTRIES;
		if (pread(m->pagemap, entries, want * sizeof(*entries),
			  (addr + done) / CKPT_PAGE_LEN * sizeof(*entries)) !=
		    (ssize_t)(want * sizeof(*entries)))
			return done + read_slowly(m, addr + done, (uint8_t *)data + done,
						  len - done);
		for (i = 0, have = want; i < have; i += n) {
			uint64_t at = addr + done + i * CKPT_PAGE_LEN;
			uint8_t *to = (uint8_t *)data + done + i * CKPT_PAGE_LEN;

			n = alike(entries + i, have - i);
			got = shared(entries[i]) ? read_slowly(m, at, to, n * CKPT_PAGE_LEN) :
						   read_fast(m, at, to, n * CKPT_PAGE_LEN);
			if (got != n * CKPT_PAGE_LEN)
				return done + i * CKPT_PAGE_LEN + got;
		}
	}
	return done;
}

/* A hole is an error, an address space that nobody uses any more is an end of file. */
bool ckpt_memory_gone(const struct ckpt_memory *m)
{
	char byte;

	return !pread(m->fd, &byte, 1, 0);
}
