/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watched: a process that does what it is told, and a copy of its memory made from takes
 *
 * The process is a fork of the test, so that functions and globals are at the same place in
 * both.  The copy follows the rule of flow/memory.h; it is compared with the process page by
 * page.  Every function fails the running test when something goes wrong.
 */
#ifndef CKPT_TESTS_WATCHED_H
#define CKPT_TESTS_WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "track/take.h"
#include "track/notes.h"

/**
 * struct watched - a process
 * @orders, @done: pipes
 */
struct watched {
	pid_t pid;
	int orders, done;
};

/* @cgroup: where it goes first, or NULL. */
void watched_start(struct watched *w, const char *cgroup);
/* Let it do @what, and wait until it has. Return: what that returned. */
uint64_t watched_do(struct watched *w, uint64_t (*what)(uint64_t), uint64_t arg);
void watched_end(struct watched *w);
/* A userfaultfd that it has made and closed again; ours. */
int watched_userfault(struct watched *w);
/* The same of @pid, which is told by nobody: it must have left @number in its memory. */
int watched_userfault_of(pid_t pid, int number);

/* How many descriptors a process has; how many areas whose writes are told. */
size_t watched_descriptors(pid_t pid);
size_t watched_registered(pid_t pid);

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
/* The same with a take that was had before; the process stands. */
void copy_take(struct copy *copy, const struct ckpt_take_mm *take, pid_t pid);
void copy_compare(const struct copy *copy, pid_t pid);
/* What a checkpoint that failed leaves: @to becomes @from. */
void copy_assign(struct copy *to, const struct copy *from);
void copy_done(struct copy *copy);

void watched_stop(pid_t pid);
void watched_go_on(pid_t pid);

/* Of the last copy_round: was this page told as dirty? State of it. */
bool copy_told_dirty(const void *page);
uint16_t copy_told_state(const void *page);
uint32_t copy_told_flags(const void *page);

#endif
