// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nomem_test.c: an allocation that fails loses nothing, whichever it is
 *
 * kernel: debug
 *
 * Every request is made again and again; the first time its first allocation fails, then its
 * second, until all have (/proc/thread-self/fail-nth).  Either it says so, or it has done all of
 * it; what was written before is told then, by this round or by the next, as CKPT_A_LOST at the
 * least.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <netlink/attr.h>

#include "lib/client.h"
#include "lib/nomem.h"
#include "lib/world.h"

#define G "nomem"
#define ROOT "/tmp/nomem"
#define DISK "/scratch/nomem"	/* a file system of which ranges are told */
#define PAGES 16
#define BIG_PAGES 64

/* Step of the child; the others write page n, append to file n and write page n of the big file. */
#define MAP PAGES

static struct client c;
static struct child child;
static char big[] = DISK "/big";

static const char *file(int n)
{
	static char path[64];

	snprintf(path, sizeof(path), ROOT "/%d", n);
	return path;
}

/* --- the child --- */

static char *mem;

static void write_all(int n)
{
	int fd = open(file(n), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	mem[(size_t)n * PAGE]++;
	if (fd < 0 || write(fd, "x", 1) != 1)
		_exit(1);
	close(fd);
	fd = open(big, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, &n, sizeof(n), n * (off_t)PAGE) != sizeof(n))
		_exit(1);
	close(fd);
}

static void step(int n, uint64_t *shared)
{
	if (n == MAP) {
		mem = map_anon(PAGES * PAGE, 0);
		memset(mem, 1, PAGES * PAGE);
		shared[0] = (uint64_t)(uintptr_t)mem;
	} else {
		write_all(n);
	}
}

/* --- what is told --- */

struct seen {
	uint64_t ino;
	uint32_t mask;
	uint64_t page;
	bool page_told;
};

static void got_inode(struct nlattr **attrs, void *data)
{
	const struct ckpt_extent *e;
	struct seen *seen = data;
	size_t nr;

	if (nla_get_u64(attrs[CKPT_A_INODE_INO]) != seen->ino)
		return;
	seen->mask |= nla_get_u32(attrs[CKPT_A_INODE_MASK]);
	seen->page_told = !(nla_get_u32(attrs[CKPT_A_INODE_FLAGS]) & CKPT_INODE_F_RANGES);
	if (seen->page_told || !attrs[CKPT_A_INODE_RANGES])
		return;
	e = nla_data(attrs[CKPT_A_INODE_RANGES]);
	for (nr = (size_t)nla_len(attrs[CKPT_A_INODE_RANGES]) / sizeof(*e); nr--; e++)
		seen->page_told |= seen->page >= e->first && seen->page < e->first + e->pages;
}

static uint32_t told_mask(const char *path, struct seen *seen)
{
	struct stat st;

	if (stat(path, &st))
		die("%s", path);
	seen->ino = st.st_ino;
	if (client_inodes(&c, G, got_inode, seen))
		die("inode-dump: %s", c.text);
	return seen->mask;
}

static bool page_in(const struct pages *p, int n)
{
	uint64_t at = child.shared[0] + (uint64_t)n * PAGE;

	return pages_mm_flags(p, child.pid) & CKPT_MM_OVERFLOW ||
	       pages_dirty(p, child.pid, at, at + PAGE) == 1;
}

static bool page_told(int n)
{
	struct pages p;
	struct round r;
	bool told;

	for (;;) {
		if (client_pages(&c, G, &p))
			die("page-dump: %s", c.text);
		if (!(pages_mm_flags(&p, child.pid) & CKPT_MM_BUSY))
			break;
		/* the next round tells it */
		pages_free(&p);
		if (client_next(&c, G, 0, &r))
			die("next: %s", c.text);
	}
	told = page_in(&p, n);
	pages_free(&p);
	return told;
}

static bool files_told(int n, const struct round *r)
{
	struct seen small = { 0 }, large = { .page = (uint64_t)n };
	const uint32_t data = CKPT_INODE_DATA | CKPT_INODE_SUSPECT | CKPT_INODE_CREATED;

	if (r->lost)
		return true;
	return (told_mask(file(n), &small) & data) && (told_mask(big, &large) & data) &&
	       large.page_told;
}

/* What step @n of the child wrote is told by the last round. */
static bool told(int n, const struct round *r)
{
	bool files = files_told(n, r), page = page_told(n);

	if (!files || !page)
		note("round %u: page %d %s, file %s", r->round, n, page ? "told" : "MISSED",
		     files ? "told" : "MISSED");
	return files && page;
}

/* --- requests without failures --- */

static void begin(struct round *r)
{
	if (client_begin(&c, G, r))
		die("begin: %s", c.text);
}

static void commit(const struct round *r)
{
	uint8_t id[CKPT_ID_LEN] = { 9 };

	if (client_commit(&c, G, r->epoch, id))
		die("commit: %s", c.text);
}

