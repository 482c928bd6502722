/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every bound of the module
 */
#ifndef _CKPT_LIMITS_H
#define _CKPT_LIMITS_H

/* Groups in one module load. */
#define CKPT_GROUPS_MAX		1024

/* Address spaces of one group; more is refused at epoch-begin. */
#define CKPT_MMS_MAX		65536

/* Areas of one address space (the kernel's own default is 65530). */
#define CKPT_AREAS_MAX		(1024U * 1024U)

/*
 * Runs of one address space in one round unless the parameter runs_max says less, 16 bytes
 * each; over it the mm is MM_OVERFLOW.
 */
#define CKPT_RUNS_MAX		(4U << 20)

/* Page tables remembered per address space: 16 bytes for each 2 MiB in use. */
#define CKPT_TABLES_MAX		(4U << 20)

/* Ranges kept to hand back after an abort, 16 bytes each; over it the mm is wholly dirty. */
#define CKPT_RANGES_MAX		(256U << 10)

/*
 * Ranges of one shared inode that a round remembers to have told: an area looks through all of
 * them.  Over it they are forgotten, and pages told twice.
 */
#define CKPT_TOLD_MAX		1024

/* Page tables (2 MiB each) walked in one hold of the mmap lock; the parameter tables_max. */
#define CKPT_WALK_CHUNK		128

/* What a page table costs next to an area without any, or to an empty entry above the tables. */
#define CKPT_TABLE_WORK		64

/* A live round tries this often for the mmap lock, this long apart, then reports MM_BUSY. */
#define CKPT_LOCK_TRIES		50
#define CKPT_LOCK_WAIT_US	400

/*
 * So does the final one, which everybody waits for: at first every now and then, so long at last,
 * for a second at least.
 */
#define CKPT_LOCK_TRIES_FINAL	1100
#define CKPT_LOCK_WAIT_FINAL_US	1000

/*
 * Levels of directories above a name that are followed, under a lock; what is deeper may be in
 * any root.
 */
#define CKPT_DEPTH_MAX		1024

/* Descriptors of a process looked at in one hold of its locks. */
#define CKPT_FDS_CHUNK		64

/*
 * Places in one address space, of moves and forced writes between two takes; what is between two of
 * them is dirty, too, where there are more.
 */
#define CKPT_PLACES_MAX		32

/* Calls of one probed function at a time whose end is heard of; over it all memory is dirty. */
#define CKPT_PROBES_ACTIVE	256

/* Roots of one group. */
#define CKPT_ROOTS_MAX		64

/* Looks for overlays that were mounted, between two takes; then the next take looks. */
#define CKPT_LOOKS_MAX		16

/*
 * Inodes in the change sets of one group unless the parameter inodes_max says otherwise,
 * some 110 bytes each; over it changes count as lost.
 */
#define CKPT_INODES_MAX		(256U << 10)

/* File logs of one group, 6 KiB each; of files without one no ranges are told. */
#define CKPT_FILELOGS_MAX	512

/* Bytes of a file from which on a log is worth it. */
#define CKPT_FILELOG_SIZE_MIN	(64 << 10)

/* Dirty folios of a file that a take looks at; over it the file is whole the next time. */
#define CKPT_FILELOG_DIRTY_MAX	(256U << 10)

#endif
