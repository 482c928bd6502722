// SPDX-License-Identifier: GPL-2.0
/*
 * Roots of a group: directory trees and the super blocks they are on
 */
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/namei.h>
#include <linux/netlink.h>
#include <linux/path.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "files.h"
#include "fswatch.h"
#include "group.h"
#include "limits.h"

/* Magic numbers that have no common header. */
#define MAGIC_BEEGFS	0x19830326
#define MAGIC_CIFS	0xff534d42
#define MAGIC_GFS2	0x01161970
#define MAGIC_GPFS	0x47504653
#define MAGIC_LUSTRE	0x0bd00bd0
#define MAGIC_ORANGEFS	0x20030528
#define MAGIC_PRLFS	0x7c7c6673
#define MAGIC_SMB2	0xfe534d42
#define MAGIC_VBOXSF	0x786f4256
#define MAGIC_VMHGFS	0xbacbacbc

static bool sub_alive(const struct ckpt_sub *sub)
{
	return !READ_ONCE(sub->watch->dead);
}

static struct ckpt_sub *sub_of(struct ckpt_files *files, const struct super_block *sb)
{
	struct ckpt_sub *sub;

	list_for_each_entry(sub, &files->subs, in_files)
		if (sub->watch->sb == sb && sub_alive(sub))
			return sub;
	return NULL;
}

static struct ckpt_sub *sub_new(struct ckpt_files *files, struct super_block *sb)
{
	struct ckpt_sub *sub = kzalloc(sizeof(*sub), GFP_KERNEL);
	struct ckpt_watch *watch;

	if (!sub)
		return ERR_PTR(-ENOMEM);
	watch = ckpt_fswatch_get(sb);
	if (IS_ERR(watch)) {
		kfree(sub);
		return ERR_CAST(watch);
	}
	INIT_LIST_HEAD(&sub->roots);
	sub->watch = watch;
	sub->files = files;
	list_add_tail(&sub->in_files, &files->subs);
	return sub;
}

/* Tie a root to the directory at @path, and learn who may write there already. */
static int attach(struct ckpt_files *files, struct ckpt_root *root, const struct path *path)
{
	struct super_block *sb = path->dentry->d_sb;
	struct ckpt_sub *sub = sub_of(files, sb);
	bool fresh = !sub;

	if (fresh)
		sub = sub_new(files, sb);
	if (IS_ERR(sub))
		return PTR_ERR(sub);
	root->sub = sub;
	root->ino = d_inode(path->dentry)->i_ino;
	root->generation = d_inode(path->dentry)->i_generation;
	/* First: who finds no root near does not look for one. */
	ckpt_fswatch_near(sub->watch, root->ino, true);
	list_add_tail_rcu(&root->in_sub, &sub->roots);
	if (fresh)
		ckpt_fswatch_subscribe(sub);
	ckpt_suspect_root(sub);
	return 0;
}

static void detach(struct ckpt_root *root)
{
	struct ckpt_sub *sub = root->sub;

	if (!sub)
		return;
	root->sub = NULL;
	list_del_rcu(&root->in_sub);
	ckpt_fswatch_near(sub->watch, root->ino, false);
	if (!list_empty(&sub->roots)) {
		synchronize_srcu(&ckpt_events_srcu);
		return;
	}
	ckpt_fswatch_unsubscribe(sub);
	ckpt_fswatch_put(sub->watch);
	list_del(&sub->in_files);
	kfree(sub);
}

static void drop(struct ckpt_files *files, struct ckpt_root *root)
{
	detach(root);
	list_del(&root->in_files);
	files->nr_roots--;
	kfree(root);
}

/* File systems that others change where no event tells it here, or that hold no files. */
static const char *untrackable(const struct super_block *sb)
{
	switch (sb->s_magic) {
	case NFS_SUPER_MAGIC:
	case FUSE_SUPER_MAGIC:
	case V9FS_MAGIC:
	case CEPH_SUPER_MAGIC:
	case AFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case MAGIC_CIFS:
	case MAGIC_SMB2:
		return "root-add: changes are not all seen on a network or FUSE file system";
	case CODA_SUPER_MAGIC:
	case HOSTFS_SUPER_MAGIC:
	case OCFS2_SUPER_MAGIC:
	case MAGIC_BEEGFS:
	case MAGIC_GFS2:
	case MAGIC_GPFS:
	case MAGIC_LUSTRE:
	case MAGIC_ORANGEFS:
	case MAGIC_PRLFS:
	case MAGIC_VBOXSF:
	case MAGIC_VMHGFS:
		return "root-add: changes are not all seen on what other machines write, too";
	case MSDOS_SUPER_MAGIC:
	case EXFAT_SUPER_MAGIC:
		return "root-add: files of this file system have no numbers that stay";
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case CGROUP2_SUPER_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
		return "root-add: the root is on a file system of the kernel's own";
	default:
		return NULL;
	}
}

static struct ckpt_root *find(struct ckpt_files *files, const char *path)
{
	struct ckpt_root *root;

	list_for_each_entry(root, &files->roots, in_files)
		if (!strcmp(root->path, path))
			return root;
	return NULL;
}

static int add_at(struct ckpt_files *files, const char *name, const struct path *path,
		  struct netlink_ext_ack *extack)
{
	const char *why = untrackable(path->dentry->d_sb);
	size_t len = strlen(name) + 1;
	struct ckpt_root *root;
	int err;

