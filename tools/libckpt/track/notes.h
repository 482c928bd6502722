/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notes: what a group wrote since its last checkpoint, by write protection
 *
 * One userfaultfd per address space.  A round is walked while every task of the group is
 * stopped: it tells what every page is, protects what it tells as written, and keeps that in
 * mind until the checkpoint is durable.  What it cannot know to be unchanged it tells as dirty.
 * Before it, while the group runs, pages may be told ahead.
 * The rules and their reasons are in docs/tracking.md.
 *
 * LOCKING: none, one thread.
 * LIFETIME: init; adopt, rounds, commit or abort, any number of times; done, after which the
 * kernel has forgotten everything.
 */
#ifndef CKPT_TRACK_NOTES_H
#define CKPT_TRACK_NOTES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ranges.h"
#include "track/take.h"

/**
 * struct ckpt_notes_mm - an address space
 * @cookie: its identity in takes
 * @pid, @start_time: the process that made the userfaultfd
 * @uffd: that
 * @taken: pages told as dirty since the last commit
 * @ahead: told ahead of the round since then, so that it need not tell them
 * @told: by the round walked last, and not committed since
 * @doubt: what was protected in it is not known: all of it is dirty in the next round
 */
struct ckpt_notes_mm {
	uint64_t cookie;
	int32_t pid;
	uint64_t start_time;
	int uffd;
	struct ckpt_ranges taken, ahead;
	bool told, doubt;
};

/**
 * struct ckpt_notes - a group
 * @last_cookie: given last
 * @behind: pages may have been written behind our back, by direct I/O under way, since the last
 *	commit: all of them are dirty until a round after it
 * @behind_now: the same of the instant of the round walked last
 * @rings, @rings_now: inodes of io_urings that were at rest then; one that goes may have left
 *	something under way
 * @apart: each area is registered and scanned by itself, as older kernels need it in any case
 */
struct ckpt_notes {
	struct ckpt_notes_mm *mms;
	size_t n_mms;
	uint64_t last_cookie;
	bool behind, behind_now;
	struct ckpt_buf rings, rings_now;
	bool apart;
};

#define CKPT_NOTES_INIT { 0 }

void ckpt_notes_done(struct ckpt_notes *notes);

/* Which of @pids are not watched yet, or not any more; what has ended is forgotten. */
int ckpt_notes_missing(struct ckpt_notes *notes, const int32_t *pids, size_t n,
		       int32_t **ret_pids, size_t *ret_n, struct ckpt_err *err);

/* Watch the address space of @pid by @uffd, which it has made and which is ours now. */
int ckpt_notes_adopt(struct ckpt_notes *notes, int32_t pid, int uffd, struct ckpt_err *err);

/**
 * ckpt_notes_round - walk the processes
 * @pids: the group, stopped; who is not watched is not told
 * @ret: the take
 *
 * After a failure nobody knows what was protected: the notes are of no use any more.
 */
int ckpt_notes_round(struct ckpt_notes *notes, const int32_t *pids, size_t n,
		     struct ckpt_take *ret, struct ckpt_err *err);

/*
 * The same before a round, of the group while it stands once more: what is told here the round need
 * not tell, unless there was I/O under way.
 */
int ckpt_notes_watch(struct ckpt_notes *notes, const int32_t *pids, size_t n,
		     struct ckpt_take *ret, struct ckpt_err *err);

/**
 * ckpt_notes_ahead - before a round: pages that it need not tell unless they are written again
 * @dir: directory of the group's cgroup
 *
 * The group runs.  Written pages are protected and told as dirty only where it is known that
 * nobody is about to write to them without a fault (track/quiet.h); else the round tells them.
 * Areas and page states are those of a moment in between.  What fails tells less.
 */
int ckpt_notes_ahead(struct ckpt_notes *notes, const char *dir, struct ckpt_take *ret,
		     struct ckpt_err *err);

/* With a round, after it: those of the group that are watched only since then. */
int ckpt_notes_more(struct ckpt_notes *notes, const int32_t *pids, size_t n,
		    struct ckpt_take *ret, struct ckpt_err *err);

/* What the last round told is durable.  Else the next one tells it again. */
void ckpt_notes_commit(struct ckpt_notes *notes);
void ckpt_notes_abort(struct ckpt_notes *notes);

/* About how many pages a round would tell as dirty, of processes that run and are watched. */
uint64_t ckpt_notes_estimate(const struct ckpt_notes *notes);

/* Are the process of @mm and the address space that it was watched in still there? */
bool ckpt_notes_alive(const struct ckpt_notes_mm *mm);
/* The text of /proc/PID/maps, allocated; NULL when there is none. */
char *ckpt_notes_maps(int32_t pid);

/*
 * notes-mm.c, notes-scan.c: address space @mm of @notes; @maps: used up; @whole: all of its pages
 * are dirty.
 */
int ckpt_notes_walk(const struct ckpt_notes *notes, struct ckpt_notes_mm *mm, char *maps,
		    bool whole, struct ckpt_take_mm *take, struct ckpt_err *err);
/*
 * notes-behind.c: may there be I/O under way that writes to memory without a fault?  As far as
 * the descriptors of @pid and its areas tell; in doubt there may.  @rings: io_urings at rest are
 * added.
 */
bool ckpt_notes_behind(int32_t pid, const char *maps, struct ckpt_buf *rings);
/* Does a device of that number reach into nobody's memory? */
bool ckpt_notes_plain_device(dev_t dev);
/* Is one of those that were there before not there any more? */
bool ckpt_notes_ring_gone(const struct ckpt_buf *before, const struct ckpt_buf *now);

#endif
