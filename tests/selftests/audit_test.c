// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_test.c: a seeded mix of everything that changes memory, parent + delta against the truth
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/model.h"
#include "lib/world.h"

#define SLOTS 8
#define OPS 60
#define EPOCHS 14
#define FILE_PAGES 64
#define RO_PAGES 32
#define FILE_PATH "/tmp/audit"

static char *slot[SLOTS];
static char *file, *readonly;
static char *heap[64];
static uint64_t seed;

static uint64_t pick(uint64_t n)
{
	return rnd(&seed) % n;
}

/* A range of up to 32 pages in a slot. */
static char *range(size_t *ret_len)
{
	size_t first = pick(480);

	*ret_len = (1 + pick(32)) * PAGE;
	return slot[pick(SLOTS)] + first * PAGE;
}

static void scribble(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE)
		p[i + pick(PAGE)] = (char)rnd(&seed);
}

static void op_drop(char *p, size_t len)
{
	volatile char sum = 0;
	size_t i;

	madvise(p, len, MADV_DONTNEED);
	for (i = 0; pick(2) && i < len; i += PAGE)
		sum += p[i];
}

static void op_protect(char *p, size_t len)
{
	mprotect(p, len, PROT_READ);
	mprotect(p, len, PROT_READ | PROT_WRITE);
	scribble(p, PAGE);
	if (pick(2)) {
		mprotect(p, len, PROT_NONE);
		mprotect(p, len, PROT_READ | PROT_WRITE);
	}
}

/* A move that fails (several areas) has unmapped where it would have gone. */
static void move(char *from, char *to, size_t len)
{
	if (mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
		map_anon_at(to, len);
	else
		map_anon_at(from, len);
}

static void op_move_slot(void)
{
	char *from = slot[pick(SLOTS)], *to = slot[pick(SLOTS)];

	if (from == to)
		return;
	move(from, to, HUGE);
	if (pick(2))
		scribble(from, HUGE);
}

static void op_move_pages(char *p, size_t len)
{
	char *to = slot[pick(SLOTS)] + pick(480) * PAGE;

	if (to + len > p && p + len > to)
		return;
	move(p, to, len);
}

static void op_fork(char *p, size_t len)
{
	pid_t pid = fork();

	if (!pid) {
		scribble(p, len);
		_exit(0);
	}
	scribble(p, PAGE);
	waitpid(pid, NULL, 0);
	scribble(p, len);
}

static void op_huge(void)
{
	char *p = slot[pick(SLOTS)];

	madvise(p, HUGE, pick(3) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (pick(2))
		madvise(p, HUGE, MADV_DONTNEED);
	scribble(p, pick(2) ? HUGE : PAGE);
}

static void op_file(void)
{
	char *p = file + pick(FILE_PAGES) * PAGE;

	if (pick(3))
		scribble(p, PAGE);
	else
		madvise(p, PAGE, MADV_DONTNEED);
}

/* A forced write, as a debugger's, into memory that stays read-only. */
static void op_poke(void)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char value = (char)rnd(&seed);

	if (pwrite(fd, &value, 1, (off_t)(uintptr_t)(readonly + pick(RO_PAGES) * PAGE)) != 1)
		_exit(3);
	close(fd);
}

static void op_heap(void)
{
	size_t i = pick(64), len = 1 + pick(40000);

	free(heap[i]);
	heap[i] = malloc(len);
	memset(heap[i], (int)pick(256), len);
}

static void one_op(void)
{
	size_t len;
	char *p = range(&len);

	switch (pick(16)) {
	case 0: case 1: case 2:
		scribble(p, PAGE);
		break;
	case 3:
		scribble(p, len);
		break;
	case 4: case 5:
		op_drop(p, len);
		break;
	case 6:
		munmap(p, len);
		map_anon_at(p, len);
		scribble(p, PAGE);
		break;
	case 7:
		op_protect(p, len);
		break;
	case 8:
		op_move_slot();
		break;
	case 9:
		op_move_pages(p, len);
		break;
	case 10:
		op_fork(p, len);
		break;
	case 11:
		op_huge();
		break;
	case 12:
		madvise(p, len, MADV_FREE);
		scribble(p, PAGE);
		break;
	case 13:
		op_file();
		break;
	case 14:
		op_poke();
		break;
	case 15:
		op_heap();
		break;
	}
}

static void setup(void)
{
	char *arena = map_anon(SLOTS * HUGE, HUGE);
	int fd = open(FILE_PATH, O_RDWR | O_CLOEXEC), i;

	for (i = 0; i < SLOTS; i++)
		slot[i] = arena + (size_t)i * HUGE;
	file = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	/* A neighbour of its own on both sides, so that nothing merges with it. */
	readonly = map_anon((RO_PAGES + 2) * PAGE, 0) + PAGE;
	memset(readonly, 1, RO_PAGES * PAGE);
	mprotect(readonly - PAGE, PAGE, PROT_NONE);
	mprotect(readonly, RO_PAGES * PAGE, PROT_READ);
	mprotect(readonly + RO_PAGES * PAGE, PAGE, PROT_NONE);
	close(fd);
}

static void step(int n, uint64_t *shared)
{
	int i;

	(void)shared;
	if (n == 0) {
		setup();
		return;
	}
	seed = (uint64_t)n * 0x9e3779b97f4a7c15ULL | 1;
	for (i = 0; i < OPS; i++)
		one_op();
}

static void make_file(void)
{
	char buf[PAGE];
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), i;

	for (i = 0; i < FILE_PAGES; i++) {
		memset(buf, i + 1, sizeof(buf));
		if (write(fd, buf, PAGE) != PAGE)
			die("write " FILE_PATH);
	}
	close(fd);
}

