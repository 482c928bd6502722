/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work on files: tar, git and a compiler, over a copy of this tree's sources
 */
#ifndef BENCH_WORKS_H
#define BENCH_WORKS_H

/**
 * struct work - a command that writes files
 * @name: of it
 * @prepare: shell command, run before and not measured, in a folder that is empty at first
 * @run: the one that is measured, in the same folder; every file below out/ is its doing
 * @repeats: how often it runs in some seconds of the machine
 */
struct work {
	const char *name;
	const char *prepare;
	const char *run;
	unsigned int repeats;
};

#define WORKS 3
extern const struct work works[WORKS];

/* Make the folder @dir and what the works need in it; works_gone removes it. */
void works_make(const char *dir);
void works_gone(const char *dir);
void work_prepare(const struct work *work, const char *dir);
/* The command to run @times times, in a buffer used again by the next call. */
const char *work_command(const struct work *work, const char *dir, unsigned int times);

#endif
