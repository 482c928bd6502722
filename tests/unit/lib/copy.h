/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copy: the memory of a process as a store would have it, made from takes
 *
 * It follows the rule of flow/memory.h, and is compared with the process page by page: what there
 * is to be compared the kernel is asked, not the library.  Every function fails the running test
 * when something goes wrong.
 */
#ifndef CKPT_TESTS_COPY_H
#define CKPT_TESTS_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "track/notes.h"
#include "track/take.h"

/**
 * struct copy - memory of one process, as a store would have it
 * @copied: pages that were read for it, by the last round
 */
struct copy {
	struct copied_page *pages;
	size_t n, cap;
	size_t copied;
};

/* One round of @watch over @pid, which stands meanwhile, into the copy; then compare them. */
void copy_round(struct copy *copy, struct ckpt_notes *notes, pid_t pid);
/*
 * What is told ahead of a round is copied while the process runs. @dir: of a cgroup, or what looks
 * like it. Return: how many pages were told as dirty.
 */
size_t copy_ahead(struct copy *copy, struct ckpt_notes *notes, const char *dir, pid_t pid);
/* The same while it stands. */
size_t copy_watch(struct copy *copy, struct ckpt_notes *notes, pid_t pid);
/* A round with a take that was had before; the process stands. */
void copy_take(struct copy *copy, const struct ckpt_take_mm *take, pid_t pid);
void copy_compare(const struct copy *copy, pid_t pid);
/* What a checkpoint that failed leaves: @to becomes @from. */
void copy_assign(struct copy *to, const struct copy *from);
void copy_done(struct copy *copy);

/* Of the last copy_round: was this page told as dirty? State of it. */
bool copy_told_dirty(const void *page);
uint16_t copy_told_state(const void *page);
uint32_t copy_told_flags(const void *page);

#endif