static void round_in(struct client *c, struct model *m)
{
	struct pages p;

	if (client_pages(c, "audit", &p))
		die("dump: %s", c->text);
	model_round(m, &p);
	pages_free(&p);
}

/* The child works while live rounds run; then it is stopped and everything compared. */
static void one_epoch(struct client *c, struct child *child, struct model *m, int n)
{
	uint8_t id[CKPT_ID_LEN] = { 6 };
	size_t checked, lost;
	struct pages p;
	struct round r;
	int back, i;

	if (write(child->to, &n, sizeof(n)) != sizeof(n) || client_begin(c, "audit", &r))
		die("begin: %s", c->text);
	for (i = 0; i < 3; i++) {
		round_in(c, m);
		/* Migration entries under the walk. */
		put("/proc/sys/vm/compact_memory", "1");
		if (client_next(c, "audit", 0, &r))
			die("next: %s", c->text);
	}
	round_in(c, m);
	/* Every third epoch is cut in the middle of the work. */
	if (n % 3 && read(child->from, &back, sizeof(back)) != sizeof(back))
		die("the child is gone");
	child_stop(child);
	if (client_next(c, "audit", CKPT_EPOCH_FINAL, &r) || client_pages(c, "audit", &p))
		die("final: %s", c->text);
	model_round(m, &p);
	lost = model_verify(m, &p, &checked);
	check(!lost, "epoch %d: %zu of %zu pages differ", n, lost, checked);
	pages_free(&p);
	/* An aborted epoch is told again by the next; the model may have both. */
	if (n % 5 == 4 ? client_abort(c, "audit", r.epoch) :
			 client_commit(c, "audit", r.epoch, id))
		die("end: %s", c->text);
	child_continue(child);
	if (!(n % 3) && read(child->from, &back, sizeof(back)) != sizeof(back))
		die("the child is gone");
}

int main(void)
{
	struct client c;
	struct child child;
	struct model m;
	int n, fd;

	make_file();
	cgroup_make("audit");
	if (client_open(&c) || client_group_new(&c, "audit", "/audit"))
		die("tag: %s", c.text);
	child_start(&child, "audit", step);
	child_step(&child, 0);
	fd = open(FILE_PATH, O_RDONLY | O_CLOEXEC);
	model_init(&m, child.pid, fd);
	for (n = 1; n <= EPOCHS; n++)
		one_epoch(&c, &child, &m, n);
	note("%lu pages read for %zu known", m.read_pages, m.nr);
	model_free(&m);
	child_end(&child);
	client_group_del(&c, "audit");
	client_close(&c);
	close(fd);
	unlink(FILE_PATH);
	cgroup_gone("audit");
	return finish();
}
