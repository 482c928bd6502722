// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_hooks_test.c: where events are heard: by hooks at the kernel's functions, or by marks
 *
 * A kernel without the function tracer has marks alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

#define HOOKS "/sys/module/ckpt/parameters/hooks"
#define TRACER "/proc/sys/kernel/ftrace_enabled"
/* Longer than the hooks stay when nobody needs them. */
#define LINGER_S 20

static struct changes c;

/* Each kind of event, of a file and of names. */
static void all_told(const char *root, const char *how)
{
	char a[96], b[96], dir[96];
	struct stat st, d, r;

	snprintf(a, sizeof(a), "%s/a", root);
	snprintf(b, sizeof(b), "%s/b", root);
	snprintf(dir, sizeof(dir), "%s/dir", root);
	note("%s, %s", root, how);
	append(a, "one");
	changes_settle(&c);
	r = changes_id(root);
	st = changes_id(a);
	append(a, "two");
	changes_take(&c);
	changes_want(&c, &st, CKPT_INODE_DATA, "written");
	if (rename(a, b) || mkdir(dir, 0755) || chmod(b, 0600))
		die("changes in %s", root);
	d = changes_id(dir);
	changes_take(&c);
	changes_want(&c, &st, CKPT_INODE_MOVED | CKPT_INODE_META, "renamed, and its mode");
	changes_want(&c, &d, CKPT_INODE_CREATED, "a directory is made");
	changes_want(&c, &r, CKPT_INODE_ENTRIES, "entries");
	if (chmod(dir, 0700) || unlink(b))
		die("changes in %s", root);
	changes_take(&c);
	changes_want(&c, &d, CKPT_INODE_META, "the mode of a directory");
	changes_want(&c, &st, CKPT_INODE_DELETED | CKPT_INODE_META, "unlinked");
	changes_commit(&c);
	changes_take(&c);
	changes_count(&c, 0, "nothing more");
	check(!c.round.lost, "nothing is lost");
	changes_commit(&c);
	if (rmdir(dir))
		die("%s", dir);
}

int main(void)
{
	const char *mnt = disk_mount("tmpfs");
	bool can, gone = false;
	int err, i;

	shell("rm -rf /scratch/hooks && mkdir /scratch/hooks");
	changes_open(&c, "files-hooks");
	changes_root(&c, "/scratch/hooks");
	can = changes_hooked();
	if (can) {
		err = put(TRACER, "0");
		check(err == -EBUSY, "the function tracer cannot be switched off: %s",
		      strerror(-err));
	} else {
		check(access(TRACER, F_OK), "there are no hooks without a tracer");
	}
	all_told("/scratch/hooks", can ? "by hooks" : "by marks");

	if (put(HOOKS, "N"))
		die(HOOKS);
	changes_root(&c, mnt);
	all_told(mnt, "by a mark");
	all_told("/scratch/hooks", "beside one with a mark");
	changes_close(&c);
	for (i = 0; i < LINGER_S * 5 && !gone; i++) {
		usleep(200000);
		gone = !changes_hooked();
	}
	check(gone, "the hooks go when nobody needs them");

	changes_open(&c, "files-hooks");
	changes_root(&c, "/scratch/hooks");
	check(!changes_hooked(), "no hooks: the parameter says so");
	all_told("/scratch/hooks", "by a mark");
	changes_close(&c);
	if (put(HOOKS, "Y"))
		die(HOOKS);
	disk_umount("tmpfs");
	shell("rm -rf /scratch/hooks");
	return finish();
}
