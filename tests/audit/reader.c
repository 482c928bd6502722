// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking epochs of the group while it works
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reader.h"

#define DRAIN_TRIES 200
#define ASK_AGAIN 3

/* What is rare must be seen at all. */
static void count_kinds(struct reader *r, const struct pages *p)
{
	const struct area *a;
	const struct ckpt_run *run;
	char text[32];
	size_t i, j;

	for (i = 0; i < p->nr_areas; i++) {
		a = &p->area[i];
		for (j = 0; j < a->nr_runs; j++) {
			run = &p->run[a->run + j];
			if (run->state == CKPT_PAGE_MIGRATION)
				r->migration_pages += run->pages;
			if (run->flags & CKPT_RUN_KSM)
				r->ksm_pages += run->pages;
			if ((run->flags & CKPT_RUN_DMA) && kind_of(a->start) == KIND_DIRECT)
				r->direct_pages += run->pages;
		}
	}
	if (get("/sys/kernel/mm/ksm/pages_sharing", text, sizeof(text)) > 0 &&
	    strtoull(text, NULL, 10) > r->ksm_most)
		r->ksm_most = strtoull(text, NULL, 10);
}

/* The rounds are all taken in; what they told of files is kept. */
static void take_in(struct reader *r, struct pages *p)
{
	if (client_pages(&r->client, GROUP, p))
		die("page-dump: %s", r->client.text);
	if (inodes_add(&r->told, &r->client, GROUP))
		die("inode-dump: %s", r->client.text);
	image_round(&r->image, p);
	count_kinds(r, p);
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
	if (!(rnd(&r->seed) % 16) || r->epochs == SURE_UNHEARD) {
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

static bool any_busy(const struct pages *p)
{
	size_t i;

	for (i = 0; i < p->nr_areas; i++)
		if (p->area[i].mm_flags & CKPT_MM_BUSY)
			return true;
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
 * flight, which freezing does not stop, and the lock of each address space was had, which
 * the kernel's own threads take as well.
 */
static void final_rounds(struct reader *r, struct pages *p)
{
	bool reads;
	int tries;

	empty_batches();
	next(r, CKPT_EPOCH_FINAL);
	take_in(r, p);
	for (tries = 0; (reads = in_flight(p)) || any_busy(p); tries++) {
		if (tries == DRAIN_TRIES)
			die("direct I/O does not come to its end, or a lock is not to be had");
		r->drains += reads;
		reads_a_second(READS);
		usleep(20000);
		empty_batches();
		pages_free(p);
		next(r, CKPT_EPOCH_FINAL);
		take_in(r, p);
	}
}

/* By the pid of its process an address space may be told, or by that of another in it. */
static void know_actors(struct reader *r, const struct pages *p)
{
	size_t i;
	int j;

	for (j = 0; j < ACTORS; j++)
		for (i = 0; !r->actor[j] && i < p->nr_areas; i++)
			if (p->area[i].pid == audit->actor[j])
				r->actor[j] = p->area[i].cookie;
}

bool reader_actors(struct reader *r)
{
	const struct image_mm *mm;
	bool good = true;
	int i;

	for (i = 0; i < ACTORS; i++) {
		mm = image_mm(&r->image, r->actor[i]);
		note("process %d: compared %lu times of %lu, %" PRIu64 " pages", i,
		     mm ? mm->looks : 0, r->looks, mm ? mm->compared : 0);
		good &= mm && mm->looks == r->looks && mm->compared >= PAGES_A_LOOK * r->looks;
	}
	return good && r->looks;
}

/*
 * The kernel may drop pages of frozen processes (MADV_FREE), between the round and the
 * comparison: such a page is asked for again, all others must be right.
 */
static size_t compare_memory(struct reader *r, struct pages *p)
{
	size_t checked, gone, lost;
	int tries;

	know_actors(r, p);
	for (tries = 0;; tries++) {
		r->looks++;
		lost = truth_memory(&r->image, p, !(r->epochs % 8), &checked,
				    &gone);
		r->pages += checked;
		if (!gone || gone < lost || tries == ASK_AGAIN)
			break;
		note("epoch %lu: %zu pages vanished since the round, asked again", r->epochs, gone);
		r->vanished += gone;
		pages_free(p);
		next(r, CKPT_EPOCH_FINAL);
		take_in(r, p);
	}
	return lost;
}

static size_t compare_files(struct reader *r, struct tree *now)
{
	size_t changed, false_ones, lost = 0;

	tree_read(now, ROOT);
	if (r->runs_on)
		lost = tree_written_on(now, RUN_ON_FILES, RUN_ON_HELD, &r->told);
	/* The first checkpoint is a full one: there is nothing to compare with. */
	if (!r->commits)
		return lost;
	/* Changes that were not recorded make it a full one, too. */
	if (r->full) {
		r->fulls++;
		return 0;
	}
	lost += tree_compare(&r->files, now, &r->told, &changed, &false_ones);
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
	image_unseen(&r->shared);
	image_commit(&r->shared);
	tally_commit(&r->tally, r->commits && !r->full);
	tree_free(&r->files);
	r->files = *now;
	memset(now, 0, sizeof(*now));
	r->commits++;
}

/* Commit, mostly; or abort, by a call or by closing the socket. */
static void end(struct reader *r, uint64_t epoch, struct tree *now)
{
	uint64_t how = r->epochs == SURE_CLOSE ? 2 : rnd(&r->seed) % 10;

	if (how > 2 || !r->commits) {
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
	image_abort(&r->shared);
	tree_free(now);
}

/* Some epochs end before they are compared: nobody is frozen then. */
static bool given_up(struct reader *r, uint64_t epoch)
{
	if (!r->commits || (r->epochs != SURE_ABORT && rnd(&r->seed) % 8) ||
	    r->epochs == SURE_CLOSE)
		return false;
	if (client_abort(&r->client, GROUP, epoch))
		die("abort: %s", r->client.text);
	image_abort(&r->image);
	squeeze(r, false);
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

/* The live rounds of an epoch. */
static void live_rounds(struct reader *r)
{
	size_t rounds = r->epochs == SURE_SQUEEZE ? 1 : rnd(&r->seed) % 4;

	live_round(r);
	phase_ends(&r->phases, PHASE_ROUND);
	/* Rarely: of who is told whole nothing can be lost. */
	if (r->epochs % 16 == SURE_CLEAR)
		clear_bits(r);
	for (; rounds; rounds--) {
		stir(r);
		phase_ends(&r->phases, PHASE_STIR);
		if (!(rnd(&r->seed) % 24)) {
			if (client_unheard(&r->client, CKPT_CMD_EPOCH_NEXT, GROUP))
				die("a reply with no room came");
			r->unheard++;
			continue;
		}
		next(r, 0);
		live_round(r);
		phase_ends(&r->phases, PHASE_ROUND);
	}
}

bool reader_epoch(struct reader *r)
{
	size_t lost_pages, lost_inodes;
	struct tree now;
	struct pages p;
	uint64_t epoch;

	phase_ends(&r->phases, PHASE_END);
	r->epochs++;
	/* What is not open yet is not written on. */
	r->runs_on = r->epochs % 3 == 1 &&
		     __atomic_load_n(&audit->on_open, __ATOMIC_ACQUIRE) == (1U << RUN_ON_HELD) - 1;
	reads_a_second(r->epochs % 3 ? READS : READS_HELD);
	usleep((useconds_t)(rnd(&r->seed) % 100000 * audit->pace));
	phase_ends(&r->phases, PHASE_WORK);
	begin(r);
	epoch = epoch_number();
	live_rounds(r);
	if (given_up(r, epoch))
		return true;
	close_group(true);
	freeze_all(true, !r->runs_on);
	squeeze(r, false);
	phase_ends(&r->phases, PHASE_FREEZE);
	final_rounds(r, &p);
	phase_ends(&r->phases, PHASE_LAST);
	lost_pages = compare_memory(r, &p);
	phase_ends(&r->phases, PHASE_MEMORY);
	shared_told(&r->shared, &p, &r->twice);
	lost_pages += truth_entries(&r->shared, &p);
	shared_copy(&r->shared, &p, &r->told);
	lost_pages += truth_shared(&r->shared, &p, &r->shared_tally);
	phase_ends(&r->phases, PHASE_SHARED);
	lost_inodes = compare_files(r, &now);
	phase_ends(&r->phases, PHASE_FILES);
	pages_free(&p);
	end(r, epoch, &now);
	r->lost_pages += lost_pages;
	r->lost_inodes += lost_inodes;
	freeze_all(false, !r->runs_on);
	close_group(false);
	r->run_ons += r->runs_on;
	phase_ends(&r->phases, PHASE_END);
	return !lost_pages && !lost_inodes;
}
