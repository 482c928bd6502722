/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loose files: regular files that are not reached through a root
 *
 * Deleted files that somebody holds open, and files outside the roots that are
 * open for writing, are captured with their content one by one.  Their
 * metadata is kept as an entry record (ckpt_fs_meta_encode, ckpt_fs_meta_decode).
 */
#ifndef CKPT_FS_LOOSE_H
#define CKPT_FS_LOOSE_H

#include "fs/content.h"
#include "fs/journal.h"
#include "fs/stage.h"

/**
 * struct ckpt_fs_loose - a file outside the roots, captured with its content
 * @path: where it goes back to, owned
 * @meta: owner, mode, times, attributes
 * @space: its content
 */
struct ckpt_fs_loose {
	char *path;
	struct ckpt_fs_meta meta;
	uint32_t space;
};

/**
 * ckpt_fs_loose_capture - copy one file into a space
 * @at: any path that opens it: its own, /proc/PID/fd/N or /proc/PID/map_files/...
 * @still: nobody may be writing it; if somebody does, that is an error
 * @space: where to; 0: a new space is taken and returned here
 * @ret: metadata, to be given to ckpt_fs_meta_done
 */
int ckpt_fs_loose_capture(const char *at, bool still, const struct ckpt_sink *sink,
			  uint32_t *space, struct ckpt_fs_meta *ret,
			  struct ckpt_fs_stats *stats, struct ckpt_err *err);

/*
 * The same with a descriptor of it, for reading; @shared: its position is somebody else's as well,
 * and must not be changed.
 */
int ckpt_fs_loose_read(int fd, bool shared, const char *at, bool still,
		       const struct ckpt_sink *sink, uint32_t *space, struct ckpt_fs_meta *ret,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err);

/**
 * ckpt_fs_loose_fill - make an open file equal to the captured one
 * @fd: open for writing; what it held is replaced
 * @what: name for the error sentence
 */
int ckpt_fs_loose_fill(int fd, const struct ckpt_fs_meta *m, const struct ckpt_source *source,
		       uint32_t space, const char *what, struct ckpt_fs_stats *stats,
		       struct ckpt_err *err);

/* Open the directory of a file outside the roots; no link is followed. Return: or -errno. */
int ckpt_fs_loose_open_dir(const char *path, const char **ret_name);
/* The sentence for an error of that. */
int ckpt_fs_loose_fail_dir(const char *path, int error, struct ckpt_err *err);

/**
 * ckpt_fs_loose_dir - the directory of a file outside the roots
 * @path: as the kernel told it at the capture: no link is on the way
 * @ret_name: the last component, in @path
 *
 * A link that is on the way now was put there since, and leads elsewhere.
 *
 * Return: O_PATH descriptor, or -1 (CKPT_REFUSED: there is none).
 */
int ckpt_fs_loose_dir(const char *path, const char **ret_name, struct ckpt_err *err);

/* Locate such a file; a directory that is not there is refused. */
int ckpt_fs_loose_locate(const struct ckpt_fs_loose *f, struct ckpt_fs_stage *s,
			 struct ckpt_err *err);

/**
 * ckpt_fs_loose_differs - must a file outside the roots be put back at its path?
 * @s: located; it has no stage yet
 * @ret_was: what is at the path now
 *
 * Refused is what no rename could replace: after the decision it is too late for that.
 *
 * Return: 1 yes, 0 no, -1 error.
 */
int ckpt_fs_loose_differs(const struct ckpt_fs_loose *f, const struct ckpt_source *source,
			  struct ckpt_fs_stage *s, struct ckpt_fs_was *ret_was,
			  struct ckpt_fs_stats *stats, struct ckpt_err *err);

/* Is it at its path as it was captured? Return: 1 yes, 0 no, -1 error. */
int ckpt_fs_loose_is_back(const struct ckpt_fs_loose *f, const struct ckpt_source *source,
			  struct ckpt_fs_stats *stats, struct ckpt_err *err);

/* Make its stage, with the file as it shall be in new/0. */
int ckpt_fs_loose_stage(const struct ckpt_fs_loose *f, const struct ckpt_source *source,
			struct ckpt_fs_stage *s, struct ckpt_fs_stats *stats,
			struct ckpt_err *err);

#endif
