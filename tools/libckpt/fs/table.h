/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Table of the roots: every node of the captured trees, in memory
 *
 * A checkpoint holds each directory's listing as a space; the table is all
 * listings loaded, with an index by name and one by inode.  Capture brings it
 * up to date and writes the listings that changed; restore compares the live
 * tree with it.  After a capture that failed the table is of no use any more:
 * free it and load it again.
 *
 * LIFETIME: nodes and inodes belong to the table.  An inode that lost its last
 * name stays until ckpt_fs_table_store, for it may turn up elsewhere.
 */
#ifndef CKPT_FS_TABLE_H
#define CKPT_FS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pages.h"
#include "base/quiet.h"
#include "fs/content.h"
#include "fs/meta.h"

/**
 * struct ckpt_fs_node - a name in a directory
 * @dir: directory it is in
 * @inode: what it names
 * @prev, @next: order in the listing
 * @other: next name of the same inode
 * @chain: index by name
 * @seen: last pass that found it
 */
struct ckpt_fs_node {
	struct ckpt_fs_inode *dir, *inode;
	struct ckpt_fs_node *prev, *next, *other, *chain;
	uint64_t seen;
	char name[];
};

/**
 * struct ckpt_fs_inode - a file, directory, link or special node
 * @meta: as seen last
 * @space: its content or listing; 0: none
 * @names: every name in the roots
 * @first, @last: entries of a directory, in listing order
 * @root: set for the directory at the top of a root
 * @dirty: its listing must be written
 * @fresh: found, but not read yet
 * @queued, @stale, @pending, @listed, @visited, @doubted: capture's own: on the list
 *	of work; its names are in doubt; CKPT_INODE_* still to be looked at; passes
 *	that listed the directory, looked at the node, did not find it in its place
 * @chain, @all_prev, @all_next: index by inode number; list of all
 * @work: links the work list of the pass under way
 * @keeper, @keeper_ino, @staged, @touched: restore's own: a name under which the
 *	right content is on the disk, and the inode there; number of the staged copy
 *	plus one; entries of the directory are put or taken away
 */
struct ckpt_fs_inode {
	struct ckpt_fs_meta meta;
	uint32_t space;
	struct ckpt_fs_node *names, *first, *last;
	struct ckpt_fs_root *root;
	bool dirty, fresh, queued, stale;
	uint32_t pending;
	uint64_t listed, visited, doubted;
	struct ckpt_fs_inode *chain, *all_prev, *all_next, *work;
	struct ckpt_fs_node *keeper;
	uint64_t keeper_ino;
	size_t staged;
	bool touched;
};

/**
 * struct ckpt_fs_root - one captured tree
 * @path: absolute, canonical
 * @top: its directory; NULL until captured
 * @fd: open while a call works on it, else -1
 * @dev: device of its super block as the kernel reports changes
 * @mnt: mount id
 * @times_tell: ckpt_fs_times_tell()
 */
struct ckpt_fs_root {
	char *path;
	struct ckpt_fs_inode *top;
	int fd;
	uint64_t dev, mnt;
	bool times_tell;
};

/**
 * struct ckpt_fs_table - all roots of a group
 * @roots: in the order in which they were added
 * @names, @inodes: hash tables
 * @all: every inode
 * @work: inodes with something pending
 * @pass: number of the capture round under way
 * @buf: CKPT_FS_CHUNK bytes for file content
 * @quiet: what must not be opened as it is, for capture; NULL: nothing
 */
struct ckpt_fs_table {
	struct ckpt_fs_root *roots;
	size_t n_roots;
	struct ckpt_fs_node **names;
	struct ckpt_fs_inode **inodes;
	size_t n_names, n_inodes, cap_names, cap_inodes;
	struct ckpt_fs_inode *all;
	struct ckpt_fs_inode **work;
	size_t n_work, cap_work;
	uint64_t pass;
	uint8_t *buf;
	struct ckpt_quiet *quiet;
};

