// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking epochs of the group while it works
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "reader.h"

#define FREEZE_TRIES 20000
#define DRAIN_TRIES 200
#define ASK_AGAIN 3

static void wait_frozen(const char *cgroup, bool frozen)
{
	const char *want = frozen ? "frozen 1" : "frozen 0";
	char path[128], text[256];
	int tries;

	snprintf(path, sizeof(path), CGROUPS "%s/cgroup.events", cgroup);
	for (tries = 0; get(path, text, sizeof(text)) < 0 || !strstr(text, want); tries++) {
		if (tries == FREEZE_TRIES)
			die("%s does not freeze", cgroup);
		usleep(500);
	}
}

void freeze_all(bool frozen)
{
	static const char *const cgroup[] = { GROUP, AWAY, SLOW };
	char path[64];
	size_t i;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), CGROUPS "%s/cgroup.freeze", cgroup[i]);
		if (put(path, frozen ? "1" : "0"))
			die("%s", path);
	}
	for (i = 0; i < 3; i++)
		wait_frozen(cgroup[i], frozen);
}

/* What makes pages vanish and come back while rounds are taken. */
static void stir(struct reader *r)
{
	switch (rnd(&r->seed) % 6) {
	case 0:
		put(CGROUPS GROUP "/memory.reclaim", "6M");
		break;
	case 1:
		put("/proc/sys/vm/drop_caches", "1");
		break;
	default:
		usleep((useconds_t)(rnd(&r->seed) % 60000 * audit->pace));
	}
}

/* The rounds are all taken in; what they told of files is kept. */
static void take_in(struct reader *r, struct pages *p)
{
	if (client_pages(&r->client, GROUP, p))
		die("page-dump: %s", r->client.text);
	if (inodes_add(&r->told, &r->client, GROUP))
		die("inode-dump: %s", r->client.text);
	image_round(&r->image, p);
}

static void live_round(struct reader *r)
{
	struct pages p;

	take_in(r, &p);
	pages_free(&p);
}

static void begin(struct reader *r)
{
	struct round round;
	int err, tries;

	r->told.nr = 0;
	r->full = false;
	if (!(rnd(&r->seed) % 16)) {
		if (client_unheard(&r->client, CKPT_CMD_EPOCH_BEGIN, GROUP))
			die("a reply with no room came");
		r->unheard++;
	}
	for (tries = 0; (err = client_begin(&r->client, GROUP, &round)) == -EBUSY; tries++)
		if (tries == 100 || usleep(10000))
			break;
	if (err)
		die("begin: %s (%d)", r->client.text, err);
	r->full = round.lost;
}

static void next(struct reader *r, uint32_t flags)
{
	struct round round;

	if (client_next(&r->client, GROUP, flags, &round))
		die("next: %s", r->client.text);
	r->full |= round.lost;
}

static bool in_flight(const struct pages *p)
{
	const struct area *a;
	size_t i, j;

	for (i = 0; i < p->nr_areas; i++) {
		a = &p->area[i];
		for (j = 0; kind_of(a->start) == KIND_DIRECT && j < a->nr_runs; j++)
			if (p->run[a->run + j].flags & CKPT_RUN_DMA)
				return true;
	}
	return false;
}

/*
 * A page that waits in a processor's batch for its list has a reference that looks like
 * direct I/O, and nobody empties it while all stand still.  This moves no page.
 */
static void empty_batches(void)
{
	unsigned long node = 1;

	syscall(SYS_migrate_pages, getpid(), 2, &node, &node);
}

/*
 * The last rounds, everybody frozen: one after the other until no direct read is in
 * flight, which freezing does not stop.
 */
static void final_rounds(struct reader *r, struct pages *p)
{
	int tries;

	empty_batches();
	next(r, CKPT_EPOCH_FINAL);
	take_in(r, p);
	for (tries = 0; in_flight(p); tries++) {
		if (tries == DRAIN_TRIES)
			die("direct I/O does not come to its end");
		r->drains++;
		usleep(20000);
		empty_batches();
		pages_free(p);
		next(r, CKPT_EPOCH_FINAL);
		take_in(r, p);
	}
}

/*
 * The kernel may drop pages of frozen processes (MADV_FREE), between the round and the
 * comparison: such a page is asked for again, all others must be right.
 */
