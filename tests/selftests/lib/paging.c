// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Swap, and what the kernel's pagemap says, for tests
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/paging.h"
#include "lib/world.h"

#define FILE_NAME "/scratch/selftest.swap"

void swap_start(void)
{
	if (system("dd if=/dev/zero of=" FILE_NAME " bs=1M count=64 2>/dev/null && chmod 600 "
		   FILE_NAME " && mkswap " FILE_NAME " >/dev/null") || swapon(FILE_NAME, 0))
		die("swap");
}

void swap_end(void)
{
	if (swapoff(FILE_NAME) || unlink(FILE_NAME))
		die("the end of swap");
}

void batches_drain(void)
{
	int node = 0, status;

	/* No page at all: what it does before it looks at the first is what is wanted. */
	if (syscall(SYS_move_pages, 0, 0UL, NULL, &node, &status, MPOL_MF_MOVE))
		die("move_pages");
}

size_t entries_with(pid_t pid, uint64_t addr, size_t nr, uint64_t bits)
{
	size_t i, found = 0;
	char path[64];
	uint64_t entry;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (i = 0; i < nr; i++) {
		if (pread(fd, &entry, sizeof(entry), (off_t)((addr / PAGE + i) * 8)) != 8)
			die("read %s", path);
		found += (entry & bits) == bits;
	}
	close(fd);
	return found;
}
