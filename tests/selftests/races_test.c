// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * races_test.c: threads write without a pause during live rounds, and no write is lost
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/model.h"
#include "lib/world.h"

#define PAGES 2048
#define THREADS 3
#define EPOCHS 5
#define ROUNDS 10

static char *mem;
/* Epochs of which the last round had not the lock, which khugepaged may have for a while. */
static int busy;

static void *writer(void *arg)
{
	uint64_t seed = 1000 + (uintptr_t)arg, n = 0;

	for (;;) {
		uint64_t r = rnd(&seed);

		*(uint64_t *)(mem + r % PAGES * PAGE + (r >> 20) % 511 * 8) = ++n;
		/* Two CPUs under emulation: leave some for the walk. */
		if (n % 64 == 0)
			usleep(200);
	}
	return NULL;
}

static void step(int n, uint64_t *shared)
{
	pthread_t thread;
	uintptr_t i;

	(void)n;
	mem = map_anon(PAGES * PAGE, 0);
	madvise(mem, PAGES * PAGE / 2, MADV_NOHUGEPAGE);
	shared[0] = (uint64_t)(uintptr_t)mem;
	for (i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, writer, (void *)i);
}

static void one_epoch(struct client *c, struct child *child, struct model *m, int epoch)
{
	uint8_t id[CKPT_ID_LEN] = { 5 };
	size_t checked, lost;
	struct pages p;
	struct round r;
	uint32_t flags;
	int i;

	if (client_begin(c, "races", &r))
		die("begin: %s", c->text);
	for (i = 0; i < ROUNDS; i++) {
		client_pages(c, "races", &p);
		model_round(m, &p);
		pages_free(&p);
		if (client_next(c, "races", 0, &r))
			die("next: %s", c->text);
	}
	client_pages(c, "races", &p);
	model_round(m, &p);
	pages_free(&p);
	child_stop(child);
	if (client_next(c, "races", CKPT_EPOCH_FINAL, &r) || client_pages(c, "races", &p))
		die("final: %s", c->text);
	model_round(m, &p);
	lost = model_verify(m, &p, &checked);
	flags = pages_mm_flags(&p, child->pid);
	if (flags == CKPT_MM_BUSY)
		busy++;
	else
		/* of a dump without the areas nothing would differ */
		check(!flags && !lost && checked >= PAGES,
		      "epoch %d: of %zu pages compared after %d live rounds %zu differ (%#x)",
		      epoch, checked, ROUNDS, lost, flags);
	pages_free(&p);
	check(!client_commit(c, "races", r.epoch, id), "commit");
	child_continue(child);
}

/*
 * Which of its two ways to flush has the module here?  The emulated processor has no INVPCID, so
 * what is proven below is proven of the other one.
 */
static void which_flush(void)
{
	char line[4096];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, " invpcid");
	if (!f)
		die("/proc/cpuinfo");
	fclose(f);
	note("flushed by %s", found ? "INVPCID" : "two writes of CR4.PGE");
}

int main(void)
{
	struct client c;
	struct child child;
	struct model m;
	int i;

	which_flush();
	cgroup_make("races");
	if (client_open(&c) || client_group_new(&c, "races", "/races"))
		die("tag: %s", c.text);
	child_start(&child, "races", step);
	child_step(&child, 0);
	model_init(&m, child.pid, -1);
	for (i = 0; i < EPOCHS; i++)
		one_epoch(&c, &child, &m, i);
	check(busy <= 1, "in %d of %d epochs nothing was told in the last round", busy, EPOCHS);
	note("%lu pages read", m.read_pages);
	model_free(&m);
	child_end(&child);
	client_group_del(&c, "races");
	client_close(&c);
	cgroup_gone("races");
	return finish();
}
