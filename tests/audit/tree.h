/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A full copy of what is below the root: everything of every inode
 */
#ifndef TESTS_AUDIT_TREE_H
#define TESTS_AUDIT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/client.h"

/**
 * struct node - one inode
 * @dev: major << 32 | minor
 * @ino: inode number
 * @generation: 0 where it cannot be asked for
 * @parent: inode number of a directory it was found in
 * @directory: it is one
 * @unsteady: it changed while it was read
 * @meta: of its mode, owner, attributes
 * @hash: of its time, link count, size
 * @data: of its content: bytes, entries or target
 * @path: a name of it
 */
struct node {
	uint64_t dev, ino, parent;
	uint32_t generation;
	bool directory, unsteady;
	uint64_t meta, hash, data;
	char path[80];
};

/* One inode of an inode-dump. */
struct inode {
	uint64_t dev, ino;
	uint32_t generation, mask;
};

struct inodes {
	struct inode *inode;
	size_t nr;
};

struct tree {
	struct node *node;
	size_t nr;
};

/* Dies on errors: nobody changes it meanwhile. */
void tree_read(struct tree *t, const char *root);
void tree_free(struct tree *t);

/* Append what the last round says.  Return: 0 or a negative errno. */
int inodes_add(struct inodes *all, struct client *c, const char *group);

/**
 * tree_compare - is every difference told?
 * @then: at the parent
 * @now: now
 * @told: what all rounds of the epoch told
 * @ret_changed: inodes that differ
 * @ret_false: inodes told, not only as suspect, that do not
 *
 * Return: inodes that differ and were not told; says which.
 */
size_t tree_compare(const struct tree *then, const struct tree *now, const struct inodes *told,
		    size_t *ret_changed, size_t *ret_false);

/**
 * tree_written_on - know that files change while they are read: they are not compared now
 * @now: the tree
 * @path: what their paths begin with, a number follows
 * @held: those with smaller numbers must be told: somebody has them open for writing
 * @told: what all rounds of the epoch told
 *
 * What is written from the last round on is told by the next epoch, so as a parent they do.
 *
 * Return: of those, how many were not told as suspect or written; says which.
 */
size_t tree_written_on(struct tree *now, const char *path, int held, const struct inodes *told);

#endif
