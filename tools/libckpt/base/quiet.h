/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quiet: files that are read so that who watches them is told nothing, and leases are not broken
 *
 * Opening, reading and closing a file makes events for those who watch it or its directory.  Of a
 * file that the kernel gives out with a question of fanotify it makes none: so this file is marked
 * for the question whether it may be opened, we try to open it, another thread of ours denies that,
 * which makes no event either, and what came with the question is kept.  Somebody else who opens
 * the very file in that moment waits until he is answered, for some microseconds; or for as long as
 * we are stopped by a signal, but not when we have been killed.
 *
 * A lease for writing (F_SETLEASE) is broken by whoever opens the file, so that is read by the
 * descriptor of who has it.
 */
#ifndef CKPT_BASE_QUIET_H
#define CKPT_BASE_QUIET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

/**
 * struct ckpt_quiet_lease - a file that must not be opened
 * @dev, @ino: as stat has them
 * @pid, @fd: a descriptor of it
 */
struct ckpt_quiet_lease {
	uint64_t dev, ino;
	int32_t pid, fd;
};

/**
 * struct ckpt_quiet - what must not be opened as it is; none: all zero
 * @watched: inode numbers, sorted, of files and directories whose readers are told of, or whose
 *	entries' are
 * @all: everything may be
 * @asker: what opens quietly; NULL: not made yet
 * @loud: this kernel has none for us, and events are made
 */
struct ckpt_quiet {
	uint64_t *watched;
	size_t n_watched;
	bool all;
	struct ckpt_quiet_lease *leases;
	size_t n_leases;
	struct ckpt_quiet_asker *asker;
	bool loud;
};

void ckpt_quiet_done(struct ckpt_quiet *q);

int ckpt_quiet_add_watched(struct ckpt_quiet *q, uint64_t ino, struct ckpt_err *err);
int ckpt_quiet_add_lease(struct ckpt_quiet *q, const struct ckpt_quiet_lease *lease,
			 struct ckpt_err *err);
/* When all that is watched was added. */
void ckpt_quiet_sort(struct ckpt_quiet *q);

/* Is somebody told of reads of this inode, or of those in this directory? @q: NULL: nobody is. */
bool ckpt_quiet_heard(const struct ckpt_quiet *q, uint64_t ino);

/**
 * ckpt_quiet_open - what an O_PATH descriptor leads to, for reading
 * @flags: as for open(2) where it cannot be had quietly; else O_NOATIME and O_NONBLOCK are set
 *
 * Return: descriptor, or -errno.
 */
int ckpt_quiet_open(struct ckpt_quiet *q, int path, int flags);

/* The same of a path where anybody watches anything: who watches its directory is not known. */
int ckpt_quiet_open_at(struct ckpt_quiet *q, const char *path, int flags);

/* The lease on a file that any open breaks, or NULL. */
const struct ckpt_quiet_lease *ckpt_quiet_leased(const struct ckpt_quiet *q, uint64_t dev,
						 uint64_t ino);

/**
 * ckpt_quiet_borrow - read a leased file
 * @st: of it
 *
 * The descriptor has its position in common with that of who has the lease: it must not be
 * changed, nor looked for by lseek().
 *
 * Return: descriptor; -1 (CKPT_REFUSED: it cannot be read).
 */
int ckpt_quiet_borrow(const struct ckpt_quiet *q, const struct ckpt_quiet_lease *lease,
		      const char *path, struct ckpt_err *err);

#endif
