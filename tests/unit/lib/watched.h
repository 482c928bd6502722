/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watched: a process that does what it is told
 *
 * It is a fork of the test, so that functions and globals are at the same place in both.  Every
 * function fails the running test when something goes wrong.
 */
#ifndef CKPT_TESTS_WATCHED_H
#define CKPT_TESTS_WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Is this a kernel that can note what is written?  By its number, not by what the library finds. */
bool watched_notes_here(void);
/* The run of a test program where it cannot: one test, skipped. */
int watched_skip(void);

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
/* Both halves of that. */
void watched_begin(struct watched *w, uint64_t (*what)(uint64_t), uint64_t arg);
uint64_t watched_wait(struct watched *w);
void watched_end(struct watched *w);
/* A directory in which cgroup.procs names it alone, and the end of that. @path: PATH_MAX bytes */
void watched_group(const struct watched *w, char *path);
void watched_group_end(const char *path);

/* What it can be told: pages of small size, a byte of each written; their address. */
uint64_t watched_map(uint64_t pages);
uint64_t watched_write(uint64_t page);
uint64_t watched_read(uint64_t page);
/* @arg: the address of a page, and PROT_* */
uint64_t watched_protect(uint64_t arg);

/* A userfaultfd that it has made and closed again; ours. */
int watched_userfault(struct watched *w);
/* The same of @pid, which is told by nobody: it must have left @number in its memory. */
int watched_userfault_of(pid_t pid, int number);

/* How many descriptors a process has; how many areas whose writes are told. */
size_t watched_descriptors(pid_t pid);
size_t watched_registered(pid_t pid);

void watched_stop(pid_t pid);
void watched_go_on(pid_t pid);

#endif
