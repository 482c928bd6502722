// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flags_test.c: what is said of an area is how it is mapped, and nothing else
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/world.h"

#define FILE_AT "/scratch/flags"
#define SHARED_FILE (CKPT_AREA_WHOLE | CKPT_AREA_SHARED | CKPT_AREA_FILE)
#define SHARED_SHMEM (SHARED_FILE | CKPT_AREA_SHMEM)
#define R CKPT_AREA_READ
#define W CKPT_AREA_WRITE
#define X CKPT_AREA_EXEC
#define MAY CKPT_AREA_MAYWRITE

/* All that is said of an area that is mapped so. */
static const struct {
	int prot;
	int flags;
	int open;	/* of a file, or -1 */
	bool wipe;
	uint32_t told;
} marked[] = {
	{ PROT_NONE, MAP_PRIVATE, -1, false, MAY },
	{ PROT_READ, MAP_PRIVATE, -1, false, R | MAY },
	{ PROT_READ | PROT_WRITE, MAP_PRIVATE, -1, true, R | W | MAY | CKPT_AREA_WIPEONFORK },
	{ PROT_READ | PROT_EXEC, MAP_PRIVATE, -1, false, R | X | MAY },
	{ PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, -1, false, R | W | X | MAY },
	{ PROT_READ, MAP_PRIVATE, O_RDONLY, false, R | MAY | CKPT_AREA_FILE },
	{ PROT_READ | PROT_WRITE, MAP_SHARED, O_RDWR, false, R | W | MAY | SHARED_FILE },
	{ PROT_READ, MAP_SHARED, O_RDWR, false, R | MAY | SHARED_FILE },
	{ PROT_READ, MAP_SHARED, O_RDONLY, false, R | SHARED_FILE },
	{ PROT_READ | PROT_WRITE, MAP_SHARED, -1, false, R | W | MAY | SHARED_SHMEM },
};
#define NR_MARKED (sizeof(marked) / sizeof(marked[0]))

/* Pages that nobody may use on both sides: it is an area of its own. */
static char *map_marked(size_t i)
{
	int fd = -1, none = marked[i].open < 0 ? MAP_ANONYMOUS : 0;
	char *p = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!none)
		fd = open(FILE_AT, marked[i].open | O_CREAT | O_CLOEXEC, 0600);
	p = mmap(p + PAGE, PAGE, marked[i].prot, marked[i].flags | none | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED || (marked[i].wipe && madvise(p, PAGE, MADV_WIPEONFORK)))
		_exit(1);
	close(fd);
	return p;
}

static void step(int n, uint64_t *shared)
{
	shared[0] = (uint64_t)(uintptr_t)map_marked((size_t)n);
}

static void test_marked(struct client *c, const struct child *child)
{
	const struct area *area;
	uint64_t start;
	struct pages p;
	size_t i;

	for (i = 0; i < NR_MARKED; i++) {
		child_step(child, (int)i);
		start = child->shared[0];
		client_take(c, "flags", &p);
		area = pages_area(&p, child->pid, start);
		check(area && area->start == start && area->end == start + PAGE &&
		      area->flags == (marked[i].told | CKPT_AREA_NEW), "area %zu: %#x, wanted %#x",
		      i, area ? area->flags : 0, marked[i].told | CKPT_AREA_NEW);
		pages_free(&p);
	}
}

int main(void)
{
	struct client c;
	struct child child;

	cgroup_make("flags");
	if (client_open(&c) || client_group_new(&c, "flags", "/flags"))
		die("tag: %s", c.text);
	child_start(&child, "flags", step);
	test_marked(&c, &child);
	child_end(&child);
	client_group_del(&c, "flags");
	client_close(&c);
	cgroup_gone("flags");
	unlink(FILE_AT);
	return finish();
}
