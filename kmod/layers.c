// SPDX-License-Identifier: GPL-2.0
/*
 * Upper layers of overlays: what is written to them makes no event
 *
 * An overlay that is mounted elsewhere, as containers are, writes the files of its
 * upper layer through descriptors of its own, which fsnotify is not told of.  Where
 * that layer lies in a root, or holds one, nothing is known of what changes: every
 * take says that something was lost, and the next checkpoint compares everything.
 *
 * The kernel marks the directory that is an upper layer (I_OVL_INUSE), before it makes
 * a directory in the work directory of the same file system, of which there is an
 * event.  Then there is a look at all directories in memory, a moment later, since the event
 * comes where nobody may sleep.  The look has seen the upper layer of that overlay if its work
 * directory is in use after it, for at the unmount that is given back first; and if nobody
 * has mounted another one there meanwhile.  Otherwise it may have been anywhere.
 */
#include <linux/compat.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include "events.h"
#include "files.h"
#include "fswatch.h"
#include "group.h"
#include "limits.h"

/* Times that it is asked where a layer is, as long as that is unsure. */
#define PLACE_TRIES 16
/* Of 32-bit programs; fsconfig has one number for all. */
#define IA32_NR_MOUNT 21

/* mount(2) makes the file system, or fsconfig(FSCONFIG_CMD_CREATE). */
static bool mounting(void)
{
	int nr;

	if (current->flags & PF_KTHREAD)
		return false;
	nr = syscall_get_nr(current, task_pt_regs(current));
	if (in_ia32_syscall())
		return nr == IA32_NR_MOUNT || nr == __NR_fsconfig;
	/* x32 numbers have a bit more */
	nr &= ~__X32_SYSCALL_BIT;
	return nr == __NR_mount || nr == __NR_fsconfig;
}

static bool is_layer(struct inode *inode)
{
	return S_ISDIR(inode->i_mode) && ckpt_inode_state(inode) & I_OVL_INUSE;
}

/**
 * ckpt_layers_above - is a directory an upper or work directory, or below one
 * @dentry: its name
 *
 * Context: does not sleep.
 * Return: true if it is.
 */
bool ckpt_layers_above(struct dentry *dentry)
{
	bool found = false;

	rcu_read_lock();
	for (;; dentry = READ_ONCE(dentry->d_parent)) {
		struct inode *inode = d_inode_rcu(dentry);

		found = inode && is_layer(inode);
		if (found || IS_ROOT(dentry))
			break;
	}
	rcu_read_unlock();
	return found;
}

/* A root that is below a layer, as far as its name in memory tells. */
static bool root_below(struct inode *root)
{
	struct dentry *dentry = d_find_any_alias(root);
	bool below = dentry && ckpt_layers_above(dentry);

	dput(dentry);
	return below;
}

struct find {
	struct ckpt_sub *sub;
	bool layer;	/* the inode that was picked is one */
	bool any;	/* some overlay has a layer on this super block */
	bool related;	/* in a root, or with a root in it */
	unsigned int roots;
};

/* The roots that a directory is, by several names perhaps; NULL: all. */
static unsigned int nr_roots(const struct ckpt_sub *sub, const struct inode *at)
{
	const struct ckpt_root *root;
	unsigned int n = 0;

	list_for_each_entry_rcu(root, &sub->roots, in_sub, srcu_read_lock_held(&ckpt_events_srcu))
		n += !at || (root->ino == at->i_ino && root->generation == at->i_generation);
	return n;
}

static bool pick(struct inode *inode, void *data)
{
	struct find *find = data;

	find->layer = is_layer(inode);
	return find->layer || ckpt_place_is_root(find->sub, inode);
}

/* Renames elsewhere, of which there may be many, must not count as a layer in a root. */
static bool layer_outside(const struct ckpt_sub *sub, struct inode *inode)
{
	enum ckpt_place place;
	unsigned int i;

	for (i = 0; i < PLACE_TRIES; i++) {
		place = ckpt_place_of_dir(sub, inode);
		if (place != CKPT_PLACE_UNSURE)
			break;
		cond_resched();
	}
	return place == CKPT_PLACE_OUTSIDE;
}

