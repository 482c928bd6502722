/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata of a file system node: read, compare, encode, put back. */
#ifndef CKPT_FS_META_H
#define CKPT_FS_META_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/wire.h"

/* The content may change again without a trace in the times: compare it next time. */
#define CKPT_FS_RECHECK (1u << 0)

/*
 * A change closer than this to the moment of reading may hide behind an equal ctime: a tick
 * of the kernel, or a second and what that is cut from (ext2, ext4 with small inodes).
 */
#define CKPT_FS_RACY_NS 50000000ll
#define CKPT_FS_RACY_COARSE_NS 2000000000ll

/* Set on a root while its restore ends; never captured. */
#define CKPT_FS_XATTR_MTIME "trusted.ckpt.mtime"

/**
 * struct ckpt_fs_meta - what a listing says about one node
 * @mode: type and permissions, as st_mode
 * @nlink: as seen at capture
 * @size: bytes; for a regular file the length of its content
 * @atime_ns, @mtime_ns: since 1970, put back by restore
 * @ctime_ns, @btime_ns: identity only; btime 0 where the file system has none
 * @dev, @rdev: major << 32 | minor
 * @flags: CKPT_FS_RECHECK
 * @target: of a symbolic link, owned; else NULL
 * @xattrs: records of all extended attributes sorted by name, ACLs and
 *	capabilities among them
 * @blocks: allocated 512-byte units; not stored
 * @mnt: mount id; not stored
 * @mount_root: something is mounted here; not stored
 */
struct ckpt_fs_meta {
	uint32_t mode, uid, gid, nlink;
	uint64_t size;
	int64_t atime_ns, mtime_ns, ctime_ns, btime_ns;
	uint64_t dev, ino, rdev;
	uint32_t flags;
	char *target;
	struct ckpt_buf xattrs;
	uint64_t blocks;
	uint64_t mnt;
	bool mount_root;
};

void ckpt_fs_meta_done(struct ckpt_fs_meta *m);
#define cleanup_meta __attribute__((cleanup(ckpt_fs_meta_done)))

/**
 * ckpt_fs_meta_stat - the fixed part of a node's metadata
 * @dirfd: directory, or the node itself when @name is ""
 * @name: entry, never followed
 * @ret: filled without target and xattrs
 *
 * Return: 0 or -errno.
 */
int ckpt_fs_meta_stat(int dirfd, const char *name, struct ckpt_fs_meta *ret);

/**
 * ckpt_fs_meta_rest - add target and extended attributes
 * @fd: the node, O_PATH suffices
 * @m: from ckpt_fs_meta_stat
 *
 * Return: 0 or -errno.
 */
int ckpt_fs_meta_rest(int fd, struct ckpt_fs_meta *m);

/* Is it the same inode (not only the same number)? */
bool ckpt_fs_meta_same_inode(const struct ckpt_fs_meta *a, const struct ckpt_fs_meta *b);
/* Do size and times say that nothing happened in between? */
bool ckpt_fs_meta_same_times(const struct ckpt_fs_meta *a, const struct ckpt_fs_meta *b);
/* Seen at @now_ns: may it change once more without another ctime? */
bool ckpt_fs_meta_young(const struct ckpt_fs_meta *m, int64_t now_ns);
/* Would a listing show the same? The access time alone makes no difference. */
bool ckpt_fs_meta_same_entry(const struct ckpt_fs_meta *a, const struct ckpt_fs_meta *b);

/**
 * ckpt_fs_meta_diff - compare what restore can put back
 *
 * Type, mode, owner, modification time, device, target, extended attributes and
 * the size of a regular file.
 *
 * @ret_replace: set when no change of metadata can make them equal
 *
 * Return: the name of the first difference, NULL when there is none.
 */
const char *ckpt_fs_meta_diff(const struct ckpt_fs_meta *a, const struct ckpt_fs_meta *b,
			      bool *ret_replace);

/**
 * ckpt_fs_meta_apply - owner, mode, extended attributes and times as in @m
 * @fd: the node, O_PATH suffices
 * @m: wanted
 * @what: path for the error sentence
 */
int ckpt_fs_meta_apply(int fd, const struct ckpt_fs_meta *m, const char *what,
		       struct ckpt_err *err);

/* Append an entry record. @space: content or listing, 0 none. */
void ckpt_fs_meta_encode(struct ckpt_buf *b, const char *name, const struct ckpt_fs_meta *m,
			 uint32_t space);
/**
 * ckpt_fs_meta_decode - read an entry record
 * @r: record of tag CKPT_FS_TAG_ENTRY
 * @ret_name: allocated
 * @ret: metadata
 * @ret_space: content or listing
 */
int ckpt_fs_meta_decode(const struct ckpt_record *r, char **ret_name, struct ckpt_fs_meta *ret,
			uint32_t *ret_space, struct ckpt_err *err);

#define CKPT_FS_TAG_ENTRY 1

/* The time that file time stamps are taken from. */
int64_t ckpt_fs_now_ns(void);

#endif
