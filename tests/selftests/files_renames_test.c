// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_renames_test.c: renames elsewhere on the machine put nothing in doubt
 *
 * There is one lock for all of them, and no answer of where a directory is holds across one.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)
#define TOP "/scratch/renames"
#define MNT "/mnt/renames"
#define MOUNTS 30
#define MOVES 10000

static struct changes c;

/* On another file system. */
static pid_t rename_on_and_on(const char *where)
{
	char name[2][64];
	pid_t pid;
	int i;

	snprintf(name[0], sizeof(name[0]), "%s/a", where);
	snprintf(name[1], sizeof(name[1]), "%s/b", where);
	append(name[0], "x");
	fflush(stdout);
	MUST(pid = fork());
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0;; i = !i)
		if (rename(name[i], name[!i]))
			_exit(1);
}

/* The module looks where their layers are when they are mounted. */
static void overlays_beside(void)
{
	int i;

	shell("mkdir -p %s %s/lower %s/upper %s/work", MNT, TOP, TOP, TOP);
	for (i = 0; i < MOUNTS; i++) {
		shell("mount -t overlay none -o lowerdir=%s/lower,upperdir=%s/upper,"
		      "workdir=%s/work %s", TOP, TOP, TOP, MNT);
		shell("umount %s", MNT);
	}
	changes_take(&c);
	check(!c.round.lost, "%d overlays beside the root: nothing is lost (%llu)", MOUNTS,
	      (unsigned long long)c.round.lost);
	changes_commit(&c);
	changes_settle(&c);
}

/* A directory that moves in the root has not come from elsewhere, nor has what moves after it. */
static void moves_inside(void)
{
	const char *from = TOP "/root/from/d", *to = TOP "/root/to/d";
	size_t i, came = 0;

	MUST(mkdir(TOP "/root/from", 0755));
	MUST(mkdir(TOP "/root/to", 0755));
	MUST(mkdir(from, 0755));
	changes_settle(&c);
	for (i = 0; i < MOVES; i++)
		MUST(i % 2 ? rename(to, from) : rename(from, to));
	changes_take(&c);
	for (i = 0; i < c.n; i++)
		came += !!(c.inodes[i].mask & CKPT_INODE_CREATED);
	check(!came, "moved %d times: it came from nowhere else", MOVES);
	changes_count(&c, 3, "it, and where it was");
	changes_commit(&c);
}

int main(void)
{
	pid_t pid = rename_on_and_on(disk_mount("tmpfs"));

	shell("rm -rf " TOP " && mkdir -p " TOP "/root");
	changes_open(&c, "files-renames");
	changes_root(&c, TOP "/root");
	changes_settle(&c);
	overlays_beside();
	moves_inside();
	changes_close(&c);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	disk_umount("tmpfs");
	shell("rm -rf " TOP);
	return finish();
}
