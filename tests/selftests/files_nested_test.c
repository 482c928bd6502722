// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_nested_test.c: files in a root that an overlay mounted elsewhere has as its upper layer
 *
 * Such an overlay writes them without an event.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/changes.h"
#include "lib/world.h"

#define TOP "/scratch/nested"
#define MNT "/mnt/nested"
#define BIG "/tmp/nested"
#define MANY 40000
#define TIMES 12

static struct changes c;

static void fresh(void)
{
	shell("mkdir -p %s && rm -rf %s && mkdir -p %s/root/upper %s/root/work %s/work %s/lower",
	      MNT, TOP, TOP, TOP, TOP, TOP);
	append(TOP "/root/upper/file", "first");
	append(TOP "/root/plain", "plain");
	changes_open(&c, "nested");
}

static void mount_nested(const char *work)
{
	shell("mount -t overlay none -o lowerdir=%s/lower,upperdir=%s/root/upper,workdir=%s %s",
	      TOP, TOP, work, MNT);
}

/* One take: is the file in it, or does the take say that it does not know? */
static void want_told(const char *what)
{
	struct stat st = changes_id(TOP "/root/upper/file");

	changes_take(&c);
	check(changes_mask(&c, &st) || c.round.lost, "%s: told (mask %#x, lost %llu)", what,
	      changes_mask(&c, &st), (unsigned long long)c.round.lost);
	changes_commit(&c);
}

static void want_quiet(const char *what)
{
	changes_take(&c);
	changes_count(&c, 0, what);
	check(!c.round.lost, "%s: nothing is lost", what);
	changes_commit(&c);
}

static void done(void)
{
	changes_close(&c);
	shell("rm -rf %s", TOP);
}

static void mounted_before(void)
{
	fresh();
	mount_nested(TOP "/root/work");
	changes_root(&c, TOP "/root");
	want_told("mounted before there was a root, nothing written");
	append(MNT "/file", "x");
	want_told("written through the overlay");
	append(MNT "/file", "y");
	want_told("written once more");
	shell("umount %s", MNT);
	want_told("unmounted");
	changes_settle(&c);
	want_quiet("afterwards");
	done();
}

static void mounted_between(const char *work)
{
	fresh();
	changes_root(&c, TOP "/root");
	changes_settle(&c);
	mount_nested(work);
	append(MNT "/file", "x");
	want_told("mounted and written between two takes");
	append(MNT "/file", "y");
	want_told("written while it stays mounted");
	shell("umount %s", MNT);
	changes_settle(&c);
	want_quiet("unmounted");
	mount_nested(work);
	append(MNT "/file", "z");
	shell("umount %s", MNT);
	want_told("mounted, written and unmounted between two takes");
	changes_settle(&c);
	want_quiet("afterwards");
	done();
}

/* Containers beside the root, as on a machine that runs many. */
static void mounted_beside(void)
{
	fresh();
	changes_root(&c, TOP "/root");
	/* the same directory by another name */
	changes_root(&c, TOP "/root/.");
	changes_settle(&c);
	shell("mkdir -p %s/beside && mount -t overlay none -o lowerdir=%s/lower,"
	      "upperdir=%s/beside,workdir=%s/work %s", TOP, TOP, TOP, TOP, MNT);
	append(MNT "/file", "x");
	changes_settle(&c);
	append(MNT "/file", "y");
	want_quiet("an overlay with its layers beside the root");
	shell("umount %s", MNT);
	done();
}

static void mount_at_once(const char *upper)
{
	char options[256];

	shell("rm -rf " BIG "/work && mkdir " BIG "/work");
	snprintf(options, sizeof(options), "lowerdir=" BIG "/lower,upperdir=" BIG "/%s,workdir="
		 BIG "/work", upper);
	if (mount("none", MNT, "overlay", 0, options))
		die("mount an overlay");
}

static void unmount(void)
{
	if (umount(MNT))
		die("umount " MNT);
}

/*
 * The module looks a moment after the mount, and that takes as long as there are inodes: it comes
 * by the work directory, which is new, before the upper one.  By then another one may be where
 * it was.
 */
