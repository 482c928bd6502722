// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kinds of changes of files: each must happen, and be compared
 */
#include <inttypes.h>

#include "audit.h"

const char *change_name(enum change change)
{
	static const char *const name[NR_CHANGES] = {
		"create", "write", "append", "write to one held open", "truncate", "allocate",
		"punch", "zero range", "collapse", "insert", "copy_file_range", "splice",
		"mapped stores", "mapped stores, then exit", "asynchronous write",
		"io_uring write", "direct write in flight",
		"rename", "rename across directories", "exchange", "exchange of directories",
		"rename out of the root", "rename into the root", "directory out of the root",
		"directory into the root", "link", "unlink", "mkdir", "rmdir", "symlink",
		"mknod of a pipe", "mknod of a device", "O_TMPFILE and linkat", "chmod", "chown",
		"utimens", "set xattr", "remove xattr", "ACL", "write by a name outside",
		"by a process outside",
	};

	return name[change];
}

void did(struct hand *h, enum change change)
{
	h->missed = false;
	__atomic_add_fetch(&audit->did[h->actor][change], 1, __ATOMIC_RELAXED);
	if (h->actor >= ACTORS)
		__atomic_add_fetch(&audit->did[h->actor][CHANGE_OUTSIDE], 1, __ATOMIC_RELAXED);
}

static uint64_t made(enum change change)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < PROCESSES; i++)
		sum += __atomic_load_n(&audit->did[i][change], __ATOMIC_RELAXED);
	return sum;
}

void tally_commit(struct tally *t, bool compared)
{
	uint64_t now;
	int i;

	for (i = 0; i < NR_CHANGES; i++) {
		now = made((enum change)i);
		if (compared)
			t->compared[i] += now - t->since[i];
		t->since[i] = now;
	}
}

unsigned int tally_show(const struct tally *t)
{
	unsigned int missing = 0;
	uint64_t all;
	int i;

	for (i = 0; i < NR_CHANGES; i++) {
		all = made((enum change)i);
		missing += !all || !t->compared[i];
		note("%s: %" PRIu64 ", %" PRIu64 " of them compared", change_name((enum change)i),
		     all, t->compared[i]);
	}
	return missing;
}
