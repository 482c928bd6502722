// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * probes_test.c: the kernel writes breakpoints into private pages of a file, and no entry says so
 *
 * It does wherever code may be: also where it cannot run just now.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define TRACING "/sys/kernel/tracing/"
#define PROBED "/scratch/probed"
/* Both in the second page. */
#define FIRST ":0x1010"
#define SECOND ":0x1020"
#define BREAKPOINT 0xcc

/* How the child maps the file. */
enum { CODE, UNRUN };

static struct client c;
static struct child child;

static void step(int n, uint64_t *shared)
{
	int fd = open(PROBED, O_RDONLY | O_CLOEXEC);
	char *p = mmap(NULL, 4 * PAGE, n == CODE ? PROT_READ | PROT_EXEC : PROT_READ, MAP_PRIVATE,
		       fd, 0);

	if (p == MAP_FAILED)
		_exit(1);
	close(fd);
	shared[0] = (uint64_t)(uintptr_t)p;
}

static void make_file(void)
{
	int fd = open(PROBED, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700), i;
	char buf[PAGE];

	memset(buf, 0x90, sizeof(buf));
	for (i = 0; i < 4; i++)
		if (write(fd, buf, PAGE) != PAGE)
			die("write " PROBED);
	close(fd);
}

/* Beside those that there are. */
static void probe(const char *name, const char *where)
{
	int fd = open(TRACING "uprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	char text[96];
	int len = snprintf(text, sizeof(text), "p:ckpt/%s " PROBED "%s", name, where);

	if (fd < 0 || write(fd, text, (size_t)len) != len)
		die("uprobe_events");
	close(fd);
	snprintf(text, sizeof(text), TRACING "events/ckpt/%s/enable", name);
	if (put(text, "1"))
		die("enable a probe");
}

static void probes_go(void)
{
	int fd;

	if (put(TRACING "events/ckpt/enable", "0"))
		die("disable probes");
	fd = open(TRACING "uprobe_events", O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		die("take probes away");
	close(fd);
}

/* State of a page in a take of its own. */
static int taken(uint64_t at, uint32_t *flags)
{
	struct pages p;
	int state;

	client_take(&c, "probes", &p);
	state = pages_state(&p, child.pid, at, flags);
	pages_free(&p);
	return state;
}

static bool is_told(uint64_t at)
{
	uint32_t flags;

	return taken(at, &flags) == CKPT_PAGE_ANON && flags & CKPT_RUN_DIRTY;
}

/* The page is not there or the file's, which is the same; or it is the process's own and told. */
static bool end_is_told(uint64_t at)
{
	uint32_t flags;
	int state = taken(at, &flags);

	return state == CKPT_PAGE_NONE || state == CKPT_PAGE_FILE ||
	       (state == CKPT_PAGE_ANON && flags & CKPT_RUN_DIRTY);
}

static bool is_set(uint64_t at)
{
	uint8_t byte = 0;

	return child_read(child.pid, at, &byte, 1) == 1 && byte == BREAKPOINT;
}

/* With the second one the page is the process's own already, and nothing else tells of it. */
static void test_area(int how, const char *what)
{
	uint32_t flags;
	uint64_t at;

	child_step(&child, how);
	at = child.shared[0] + PAGE;
	check(taken(at, &flags) != CKPT_PAGE_ANON, "%s is the file's", what);
	probe("first", FIRST);
	check(is_set(at + 0x10) && is_told(at), "%s: a probe that was set is told", what);
	check(is_told(at), "%s: and always, while it is there", what);
	probe("second", SECOND);
	check(is_set(at + 0x20) && is_told(at), "%s: a second one in that page, too", what);
	probes_go();
	check(!is_set(at + 0x20) && end_is_told(at), "%s: and that they are gone", what);
}

int main(void)
{
	make_file();
	cgroup_make("probes");
	if (client_open(&c) || client_group_new(&c, "probes", "/probes"))
		die("tag: %s", c.text);
	child_start(&child, "probes", step);
	test_area(CODE, "code");
	test_area(UNRUN, "what may be code");
	child_end(&child);
	client_group_del(&c, "probes");
	client_close(&c);
	cgroup_gone("probes");
	unlink(PROBED);
	return finish();
}