/* It may be none any more: what counts is what it was when it was picked. */
static void visit(struct inode *inode, void *data)
{
	struct find *find = data;

	if (find->layer) {
		find->any = true;
		find->related |= !layer_outside(find->sub, inode);
	}
	if (ckpt_place_is_root(find->sub, inode)) {
		find->roots += nr_roots(find->sub, inode);
		find->related |= root_below(inode);
	}
}

/* Return: true if there is one, or may be. */
static bool find_layers(struct ckpt_sub *sub, struct super_block *sb)
{
	struct find find = { .sub = sub };

	ckpt_inodes_each(sb, pick, visit, &find);
	/* Of a root that is not in memory nobody knows what is above it. */
	return find.related || (find.any && find.roots < nr_roots(sub, NULL));
}

/**
 * ckpt_layers_find - look for layers that lie in a root or hold one
 * @sub: the group's subscription; the caller is in a read section of ckpt_events_srcu
 * @sb: its super block, active
 *
 * When there is one, sub->layered is set and a loss is counted.
 *
 * Context: sleeps.
 */
void ckpt_layers_find(struct ckpt_sub *sub, struct super_block *sb)
{
	if (!find_layers(sub, sb))
		return;
	WRITE_ONCE(sub->layered, true);
	ckpt_files_lose(sub->files);
}

static struct ckpt_made_in *made_in(struct ckpt_made *made, const struct inode *dir)
{
	unsigned int i;

	for (i = 0; i < made->nr; i++)
		if (made->in[i].ino == dir->i_ino && made->in[i].generation == dir->i_generation)
			return &made->in[i];
	return NULL;
}

/**
 * ckpt_layers_mkdir - a directory was made on a watched super block
 * @sub: a subscription to it; the caller is in a read section of ckpt_events_srcu
 * @dir: where
 * @dentry: its name, or NULL
 *
 * Context: does not sleep.
 */
void ckpt_layers_mkdir(struct ckpt_sub *sub, struct inode *dir, const struct dentry *dentry)
{
	struct ckpt_files *files = sub->files;
	struct ckpt_made *made = &sub->made;
	struct ckpt_made_in *in;

	/* The second directory of the same mount. */
	if (!mounting() || (dentry && !strcmp(dentry->d_name.name, "index")))
		return;
	spin_lock(&files->lock);
	in = made_in(made, dir);
	if (!in && made->nr < ARRAY_SIZE(made->in)) {
		in = &made->in[made->nr++];
		*in = (struct ckpt_made_in){ .ino = dir->i_ino, .generation = dir->i_generation };
	}
	if (in) {
		in->mounts++;
		in->age = 0;
	} else {
		made->more++;
	}
	WRITE_ONCE(made->ask, true);
	spin_unlock(&files->lock);
	ckpt_events_look(files->group);
}

struct in_use {
	struct ckpt_made *made;
	unsigned int seen[CKPT_MADE_MAX];
};

static bool count_in_use(struct inode *inode, void *data)
{
	struct in_use *in_use = data;
	const struct ckpt_made_in *in = is_layer(inode) ? made_in(in_use->made, inode) : NULL;

	if (in)
		in_use->seen[in - in_use->made->in]++;
	return false;
}

/*
 * Has the look seen all overlays that @before tells of?  Each was the only one on its work
 * directory, and is there still, by a number that no other one has (btrfs).
 */
static bool all_seen(struct ckpt_sub *sub, struct super_block *sb, struct ckpt_made *before)
{
	struct in_use in_use = { .made = before };
	bool all = !before->more;
	unsigned int i;

	ckpt_inodes_each(sb, count_in_use, NULL, &in_use);
	spin_lock(&sub->files->lock);
	for (i = 0; i < before->nr; i++) {
		struct ckpt_made_in *in = &sub->made.in[i];

		if (in->looked && !in->mounts)
			continue;
		all &= in->mounts == before->in[i].mounts && in->mounts + in->looked == 1 &&
		       in_use.seen[i] == 1;
		in->mounts -= before->in[i].mounts;
		in->looked = true;
	}
	sub->made.more -= before->more;
	spin_unlock(&sub->files->lock);
	return all;
}

