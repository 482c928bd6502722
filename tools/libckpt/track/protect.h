/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Write protection: a userfaultfd by which the kernel notes what is written (Linux 6.7)
 *
 * With UFFD_FEATURE_WP_ASYNC nobody is told of a fault and nobody waits: the first write to a
 * protected page takes the protection away and goes on.  A page that has none was written, or
 * came, since PAGEMAP_SCAN protected it.  No event is asked for, since one that nobody reads
 * makes the process wait: an area that is new, moved or mapped anew has no registration, and
 * that shows.
 */
#ifndef CKPT_TRACK_PROTECT_H
#define CKPT_TRACK_PROTECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Does it work here?  Tried with a page of our own, for kernels that have the names alone. */
bool ckpt_protect_works(void);

/*
 * Can areas with holes between them be registered and scanned by one call, and does mremap take
 * the protection off what it moves (Linux 6.13)?  Tried once, with pages of our own.
 */
bool ckpt_protect_spans(void);

/* Say what is wanted of a new userfaultfd. Return: 0, or -errno. */
int ckpt_protect_start(int uffd);

/* Does its address space live? An exec, and the end of the process, leave it behind. */
bool ckpt_protect_alive(int uffd);

/*
 * Have the writes to an area noted; nothing is protected yet.  Return: 0, also when it was
 * registered before; -EBUSY: another userfaultfd has it; another -errno: it cannot be.
 */
int ckpt_protect_register(int uffd, uint64_t start, uint64_t end);

/* The end of that, and of what is left of protection in it, whoever made it. */
int ckpt_protect_unregister(int uffd, uint64_t start, uint64_t end);

/* Are writes to the area at @addr noted? Return: 1, 0, or -errno. */
int ckpt_protect_noted(int pagemap, uint64_t addr);

#endif
