// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_epochs_test.c: what was taken is forgotten by commit alone; the bound counts
 *
 * debug: slow
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/world.h"

#define ROOT "/tmp/files-epochs"
#define INODES_MAX "/sys/module/ckpt/parameters/inodes_max"
#define MANY 5000

static struct changes c;

static void folders(void)
{
	if (system("rm -rf " ROOT " && mkdir -p " ROOT "/a " ROOT "/b"))
		die("folders");
}

static void sysfs_is(const char *file, const char *want)
{
	char path[160], text[64];

	snprintf(path, sizeof(path), "/sys/kernel/ckpt/groups/%s/%s", c.group, file);
	if (get(path, text, sizeof(text)) < 0)
		die("read %s", path);
	check(!strcmp(text, want), "%s says '%s', wanted '%s'", file, text, want);
}

static void two_phases(void)
{
	struct stat f, g;

	changes_open(&c, "files-epochs");
	changes_root(&c, ROOT);
	sysfs_is("roots", ROOT);
	append(ROOT "/a/f", "1");
	append(ROOT "/b/g", "1");
	f = changes_id(ROOT "/a/f");
	g = changes_id(ROOT "/b/g");
	changes_settle(&c);
	sysfs_is("changed_inodes", "0");
	append(ROOT "/a/f", "2");
	sysfs_is("changed_inodes", "1");

	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_DATA, "first round");
	if (chmod(ROOT "/a/f", 0600) || chmod(ROOT "/b/g", 0600))
		die("chmod");
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_META, "second round has what came since");
	changes_want(&c, &g, CKPT_INODE_META, "of another inode too");
	changes_abort(&c);
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_DATA | CKPT_INODE_META, "an abort merges both back");
	changes_want(&c, &g, CKPT_INODE_META, "of the other too");
	append(ROOT "/b/g", "2");
	changes_commit(&c);
	changes_take(&c);
	check(!(changes_mask(&c, &f) & ~CKPT_INODE_SUSPECT), "a commit forgets what was taken");
	changes_want(&c, &g, CKPT_INODE_DATA, "not what came after");
	changes_commit(&c);
	changes_settle(&c);
}

/* The owner goes without a word: everything is live again. */
static void owner_dies(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct stat f = changes_id(ROOT "/a/f");

	append(ROOT "/a/f", "3");
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_DATA, "taken");
	ckpt_nl_close(c.nl);
	c.open = false;
	if (ckpt_nl_open(&c.nl, &err))
		die("%s", err.text);
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_DATA, "taken again by the next owner");
	changes_commit(&c);
	changes_close(&c);
}

/* One super block, two groups, two roots: each gets its own. */
static void two_groups(void)
{
	struct changes d;
	struct stat f = changes_id(ROOT "/a/f"), g = changes_id(ROOT "/b/g");

	changes_open(&c, "files-a");
	changes_open(&d, "files-b");
	changes_root(&c, ROOT "/a");
	changes_root(&d, ROOT "/b");
	append(ROOT "/a/f", "4");
	append(ROOT "/b/g", "4");
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_DATA, "group a: its root");
	changes_count(&c, 1, "group a");
	changes_take(&d);
	changes_want(&d, &g, CKPT_INODE_DATA, "group b: its root");
	changes_count(&d, 1, "group b");
	changes_commit(&c);
	changes_close(&c);
	append(ROOT "/b/g", "5");
	changes_take(&d);
	changes_want(&d, &g, CKPT_INODE_DATA, "group b goes on when a is gone");
	changes_commit(&d);
	changes_close(&d);
}

static void create_many(int from, int to)
{
	char path[64];
	int i;

	for (i = from; i < to; i++) {
		snprintf(path, sizeof(path), ROOT "/a/n%d", i);
		append(path, "x");
	}
}

static void many(void)
{
	struct stat st;

	changes_open(&c, "files-many");
	changes_root(&c, ROOT);
	create_many(0, MANY);
	changes_take(&c);
	check(c.n == MANY + 1 && !c.round.lost, "%d new files and their directory (%zu)", MANY,
	      c.n);
	changes_abort(&c);
	changes_take(&c);
	check(c.n == MANY + 1, "again after an abort (%zu)", c.n);
	st = changes_id(ROOT "/a/n4321");
	changes_want(&c, &st, CKPT_INODE_CREATED | CKPT_INODE_DATA, "one of them");
	changes_commit(&c);
	changes_close(&c);
}

static void bound(void)
{
	char before[32];
	struct stat st;

	if (get(INODES_MAX, before, sizeof(before)) < 0 || put(INODES_MAX, "100"))
		die("set %s", INODES_MAX);
	changes_open(&c, "files-bound");
	put(INODES_MAX, before);
	changes_root(&c, ROOT);
	create_many(MANY, MANY + 200);
	changes_take(&c);
	check(c.n == 100, "no more than the bound is kept (%zu)", c.n);
	check(c.round.lost >= 100, "and the rest is counted as lost (%llu)",
	      (unsigned long long)c.round.lost);
	changes_abort(&c);
	changes_take(&c);
	check(c.round.lost >= 100, "an abort does not forgive (%llu)",
	      (unsigned long long)c.round.lost);
	changes_commit(&c);
	/* A full checkpoint was committed: the slate is clean, apart from writers. */
	changes_settle(&c);
	changes_take(&c);
	check(!c.round.lost, "a commit does (%llu)", (unsigned long long)c.round.lost);
	changes_commit(&c);
	append(ROOT "/a/f", "6");
	st = changes_id(ROOT "/a/f");
	changes_take(&c);
	changes_want(&c, &st, CKPT_INODE_DATA, "and changes are recorded as before");
	changes_commit(&c);
	changes_close(&c);
}

int main(void)
{
	folders();
	two_phases();
	owner_dies();
	two_groups();
	many();
	bound();
	return finish();
}
