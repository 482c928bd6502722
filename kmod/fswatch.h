/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watched super blocks, and what the files of the file side share
 *
 * REFCNT
 * A watch (one mark per super block) lives while a group has a root there;
 * its ->users counts the subscriptions under watches_lock.  The memory goes
 * with the mark's last reference, which fsnotify may hold a little longer.
 *
 * LOCKING
 * group->lock > watches_lock > hooks_lock, fsnotify's mark_mutex.  Subscriptions and their
 * roots change under group->lock and are read by event handlers under
 * ckpt_events_srcu, the subscriptions also under RCU alone.  files->lock is
 * taken in the writer's context; below it are only the locks of filelog.h.
 *
 * LIFETIME
 * Nothing pins a file system: no path, dentry or inode reference is kept.  A
 * root is known by inode number and generation.  When the super block goes,
 * fsnotify frees the mark, and watch->dead is set before the super block's
 * memory can go; its roots then count as lost until they are removed or found
 * elsewhere.
 */
#ifndef _CKPT_FSWATCH_H
#define _CKPT_FSWATCH_H

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/hash.h>
#include <linux/kdev_t.h>
#include <linux/list.h>
#include <linux/magic.h>
#include <linux/percpu.h>
#include <linux/seqlock.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>

#include "changeset.h"

extern struct srcu_struct ckpt_events_srcu;

/* 16 KiB: of 60 roots, with directories above them, one name of ten meets a place in use. */
#define CKPT_NEAR_BITS 12

/**
 * struct ckpt_watch - a marked super block
 * @mark: on @sb
 * @link: in the list of watches
 * @subs: struct ckpt_sub of the groups with roots here
 * @users: their number
 * @lock: guards @dead against the end of @sb
 * @dead: @sb was shut down; its pointer means nothing
 * @sb: the super block, not referenced
 * @dev: its device as reported
 * @hooked: events come by the hooks, and the mark is on the directory at the top
 * @hash: among the watches that the hooks tell of
 * @rcu: to free it
 * @hashed: ilookup finds the inodes of this kind of file system
 * @dirty_fn: what dirties the pages of its files, once it is known to be fit for logs
 * @near: by a hash of the inode number, how many roots there are [watches_lock]
 */
struct ckpt_watch {
	struct fsnotify_mark mark;
	struct list_head link;
	struct list_head subs;
	unsigned int users;
	spinlock_t lock;	/* @dead */
	bool dead;
	struct super_block *sb;
	u64 dev;
	bool hooked;
	struct hlist_node hash;
	struct rcu_head rcu;
	bool hashed;
	const void *dirty_fn;
	u32 near[1 << CKPT_NEAR_BITS];
};

#define CKPT_MADE_MAX 8

/**
 * struct ckpt_made - work directories of overlays that were being mounted
 * @in: the first of them, by inode number and generation, until the second take after the last
 *	mount
 * @in.mounts: mounts that nobody has looked for
 * @in.looked: somebody has looked for one before
 * @in.age: takes since then
 * @nr: how many of @in
 * @more: mounts on others that nobody has looked for
 * @looks: how often somebody has, since the last take
 * @ask: nobody has looked since the last mount
 */
struct ckpt_made {
	struct ckpt_made_in {
		unsigned long ino;
		u32 generation;
		unsigned int mounts;
		bool looked;
		u8 age;
	} in[CKPT_MADE_MAX];
	unsigned int nr;
	unsigned int more;
	unsigned int looks;
	bool ask;
};

/**
 * struct ckpt_sub - the interest of one group in one super block
 * @in_watch: in watch->subs
 * @in_files: in files->subs
 * @roots: struct ckpt_root, never empty once it is in watch->subs
 * @watch: the super block
 * @files: the group's file side
 * @came: a directory came from elsewhere since the last take
 * @came_taken: or before it, and that is not committed
 * @moved_in: a directory came into a root from elsewhere; the next take looks
 *	for who writes below it, or the one under way does at its end
 * @made: overlays mounted of late [files->lock]
 * @layered: an overlay has, or had since the last take, its upper layer in or above a root
 */
struct ckpt_sub {
	struct list_head in_watch;
	struct list_head in_files;
	struct list_head roots;
	struct ckpt_watch *watch;
	struct ckpt_files *files;
	bool came;
	bool came_taken;
	bool moved_in;
	struct ckpt_made made;
	bool layered;
};

/**
 * struct ckpt_root - a tree whose changes belong to the group
 * @in_files: in files->roots, in the order they were added
 * @in_sub: in sub->roots
 * @sub: where it is, NULL while its path leads nowhere
 * @ino: inode number of the directory
 * @generation: i_generation of it
 * @path: as it was given
 */
struct ckpt_root {
	struct list_head in_files;
	struct list_head in_sub;
	struct ckpt_sub *sub;
	unsigned long ino;
	u32 generation;
	char path[];
};

/**
 * struct ckpt_files - the file side of a group
 * @group: the group
 * @roots: struct ckpt_root [group->lock]
 * @subs: struct ckpt_sub [group->lock]
 * @nr_roots: number of roots [group->lock]
 * @open: an epoch has taken something [group->lock]
 * @lock: guards @set and @chunks
 * @set: the change sets
 * @chunks: pages of nodes given to @set
 * @logs: struct ckpt_filelog, read under RCU or group->lock
 * @nr_logs: their number
 */
struct ckpt_files {
	struct ckpt_group *group;
	struct list_head roots;
	struct list_head subs;
	unsigned int nr_roots;
	bool open;
	spinlock_t lock;	/* @set, @chunks */
	struct mutex look;	/* who looks for overlays; after group->lock */
	struct ckpt_changeset set;
	struct list_head chunks;
	struct list_head logs;
	unsigned int nr_logs;
};