int ckpt_fs_table_new(struct ckpt_fs_table **ret, struct ckpt_err *err);
void ckpt_fs_table_free(struct ckpt_fs_table *t);

static inline void ckpt_fs_table_freep(struct ckpt_fs_table **t)
{
	ckpt_fs_table_free(*t);
}
#define cleanup_fs_table __attribute__((cleanup(ckpt_fs_table_freep)))

/**
 * ckpt_fs_table_add_root - one more tree to capture
 * @path: absolute, without "." "..", doubled or trailing slashes; neither "/"
 *	nor inside another root or around it
 */
int ckpt_fs_table_add_root(struct ckpt_fs_table *t, const char *path, struct ckpt_err *err);

/* Forget a root; its spaces are dropped by the next ckpt_fs_table_store. */
int ckpt_fs_table_del_root(struct ckpt_fs_table *t, const char *path, struct ckpt_err *err);

/**
 * ckpt_fs_table_load - the table of a checkpoint
 * @roots: the blob that ckpt_fs_table_store left
 */
int ckpt_fs_table_load(const struct ckpt_source *source, const void *roots, size_t len,
		       struct ckpt_fs_table **ret, struct ckpt_err *err);

/**
 * ckpt_fs_table_store - write what changed since load
 * @ret_roots: the blob to keep with the checkpoint
 *
 * Listings of changed directories are put, spaces of vanished nodes dropped.
 * Works on memory alone: call it after the release of the tree.
 */
int ckpt_fs_table_store(struct ckpt_fs_table *t, const struct ckpt_sink *sink,
			struct ckpt_buf *ret_roots, struct ckpt_fs_stats *stats,
			struct ckpt_err *err);

/* The root that an absolute path lies in, or NULL. */
struct ckpt_fs_root *ckpt_fs_table_root_of(const struct ckpt_fs_table *t, const char *path);
/* The node at an absolute path, or NULL. */
const struct ckpt_fs_inode *ckpt_fs_table_find(const struct ckpt_fs_table *t, const char *path);
/* Number of entries, tops included. */
size_t ckpt_fs_table_count(const struct ckpt_fs_table *t);

/* For capture and restore. */
struct ckpt_fs_node *ckpt_fs_lookup(const struct ckpt_fs_table *t,
				    const struct ckpt_fs_inode *dir, const char *name);
struct ckpt_fs_inode *ckpt_fs_by_ino(const struct ckpt_fs_table *t, uint64_t ino,
				     const struct ckpt_fs_inode *after);
/* Takes over @m. Return: NULL without memory. */
struct ckpt_fs_inode *ckpt_fs_inode_new(struct ckpt_fs_table *t, struct ckpt_fs_meta *m,
					uint32_t space);
/* Forget an inode that has neither names nor entries. */
void ckpt_fs_inode_drop(struct ckpt_fs_table *t, struct ckpt_fs_inode *i);
/* Takes over @m; keeps the index right. */
void ckpt_fs_inode_set(struct ckpt_fs_table *t, struct ckpt_fs_inode *i, struct ckpt_fs_meta *m);
struct ckpt_fs_node *ckpt_fs_link(struct ckpt_fs_table *t, struct ckpt_fs_inode *dir,
				  const char *name, struct ckpt_fs_inode *inode);
void ckpt_fs_unlink(struct ckpt_fs_table *t, struct ckpt_fs_node *node);
/**
 * ckpt_fs_path - path of a directory, or of an entry in it, relative to its root
 * @name: entry, or NULL for @dir itself
 * @ret_root: the root
 *
 * Return: allocated; NULL when it is connected to no root (or without memory).
 */
char *ckpt_fs_path(const struct ckpt_fs_inode *dir, const char *name,
		   struct ckpt_fs_root **ret_root);

static inline bool ckpt_fs_is_dir(const struct ckpt_fs_inode *i)
{
	return S_ISDIR(i->meta.mode);
}

#endif
