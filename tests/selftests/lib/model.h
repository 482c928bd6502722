/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A copy of a process's private memory, kept by takes alone
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include "lib/client.h"

/**
 * struct model - what a checkpoint tool would have stored of one mm
 * @pid: the process
 * @file: descriptor of the one file whose private maps are checked too, or -1
 * @ino: its inode number
 * @slot: pages by address, open hash
 * @cap: its size, a power of two
 * @nr: pages in it
 * @stamp: of the round being taken in
 * @read_pages: copied so far
 */
struct model {
	pid_t pid;
	int file;
	uint64_t ino;
	struct model_page **slot;
	size_t cap;
	size_t nr;
	uint32_t stamp;
	uint64_t read_pages;
};

void model_init(struct model *m, pid_t pid, int file);
/* Take one round in: drop what is gone, copy what is dirty. */
void model_round(struct model *m, const struct pages *p);
/*
 * Compare with the process, stopped since before the last round.  Return: pages
 * that differ; says which.  *ret_checked: pages compared.
 */
size_t model_verify(struct model *m, const struct pages *p, size_t *ret_checked);
void model_free(struct model *m);

#endif