	if (why) {
		if (extack)
			extack->_msg = why;
		return -EOPNOTSUPP;
	}
	root = kzalloc(struct_size(root, path, len), GFP_KERNEL);
	if (!root)
		return -ENOMEM;
	memcpy(root->path, name, len);
	err = attach(files, root, path);
	if (err) {
		NL_SET_ERR_MSG(extack, "root-add: its file system could not be watched");
		kfree(root);
		return err;
	}
	list_add_tail(&root->in_files, &files->roots);
	files->nr_roots++;
	return 0;
}

/**
 * ckpt_files_root_add - follow the changes below a directory
 * @files: the file side; its group's lock is held
 * @path: absolute, in the caller's mount namespace
 * @extack: where the sentence of a refusal goes, may be NULL
 *
 * Context: sleeps.
 * Return: 0 or a negative errno.
 */
int ckpt_files_root_add(struct ckpt_files *files, const char *path, struct netlink_ext_ack *extack)
{
	struct path where;
	int err;

	lockdep_assert_held(&files->group->lock);
	if (path[0] != '/') {
		NL_SET_ERR_MSG(extack, "root-add: the path of a root begins with /");
		return -EINVAL;
	}
	if (find(files, path)) {
		NL_SET_ERR_MSG(extack, "root-add: the group has this root already");
		return -EEXIST;
	}
	if (files->nr_roots >= CKPT_ROOTS_MAX) {
		NL_SET_ERR_MSG(extack, "root-add: the group has too many roots");
		return -ENOSPC;
	}
	err = kern_path(path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &where);
	if (err) {
		NL_SET_ERR_MSG(extack, "root-add: the path leads to no directory");
		return err;
	}
	err = add_at(files, path, &where, extack);
	path_put(&where);
	return err;
}

/**
 * ckpt_files_root_del - stop following a root
 * @files: the file side; its group's lock is held
 * @path: as it was given to ckpt_files_root_add
 * @extack: where the sentence of a refusal goes, may be NULL
 *
 * Changes already recorded stay; the next checkpoint is full.
 *
 * Return: 0, or -ENOENT.
 */
int ckpt_files_root_del(struct ckpt_files *files, const char *path, struct netlink_ext_ack *extack)
{
	struct ckpt_root *root = find(files, path);

	lockdep_assert_held(&files->group->lock);
	if (!root) {
		NL_SET_ERR_MSG(extack, "root-del: the group has no such root");
		return -ENOENT;
	}
	drop(files, root);
	/* Should it be added again, what happened meanwhile is in no set. */
	ckpt_files_lose(files);
	return 0;
}

/**
 * ckpt_files_root - list the roots
 * @files: the file side; its group's lock is held
 * @index: from 0, in the order they were added
 *
 * Return: the path as it was given, or NULL past the end.
 */
const char *ckpt_files_root(struct ckpt_files *files, unsigned int index)
{
	struct ckpt_root *root;

	lockdep_assert_held(&files->group->lock);
	list_for_each_entry(root, &files->roots, in_files)
		if (!index--)
			return root->path;
	return NULL;
}

/*
 * Does the root's path still lead to the directory whose events we follow?
 * After an unmount, a mount on top or rm and mkdir it does not: follow what is
 * there now and count a loss, for what happened in between is not known.
 */
static void check(struct ckpt_files *files, struct ckpt_root *root)
{
	const struct inode *inode;
	struct path where;

	if (kern_path(root->path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &where)) {
		detach(root);
		return;
	}
	inode = d_inode(where.dentry);
	if (root->sub && sub_alive(root->sub) && root->sub->watch->sb == inode->i_sb &&
	    root->ino == inode->i_ino && root->generation == inode->i_generation) {
		if (ckpt_layers_above(where.dentry))
			WRITE_ONCE(root->sub->layered, true);
		goto put;
	}
	detach(root);
	ckpt_files_lose(files);
	if (!untrackable(inode->i_sb))
		attach(files, root, &where);
put:
	path_put(&where);
}

/**
 * ckpt_roots_check - find out which roots are still where they were
 * @files: the file side; its group's lock is held
 *
 * Context: sleeps; in the mount namespace that the roots' paths are of.
 */
void ckpt_roots_check(struct ckpt_files *files)
{
	struct ckpt_root *root;

	lockdep_assert_held(&files->group->lock);
	list_for_each_entry(root, &files->roots, in_files)
		check(files, root);
}

/**
 * ckpt_roots_gone - count the roots that cannot be followed
 * @files: the file side; its group's lock is held
 *
 * Return: roots whose path led nowhere at the last take, or whose file system
 * was shut down.
 */
unsigned int ckpt_roots_gone(const struct ckpt_files *files)
{
	const struct ckpt_root *root;
	unsigned int gone = 0;

	lockdep_assert_held(&files->group->lock);
	list_for_each_entry(root, &files->roots, in_files)
		if (!root->sub || !sub_alive(root->sub))
			gone++;
	return gone;
}

/**
 * ckpt_roots_free - drop every root
 * @files: the file side, nobody else uses it
 */
void ckpt_roots_free(struct ckpt_files *files)
{
	struct ckpt_root *root, *next;

	list_for_each_entry_safe(root, next, &files->roots, in_files)
		drop(files, root);
}
