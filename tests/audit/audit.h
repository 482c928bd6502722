/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit: what its processes share
 *
 * Actors (processes of several threads, in the tagged cgroup) and one outsider do seeded
 * random operations, freely; the reader takes epochs meanwhile and keeps an image of
 * everything from what it is told.  At the end of an epoch all of them are frozen and the
 * image is compared with the truth.
 */
#ifndef TESTS_AUDIT_H
#define TESTS_AUDIT_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/world.h"

#include "tally.h"
#include "ring.h"

#define ACTORS 4
#define ACTOR_MERGED 0		/* this one asks for KSM */
#define ACTOR_FAULTS 1		/* this one serves its own page faults */
#define ACTOR_SPARSE 2		/* its children have all of its page tables */
#define OUTSIDER ACTORS		/* not in the group */
#define DIRECT_WRITER (ACTORS + 1)	/* nor this one: direct writes, slowed down */
#define RUNNER (ACTORS + 2)		/* nor this one, which is not frozen in some epochs */
#define PROCESSES (ACTORS + 3)
#define THREADS 2
#define LOG 128
#define MAX_OPS 128

#define GROUP "audit"
#define BELOW GROUP "/below"	/* of the group, too */
#define AWAY "audit-away"
#define SLOW "audit-slow"
#define RUN_ON "audit-run-on"
#define CGROUPS "/sys/fs/cgroup/"
#define ROOT "/scratch/audit.root"
/* Files of the one that runs on: those that it has open all the time, and one that it has not. */
#define RUN_ON_FILES ROOT "/on"
#define RUN_ON_HELD 3
#define BESIDE "/scratch/audit.beside"
/* A disk for direct reads alone, so that it can be slow and nothing else is. */
#define DISK "/dev/loop6"
#define FILE_DIRS 6		/* d0 and so on, below ROOT */
#define NAMES 14		/* of files in each of them, and beside */
#define FILE_SIZE (40 * 1024)

/*
 * Kinds of areas.  Each kind has a gigabyte of addresses of its own, the same in every
 * actor, where nothing else is ever mapped: an address tells its kind.
 */
enum kind {
	KIND_IMAGE,	/* the program, its libraries, heap and stacks: anywhere */
	KIND_ANON,	/* SLOTS times 2 MiB for every operation on private memory */
	KIND_CALM,	/* private, never unmapped or protected: written from everywhere */
	KIND_COW,	/* private map of a file */
	KIND_READONLY,	/* private, written by force only */
	KIND_GROWS,	/* MAP_GROWSDOWN */
	KIND_MERGED,	/* MADV_MERGEABLE, one actor */
	KIND_FAULTS,	/* userfaultfd, one actor */
	KIND_DIRECT,	/* direct and asynchronous reads go here */
	KIND_PINNED,	/* registered buffers of io_uring */
	KIND_STEPS,	/* protected, written, merged and forked in any order */
	KIND_SPARSE,	/* a page in each page table, more tables than one hold of the lock */
	KIND_ZERO,	/* shared anonymous */
	KIND_MEMFD,	/* shared, written with write(2) as well */
	KIND_TMPFS,	/* shared file map */
	KIND_SYSV,	/* System V shared memory */
	KIND_EXT4,	/* shared map of a file below the root */
	KIND_HUGETLB,	/* private and shared */
	KIND_SHARED_HUGE, /* shared anonymous, of huge pages */
	KIND_WINDOW,	/* parts of shared files, one for each thread, here and there */
	NR_KINDS
};

/* Not in every header. */
#define MADV_COLLAPSE_ 25

#define BASE 0x200000000000ULL
#define REGION(kind) ((char *)(BASE + ((uint64_t)(kind) << 30)))
#define SLOTS 6
#define SLOT_PAGES (HUGE / PAGE)
#define ANON_PAGES (SLOTS * SLOT_PAGES)
#define SOME_PAGES 64		/* of every other kind */
#define SPARSE_TABLES 160
#define SHARED_HUGE_PAGES (2 * SLOT_PAGES)
#define WINDOW_PAGES 16