static struct stat big_start(void)
{
	shell("rm -rf " BIG " && mkdir -p " BIG "/root/upper " BIG "/lower " BIG "/beside " BIG
	      "/many && cd " BIG "/many && seq %u | xargs touch", MANY);
	append(BIG "/root/upper/file", "first");
	changes_open(&c, "nested");
	changes_root(&c, BIG "/root");
	changes_settle(&c);
	return changes_id(BIG "/root/upper/file");
}

static void big_end(void)
{
	changes_settle(&c);
	want_quiet("afterwards");
	changes_close(&c);
	shell("rm -rf " BIG);
}

static void gone_at_once(void)
{
	struct stat st = big_start();
	unsigned int i, missed = 0;

	for (i = 0; i < TIMES; i++) {
		mount_at_once("root/upper");
		append(MNT "/file", "x");
		unmount();
		if (i % 2)
			mount_at_once("beside");
		changes_take(&c);
		missed += !changes_mask(&c, &st) && !c.round.lost;
		changes_commit(&c);
		if (i % 2)
			unmount();
	}
	check(!missed, "mounted, written and unmounted at once, %u times: missed %u times", TIMES,
	      missed);
	big_end();
}

/* The last round does not look, nor wait for who looks: it says that it does not know. */
static void in_the_last_round(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	unsigned int i, before = 0, missed = 0;

	big_start();
	for (i = 0; i < TIMES; i++) {
		changes_take(&c);
		before += !!c.round.lost;
		mount_at_once("root/upper");
		append(MNT "/file", "x");
		if (ckpt_nl_epoch_next(c.nl, c.group, true, &c.round, &err))
			die("%s", err.text);
		missed += !c.round.lost;
		changes_commit(&c);
		unmount();
		changes_settle(&c);
	}
	check(!before && !missed, "mounted and written just before the last round, %u times: "
	      "missed %u times, and something was lost before %u times", TIMES, missed, before);
	big_end();
}

/* It is there before, and comes into the root as a part of a tree. */
static void moved_in(void)
{
	fresh();
	shell("mkdir %s/away && mv %s/root/upper %s/root/work %s/away", TOP, TOP, TOP, TOP);
	changes_root(&c, TOP "/root");
	changes_settle(&c);
	shell("mount -t overlay none -o lowerdir=%s/lower,upperdir=%s/away/upper,"
	      "workdir=%s/away/work %s", TOP, TOP, TOP, MNT);
	want_quiet("an upper layer beside the root");
	shell("mv %s/away/upper %s/root", TOP, TOP);
	append(MNT "/file", "x");
	want_told("moved in");
	append(MNT "/file", "y");
	want_told("written there");
	shell("umount %s", MNT);
	done();
}

/* The root is what an overlay has as its upper layer, or lies in that. */
static void root_in_upper(const char *root, const char *file)
{
	struct stat st;
	char path[128];

	fresh();
	shell("mkdir -p %s/root/upper/deep", TOP);
	append(TOP "/root/upper/deep/file", "deep");
	changes_root(&c, root);
	changes_settle(&c);
	mount_nested(TOP "/work");
	snprintf(path, sizeof(path), "%s/%s", MNT, file);
	append(path, "x");
	changes_take(&c);
	changes_commit(&c);
	append(path, "y");
	changes_take(&c);
	snprintf(path, sizeof(path), "%s/root/upper/%s", TOP, file);
	st = changes_id(path);
	check(changes_mask(&c, &st) || c.round.lost, "a root %s an upper layer: told", root);
	changes_commit(&c);
	shell("umount %s", MNT);
	done();
}

int main(void)
{
	mounted_before();
	mounted_between(TOP "/root/work");
	mounted_between(TOP "/work");
	mounted_beside();
	gone_at_once();
	in_the_last_round();
	moved_in();
	root_in_upper(TOP "/root/upper", "file");
	root_in_upper(TOP "/root/upper/deep", "deep/file");
	return finish();
}