/* --- attempts: return whether an allocation failed --- */

static bool try_begin(unsigned int n, bool *good)
{
	struct round r = { 0 };
	bool hit;
	int err;

	child_step(&child, 1);
	nomem_inject(n);
	err = client_begin(&c, G, &r);
	hit = nomem_injected();
	/* the reply tells of an epoch, with or without the end of the answer */
	if (err && !nomem_late(&c, &r)) {
		nomem_reopen(&c);
		begin(&r);
	}
	*good &= told(1, &r);
	commit(&r);
	return hit;
}

static bool try_next(unsigned int n, bool *good)
{
	struct round r, next = { 0 };
	bool hit, retold = false;
	int err;

	child_step(&child, 1);
	begin(&r);
	child_step(&child, 2);
	nomem_inject(n);
	err = client_next(&c, G, 0, &next);
	hit = nomem_injected();
	if (err && !nomem_late(&c, &next)) {
		if (client_next(&c, G, 0, &next))
			die("next: %s", c.text);
		/* one that failed was a round; what the one before it took is told again */
		retold = next.round > 2;
	}
	*good &= told(2, &next) && (!retold || told(1, &next));
	commit(&next);
	return hit;
}

static bool try_page_dump(unsigned int n, bool *good)
{
	struct pages p;
	struct round r;
	bool hit;

	child_step(&child, 1);
	begin(&r);
	nomem_inject(n);
	if (client_pages(&c, G, &p)) {
		pages_free(&p);
		hit = nomem_injected();
		nomem_late(&c, NULL);
		*good &= told(1, &r);
	} else {
		hit = nomem_injected();
		*good &= page_in(&p, 1);
		pages_free(&p);
	}
	nomem_reopen(&c);
	begin(&r);
	commit(&r);
	return hit;
}

static bool try_inode_dump(unsigned int n, bool *good)
{
	struct seen seen = { 0 };
	struct round r;
	struct stat st;
	bool hit;
	int err;

	child_step(&child, 1);
	begin(&r);
	stat(file(1), &st);
	seen.ino = st.st_ino;
	nomem_inject(n);
	err = client_inodes(&c, G, got_inode, &seen);
	hit = nomem_injected();
	nomem_late(&c, NULL);
	*good &= err ? told(1, &r) : (seen.mask & CKPT_INODE_DATA) != 0;
	nomem_reopen(&c);
	begin(&r);
	commit(&r);
	return hit;
}

static bool try_commit(unsigned int n, bool *good)
{
	uint8_t id[CKPT_ID_LEN];
	struct round r;
	bool hit, done;

	memset(id, (int)n, sizeof(id));
	id[0] = 1;
	child_step(&child, 1);
	begin(&r);
	child_step(&child, 2);
	nomem_inject(n);
	client_commit(&c, G, r.epoch, id);
	hit = nomem_injected();
	nomem_reopen(&c);
	begin(&r);
	done = !memcmp(r.id, id, sizeof(id));
	*good &= told(2, &r) && (done || told(1, &r));
	commit(&r);
	return hit;
}

static bool try_abort(unsigned int n, bool *good)
{
	struct round r;
	bool hit;

	child_step(&child, 1);
	begin(&r);
	nomem_inject(n);
	client_abort(&c, G, r.epoch);
	hit = nomem_injected();
	nomem_reopen(&c);
	begin(&r);
	*good &= told(1, &r);
	commit(&r);
	return hit;
}

/* --- all of it --- */

static void make_world(void)
{
	struct round r;
	int i;

	nomem_set_up();
	shell("rm -rf " ROOT " " DISK " && mkdir " ROOT " " DISK);
	shell("head -c %lu /dev/zero >%s && sync", BIG_PAGES * PAGE, big);
	for (i = 0; i < 3; i++)
		shell("echo content >%s", file(i));
	cgroup_make(G);
	child_start(&child, G, step);
	child_step(&child, MAP);
	nomem_reopen(&c);
	if (client_group_new(&c, G, "/" G) || client_root(&c, CKPT_CMD_ROOT_ADD, G, ROOT) ||
	    client_root(&c, CKPT_CMD_ROOT_ADD, G, DISK))
		die("tag: %s", c.text);
	/* so that the big file has a log */
	for (i = 0; i < 3; i++) {
		child_step(&child, 1);
		begin(&r);
		commit(&r);
	}
}

int main(void)
{
	make_world();
	nomem_each("epoch-begin", try_begin);
	nomem_each("epoch-next", try_next);
	nomem_each("epoch-commit", try_commit);
	nomem_each("epoch-abort", try_abort);
	nomem_each("page-dump", try_page_dump);
	nomem_each("inode-dump", try_inode_dump);
	check(!client_group_del(&c, G), "the group goes");
	child_end(&child);
	client_close(&c);
	cgroup_gone(G);
	return finish();
}