static size_t compare_memory(struct reader *r, struct pages *p)
{
	unsigned int turn = r->epochs % 8 ? (unsigned int)(r->epochs % TURNS) : TURN_ALL;
	size_t checked, gone, lost, twice;
	int tries;

	for (tries = 0;; tries++) {
		lost = truth_memory(&r->image, p, turn, &checked, &gone);
		r->pages += checked;
		if (!gone || gone < lost || tries == ASK_AGAIN)
			break;
		note("epoch %lu: %zu pages vanished since the round, asked again", r->epochs, gone);
		r->vanished += gone;
		pages_free(p);
		next(r, CKPT_EPOCH_FINAL);
		take_in(r, p);
	}
	lost += truth_shared(p, &checked, &twice);
	r->shared += checked;
	r->twice += twice;
	return lost;
}

static size_t compare_files(struct reader *r, struct tree *now)
{
	size_t changed, false_ones, lost;

	tree_read(now, ROOT);
	/* The first checkpoint is a full one: there is nothing to compare with. */
	if (!r->commits)
		return 0;
	/* Changes that were not recorded make it a full one, too. */
	if (r->full) {
		r->fulls++;
		return 0;
	}
	lost = tree_compare(&r->files, now, &r->told, &changed, &false_ones);
	r->inodes += now->nr;
	r->changed_inodes += changed;
	r->false_inodes += false_ones;
	return lost;
}

static void commit(struct reader *r, uint64_t epoch, struct tree *now)
{
	uint8_t id[CKPT_ID_LEN] = { 6 };

	if (client_commit(&r->client, GROUP, epoch, id))
		die("commit: %s", r->client.text);
	image_commit(&r->image);
	tally_commit(&r->tally, r->commits && !r->full);
	tree_free(&r->files);
	r->files = *now;
	memset(now, 0, sizeof(*now));
	r->commits++;
}

/* Commit, mostly; or abort, by a call or by closing the socket. */
static void end(struct reader *r, uint64_t epoch, struct tree *now)
{
	uint64_t how = rnd(&r->seed) % 10;

	if (how > 2 || !r->commits || (audit->files_only && how)) {
		commit(r, epoch, now);
		return;
	}
	if (how == 2) {
		client_close(&r->client);
		if (client_open(&r->client))
			die("open: %s", r->client.text);
		r->closes++;
	} else {
		if (client_abort(&r->client, GROUP, epoch))
			die("abort: %s", r->client.text);
		r->aborts++;
	}
	image_abort(&r->image);
	tree_free(now);
}

/* Some epochs end before they are compared: nobody is frozen then. */
static bool given_up(struct reader *r, uint64_t epoch)
{
	if (!r->commits || rnd(&r->seed) % 8)
		return false;
	if (client_abort(&r->client, GROUP, epoch))
		die("abort: %s", r->client.text);
	image_abort(&r->image);
	r->aborts++;
	return true;
}

static uint64_t epoch_number(void)
{
	char text[32];

	if (get("/sys/kernel/ckpt/groups/" GROUP "/epoch", text, sizeof(text)) < 0)
		die("the epoch's number");
	return strtoull(text, NULL, 10);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Where an address space is too busy to look at its maps, the change set is lost: so in
 * every second epoch everybody works on files alone.
 */
static void files_only(bool on)
{
	int tries, i;

	__atomic_store_n(&audit->files_only, on, __ATOMIC_SEQ_CST);
	for (i = 0; on && i < ACTORS * THREADS; i++)
		for (tries = 0; tries < 1000 && audit->in_memory[i / THREADS][i % THREADS]; tries++)
			usleep(10000);
}

bool reader_epoch(struct reader *r)
{
	size_t rounds = rnd(&r->seed) % 4, lost_pages, lost_inodes;
	struct tree now;
	struct pages p;
	double start = now_s(), stopping, stopped;
	uint64_t epoch;

	files_only(!(r->epochs++ % 2));
	usleep((useconds_t)(rnd(&r->seed) % 100000 * audit->pace));
	begin(r);
	epoch = epoch_number();
	live_round(r);
	for (; rounds; rounds--) {
		stir(r);
		if (!(rnd(&r->seed) % 24)) {
			if (client_unheard(&r->client, CKPT_CMD_EPOCH_NEXT, GROUP))
				die("a reply with no room came");
			r->unheard++;
			continue;
		}
		next(r, 0);
		live_round(r);
	}
	stopping = now_s();
	r->running += stopping - start;
	if (given_up(r, epoch))
		return true;
	freeze_all(true);
	stopped = now_s();
	r->freezing += stopped - stopping;
	final_rounds(r, &p);
	lost_pages = audit->files_only ? 0 : compare_memory(r, &p);
	lost_inodes = compare_files(r, &now);
	pages_free(&p);
	end(r, epoch, &now);
	r->lost_pages += lost_pages;
	r->lost_inodes += lost_inodes;
	r->frozen += now_s() - stopped;
	freeze_all(false);
	return !lost_pages && !lost_inodes;
}