static inline enum kind kind_of(uint64_t addr)
{
	uint64_t kind = (addr - BASE) >> 30;

	return addr >= BASE && kind < NR_KINDS ? (enum kind)kind : KIND_IMAGE;
}

const char *kind_name(enum kind kind);

/* One operation, for the log. */
struct entry {
	const char *name;
	uint64_t a, b;
	uint64_t number;
};

/**
 * struct audit - memory shared by all
 * @ops: operations done by all
 * @pace: how many times longer epochs are than usually
 * @stop: end
 * @children: forked ones alive, about
 * @closed: nobody may come into the group or move in it, where all are frozen
 * @coming: how many do just now
 * @actor: pids
 * @log: the last operations of every thread
 * @done: operations of every thread
 * @tried, @ran: how often each was tried, and did what it is for
 * @did: changes of files that every process made
 */
struct audit {
	uint64_t ops;
	uint32_t pace;
	uint32_t stop;
	int32_t children;
	uint32_t closed, coming;
	uint32_t on_open;	/* a bit for each file that is held open and written on */
	pid_t actor[PROCESSES];
	struct entry log[PROCESSES][THREADS][LOG];
	uint64_t done[PROCESSES][THREADS];
	uint64_t tried[MAX_OPS], ran[MAX_OPS];
	uint64_t did[PROCESSES][NR_CHANGES];
};

extern struct audit *audit;

/* Descriptors that every process inherits. */
struct files {
	int memfd, tmpfs, ext4, cow, direct, root, shm;
	int lone;	/* a memfd that is seen through windows alone */
};

extern struct files files;

/**
 * struct hand - a thread that does operations
 * @seed: of its next choice
 * @actor: index of its process
 * @thread: its own
 * @entry: where the operation is logged
 * @env: where a fault goes while @armed
 * @missed: the operation did not do what it is for
 * @map: mapping to take away when an operation faults
 * @aio: its context, and whether a read is in flight
 * @file_aio: the same, for writes to files
 * @read_ring, @file_ring: the same, of io_uring
 */
struct hand {
	uint64_t seed;
	int actor;
	int thread;
	struct entry *entry;
	sigjmp_buf env;
	volatile bool armed;
	volatile bool missed;
	void *volatile map;
	unsigned long aio, file_aio;
	bool aio_busy, file_aio_busy;
	struct ring read_ring, file_ring;
};

struct op {
	const char *name;
	void (*run)(struct hand *h);
	unsigned int weight;
	int actor;	/* only this one, or -1 */
};

/* Each ends with an op without a name. */
extern const struct op memory_ops[], step_ops[], shared_ops[], read_ops[], task_ops[],
	file_ops[], name_ops[], away_ops[], direct_ops[], run_on_ops[];

static inline uint64_t pick(struct hand *h, uint64_t n)
{
	return rnd(&h->seed) % n;
}

/* Of an operation that was refused, or found nothing to do. */
static inline void missed(struct hand *h)
{
	h->missed = true;
}

static inline void say(struct hand *h, const void *a, uint64_t b)
{
	h->entry->a = (uintptr_t)a;
	h->entry->b = b;
}

/* tally.c */
void did(struct hand *h, enum change change);

/* fileops.c: a path below the root, in a buffer of 64 bytes */
const char *name(struct hand *h, char *buf);

/* actor.c */
void scribble(struct hand *h, char *p, size_t len);
/* Run an operation; false if it ended in a fault. */
bool guarded(struct hand *h, void (*run)(struct hand *h));
pid_t actor_start(int index, uint64_t seed, const char *cgroup);
/* Print how often each operation was tried and worked; return how many never did. */
unsigned int ops_show(void);
void setup_shared(void);
void setup_actor(int index);

/* task.c */
int exec_child(void);

#endif
