// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the reader does to the group while it takes its epochs
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "reader.h"

#define FREEZE_TRIES 20000
#define FREEZE_WAITS 300
/* Page tables and what else the kernel needs for the group are no fifth of it. */
#define LIMIT_MIN (16ULL << 20)

void reads_a_second(unsigned int n)
{
	struct stat disk;
	char text[64];

	if (fstat(files.direct, &disk))
		die("the disk for direct reads");
	snprintf(text, sizeof(text), "%u:%u riops=%u", major(disk.st_rdev), minor(disk.st_rdev),
		 n);
	if (put(CGROUPS GROUP "/io.max", text))
		die("direct reads are not slowed down");
}

static void wait_frozen(const char *cgroup, bool frozen)
{
	const char *want = frozen ? "frozen 1" : "frozen 0";
	char path[128], text[256];
	int tries;

	snprintf(path, sizeof(path), CGROUPS "%s/cgroup.events", cgroup);
	for (tries = 0; get(path, text, sizeof(text)) < 0 || !strstr(text, want); tries++) {
		if (tries == FREEZE_TRIES)
			die("%s does not freeze", cgroup);
		/* Some wait for a read that cannot be interrupted. */
		if (tries == FREEZE_WAITS)
			reads_a_second(READS);
		usleep(500);
	}
}

static void freeze(const char *cgroup, bool frozen)
{
	char path[64];

	snprintf(path, sizeof(path), CGROUPS "%s/cgroup.freeze", cgroup);
	if (put(path, frozen ? "1" : "0"))
		die("%s", path);
}

/*
 * What lies below is frozen first.  While a cgroup freezes, the kernel calls it frozen as soon as
 * all below it are, whatever its own tasks do (cgroup_propagate_frozen()).
 */
void freeze_all(bool frozen, bool runner_too)
{
	static const char *const cgroup[] = { BELOW, GROUP, AWAY, SLOW, RUN_ON };
	size_t i, n = runner_too ? 5 : 4;

	freeze(BELOW, frozen);
	if (frozen)
		wait_frozen(BELOW, frozen);
	for (i = 1; i < n; i++)
		freeze(cgroup[i], frozen);
	for (i = 0; i < n; i++)
		wait_frozen(cgroup[i], frozen);
}

void close_group(bool closed)
{
	int tries;

	__atomic_store_n(&audit->closed, closed, __ATOMIC_SEQ_CST);
	for (tries = 0; closed && __atomic_load_n(&audit->coming, __ATOMIC_SEQ_CST); tries++) {
		if (tries == FREEZE_TRIES)
			die("who comes into the group does not arrive");
		usleep(500);
	}
}

void clear_bits(struct reader *r)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/clear_refs",
		 audit->actor[rnd(&r->seed) % ACTORS]);
	if (put(path, "4"))
		die("%s", path);
	r->clears++;
}

void squeeze(struct reader *r, bool on)
{
	unsigned long long limit;
	char text[32];

	if (on == r->squeezed)
		return;
	if (on && get(CGROUPS GROUP "/memory.current", text, sizeof(text)) <= 0)
		die("memory.current of " GROUP);
	if (on) {
		limit = strtoull(text, NULL, 10) / 4 * 3;
		snprintf(text, sizeof(text), "%llu", limit > LIMIT_MIN ? limit : LIMIT_MIN);
	}
	if (put(CGROUPS GROUP "/memory.max", on ? text : "max"))
		die("memory.max of " GROUP);
	r->squeezed = on;
	r->squeezes += on;
}

void stir(struct reader *r)
{
	int err;

	switch (r->epochs == SURE_SQUEEZE ? 2 : rnd(&r->seed) % 6) {
	case 0:
		err = put(CGROUPS GROUP "/memory.reclaim", "6M");
		/* It may find less than that. */
		if (err && err != -EAGAIN)
			die("memory.reclaim: %d", err);
		break;
	case 1:
		if (put("/proc/sys/vm/drop_caches", "1"))
			die("drop_caches");
		break;
	case 2:
		squeeze(r, true);
		break;
	default:
		usleep((useconds_t)(rnd(&r->seed) % 60000 * audit->pace));
	}
}