/* Overlays were mounted: where are they?  Under files->look. */
static void look_for_made(struct ckpt_sub *sub)
{
	struct ckpt_files *files = sub->files;
	struct ckpt_made before;
	struct super_block *sb;

	lockdep_assert_held(&files->look);
	spin_lock(&files->lock);
	WRITE_ONCE(sub->made.ask, false);
	sub->made.looks++;
	before = sub->made;
	spin_unlock(&files->lock);
	sb = ckpt_fswatch_sb_get(sub->watch);
	if (!sb)
		return;
	if (find_layers(sub, sb))
		WRITE_ONCE(sub->layered, true);
	if (!all_seen(sub, sb, &before) || READ_ONCE(sub->layered))
		ckpt_files_lose(files);
	deactivate_super(sb);
}

/* One that comes to the same work directory now cannot have hidden another at its look. */
static void forget_made(struct ckpt_sub *sub)
{
	struct ckpt_made *made = &sub->made;
	unsigned int i = 0;

	spin_lock(&sub->files->lock);
	made->looks = 0;
	while (i < made->nr) {
		if (made->in[i].looked && !made->in[i].mounts && made->in[i].age++)
			made->in[i] = made->in[--made->nr];
		else
			i++;
	}
	spin_unlock(&sub->files->lock);
}

/* A super block on which somebody has mounted an overlay; not after many of them in a row. */
static struct ckpt_sub *next_asked(struct ckpt_files *files)
{
	struct ckpt_sub *sub;

	list_for_each_entry(sub, &files->subs, in_files)
		if (READ_ONCE(sub->made.ask) && READ_ONCE(sub->made.looks) < CKPT_LOOKS_MAX)
			return sub;
	return NULL;
}

/**
 * ckpt_layers_look - look for the overlays that have been mounted since the last call
 * @group: kept alive by the caller, who does not hold its lock
 *
 * Anybody can mount an overlay, and a look visits every inode in memory: nobody waits for it
 * with the group's lock but a live round.  Where one is mounted after the other, the next of
 * those looks.
 *
 * Context: sleeps.
 */
void ckpt_layers_look(struct ckpt_group *group)
{
	struct ckpt_files *files;
	struct ckpt_sub *sub;
	int idx;

	do {
		mutex_lock(&group->lock);
		files = group->files;
		/* Under the lock: who takes a root away waits for readers with it. */
		idx = srcu_read_lock(&ckpt_events_srcu);
		sub = group->dead ? NULL : next_asked(files);
		if (sub)
			mutex_lock(&files->look);
		mutex_unlock(&group->lock);
		if (sub) {
			look_for_made(sub);
			mutex_unlock(&files->look);
		}
		srcu_read_unlock(&ckpt_events_srcu, idx);
	} while (sub);
}

/* Of one super block. @final: nobody looks now, since everybody waits for the round. */
static void take_layers(struct ckpt_sub *sub, bool final)
{
	bool ask = READ_ONCE(sub->made.ask);
	struct super_block *sb;

	if (ask && !final)
		look_for_made(sub);
	else if (ask)
		ckpt_files_lose(sub->files);
	forget_made(sub);
	if (!READ_ONCE(sub->layered))
		return;
	ckpt_files_lose(sub->files);
	if (final)
		return;
	WRITE_ONCE(sub->layered, false);
	sb = ckpt_fswatch_sb_get(sub->watch);
	if (!sb)
		return;
	ckpt_layers_find(sub, sb);
	deactivate_super(sb);
}

/**
 * ckpt_layers_take - a loss for each file system whose files an overlay may have written
 * @files: the file side; its group's lock is held
 * @final: the round is the last one of its epoch
 *
 * Once more after the last take that found one.
 *
 * Context: sleeps.
 */
void ckpt_layers_take(struct ckpt_files *files, bool final)
{
	struct ckpt_sub *sub;
	int idx;

	lockdep_assert_held(&files->group->lock);
	if (!final) {
		mutex_lock(&files->look);
	} else if (!mutex_trylock(&files->look)) {
		/* What is being looked for just now may be found. */
		ckpt_files_lose(files);
		return;
	}
	idx = srcu_read_lock(&ckpt_events_srcu);
	list_for_each_entry(sub, &files->subs, in_files)
		take_layers(sub, final);
	srcu_read_unlock(&ckpt_events_srcu, idx);
	mutex_unlock(&files->look);
}