/* files.c */
void ckpt_files_reserve(struct ckpt_files *files, gfp_t gfp);
void ckpt_files_spare(struct ckpt_files *files);
bool ckpt_files_scarce(const struct ckpt_files *files);
void ckpt_files_record(struct ckpt_files *files, const struct inode *inode, u32 mask, u32 flags);
void ckpt_files_watch(struct ckpt_files *files, const struct inode *inode, u32 flags);

/* roots.c */
void ckpt_roots_check(struct ckpt_files *files);
unsigned int ckpt_roots_gone(const struct ckpt_files *files);
void ckpt_roots_free(struct ckpt_files *files);

/* fswatch.c */
int ckpt_fswatch_init(void);
void ckpt_fswatch_exit(void);
struct ckpt_watch *ckpt_fswatch_get(struct super_block *sb);
void ckpt_fswatch_put(struct ckpt_watch *watch);
void ckpt_fswatch_near(struct ckpt_watch *watch, unsigned long ino, bool root);
void ckpt_fswatch_subscribe(struct ckpt_sub *sub);
void ckpt_fswatch_unsubscribe(struct ckpt_sub *sub);
struct super_block *ckpt_fswatch_sb_get(struct ckpt_watch *watch);
bool ckpt_fswatch_hears(struct ckpt_watch *watch);
struct ckpt_watch *ckpt_fswatch_of(const struct super_block *sb);

/* place.c */

/**
 * struct ckpt_far - a directory that is in no root of anybody
 * @sb: its super block
 * @ino: its inode number
 * @generation: i_generation of it
 * @renames: so many there had been on the machine
 * @changes: so many calls of ckpt_place_forget()
 * @watch: that of @sb
 *
 * What happens in one place happens to one file after the other, so each processor knows the
 * last such directory.  It is known by its numbers while none is deleted, and stays where it is
 * while none is renamed.  On file systems that do not find their inodes by number two may have
 * the same, so there nothing is remembered.
 */
struct ckpt_far {
	const struct super_block *sb;
	unsigned long ino;
	u32 generation;
	unsigned int renames;
	unsigned int changes;
	const struct ckpt_watch *watch;
};

DECLARE_PER_CPU(struct ckpt_far, ckpt_last_far);
extern atomic_t ckpt_far_changes;

enum ckpt_place { CKPT_PLACE_UNSURE, CKPT_PLACE_INSIDE, CKPT_PLACE_OUTSIDE };

void ckpt_place_forget(void);
bool ckpt_place_far(const struct ckpt_watch *watch, struct dentry *dentry);
bool ckpt_place_is_root(const struct ckpt_sub *sub, const struct inode *inode);
enum ckpt_place ckpt_place_of_dir(const struct ckpt_sub *sub, struct inode *dir);
bool ckpt_place_outside(const struct ckpt_sub *sub, struct inode *inode, struct dentry *dentry);

/**
 * ckpt_place_last - is a file certainly in no root of anybody, asked in the fewest steps
 * @dentry: its name, in use
 * @sb: its super block
 *
 * Context: preemption is off.
 * Return: the watch of @sb only if it is, at one moment of the call; NULL says nothing.
 */
static __always_inline const struct ckpt_watch *
ckpt_place_last(const struct dentry *dentry, const struct super_block *sb)
{
	unsigned int renames = raw_read_seqcount(&rename_lock.seqcount);
	const struct ckpt_far *last = this_cpu_ptr(&ckpt_last_far);
	const struct inode *dir = d_inode_rcu(READ_ONCE(dentry->d_parent));

	if (!dir || last->ino != dir->i_ino || last->sb != sb ||
	    last->generation != dir->i_generation || last->renames != renames ||
	    last->changes != atomic_read(&ckpt_far_changes) ||
	    read_seqcount_retry(&rename_lock.seqcount, renames))
		return NULL;
	return last->watch;
}

/* inodes.c */
bool ckpt_inodes_by_number(struct super_block *sb);
void ckpt_inodes_each(struct super_block *sb, bool (*pick)(struct inode *inode, void *data),
		      void (*visit)(struct inode *inode, void *data), void *data);

/* layers.c */
bool ckpt_layers_above(struct dentry *dentry);
void ckpt_layers_find(struct ckpt_sub *sub, struct super_block *sb);
void ckpt_layers_mkdir(struct ckpt_sub *sub, struct inode *dir, const struct dentry *dentry);
void ckpt_layers_look(struct ckpt_group *group);
void ckpt_layers_take(struct ckpt_files *files, bool final);

/* suspect.c */
void ckpt_suspect_root(struct ckpt_sub *sub);
void ckpt_suspect_find(struct ckpt_files *files, bool first, bool final);
void ckpt_suspect_moved(struct ckpt_files *files);

/* suspect-tasks.c */
void ckpt_suspect_tasks(struct ckpt_files *files, bool final);

static inline bool ckpt_is_overlay(const struct super_block *sb)
{
	return sb->s_magic == OVERLAYFS_SUPER_MAGIC;
}

/* The place of an inode number in watch->near: directories have round numbers on some disks. */
static inline unsigned int ckpt_near(unsigned long ino)
{
	return hash_long(ino, CKPT_NEAR_BITS);
}

static inline u64 ckpt_files_dev(const struct super_block *sb)
{
	return (u64)MAJOR(sb->s_dev) << 32 | MINOR(sb->s_dev);
}

static inline struct ckpt_change ckpt_files_key(const struct inode *inode)
{
	return (struct ckpt_change){
		.dev = ckpt_files_dev(inode->i_sb),
		.ino = inode->i_ino,
		.generation = inode->i_generation,
	};
}

#endif
