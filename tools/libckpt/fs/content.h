/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Content of a regular file as a space of pages, holes kept. */
#ifndef CKPT_FS_CONTENT_H
#define CKPT_FS_CONTENT_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/ckpt.h>

#include "base/pages.h"

#define CKPT_FS_CHUNK (1u << 20)

/**
 * struct ckpt_fs_stats - what a call did; added up, never reset by the library
 * @files: regular files whose content was read or written
 * @nodes: entries whose metadata was read again or put back
 * @dirs: directories opened for reading
 * @removed: entries that are gone
 * @bytes_read, @bytes_written: file content
 */
struct ckpt_fs_stats {
	uint64_t files, nodes, dirs, removed;
	uint64_t bytes_read, bytes_written;
};

enum ckpt_fs_way {
	CKPT_FS_WAY_SEEK,	/* ask for them where that is less work than to read */
	CKPT_FS_WAY_DENSE,	/* there are none worth asking for */
	CKPT_FS_WAY_SHARED,	/* pages of zeros are: the position is not ours to change */
};

/**
 * ckpt_fs_content_read - copy a file into a space
 * @fd: open for reading
 * @size: its length; bytes beyond it are not looked at, missing ones are holes
 * @way: how its holes are found
 * @buf: CKPT_FS_CHUNK bytes of scratch memory
 * @path: for the error sentence
 *
 * Every page of the space is put or dropped.
 */
int ckpt_fs_content_read(int fd, uint64_t size, enum ckpt_fs_way way, const struct ckpt_sink *sink,
			 uint32_t space, void *buf, const char *path,
			 struct ckpt_fs_stats *stats, struct ckpt_err *err);

/**
 * ckpt_fs_content_read_ranges - copy some pages of a file into a space that holds it
 * @old_size: its length when it was copied last
 * @size: its length now, not less
 * @ranges: the pages that may have changed, sorted and disjoint
 *
 * What came behind @old_size is copied as well.  All other pages are kept.
 */
int ckpt_fs_content_read_ranges(int fd, uint64_t old_size, uint64_t size, enum ckpt_fs_way way,
				const struct ckpt_extent *ranges, size_t n_ranges,
				const struct ckpt_sink *sink, uint32_t space, void *buf,
				const char *path, struct ckpt_fs_stats *stats,
				struct ckpt_err *err);

/* Write a space into @fd, an empty file open for writing; absent pages stay holes. */
int ckpt_fs_content_write(int fd, uint64_t size, const struct ckpt_source *source,
			  uint32_t space, void *buf, const char *path,
			  struct ckpt_fs_stats *stats, struct ckpt_err *err);

/**
 * ckpt_fs_content_same - compare a file of @size bytes with a space, byte by byte
 *
 * Return: 1 equal, 0 different, -1 error.
 */
int ckpt_fs_content_same(int fd, uint64_t size, const struct ckpt_source *source,
			 uint32_t space, void *buf, const char *path,
			 struct ckpt_fs_stats *stats, struct ckpt_err *err);

#endif
