// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_roots_test.c: roots that are refused, unmounted, mounted into, replaced and removed under
 * load
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/world.h"

#define TOP "/tmp/files-roots"
#define MNT TOP "/mnt"
#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)

/* More than the module follows (kmod/limits.h). */
#define LEVELS 1100

static struct changes c;

static void refused(const char *path, int os, const char *part)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	check(ckpt_nl_root_add(c.nl, c.group, path, &err) == -1 && err.os == os,
	      "root '%s' is refused with %s", path, strerrorname_np(os));
	check(strstr(err.text, part) && strstr(err.text, path), "saying: %s", err.text);
}

/* File systems that do not tell all that changes, or that hold no files. */
static void refused_places(void)
{
	static const char *const kernels[] = {
		"/proc", "/sys", "/sys/fs/cgroup", "/sys/kernel/debug", "/sys/kernel/debug/tracing",
	};
	char options[80];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		refused(kernels[i], EOPNOTSUPP, "of the kernel's own");
	/* Nobody answers what it asks, and nobody has to. */
	shell("{ [ -e /dev/fuse ] || modprobe fuse; } && mkdir " MNT);
	MUST(fd = open("/dev/fuse", O_RDWR | O_CLOEXEC));
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	MUST(mount("none", MNT, "fuse", 0, options));
	refused(MNT, EOPNOTSUPP, "on a network or FUSE file system");
	MUST(umount2(MNT, MNT_DETACH));
	close(fd);
	shell("truncate -s 1M " TOP "/fat && mkfs.vfat " TOP "/fat >/dev/null && "
	      "modprobe loop && mount -o loop " TOP "/fat " MNT);
	refused(MNT, EOPNOTSUPP, "no numbers that stay");
	shell("umount " MNT " && rm " TOP "/fat && rmdir " MNT);
}

static void refusals(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_group g;

	changes_open(&c, "files-roots");
	refused("relative", EINVAL, "begins with /");
	refused("/nonexistent", ENOENT, "leads to no directory");
	refused("/etc/passwd", ENOTDIR, "leads to no directory");
	refused_places();
	changes_root(&c, TOP);
	refused(TOP, EEXIST, "has this root already");
	changes_root(&c, "/scratch");
	MUST(ckpt_nl_group_get(c.nl, c.group, &g, &err));
	check(g.n_roots == 2 && !strcmp(g.roots[0], TOP) && !strcmp(g.roots[1], "/scratch"),
	      "group-get lists the roots in order");
	check(!strcmp(g.cgroup, "/files-roots") && g.state == CKPT_GROUP_IDLE, "and the rest");
	ckpt_nl_group_done(&g);
	check(ckpt_nl_root_del(c.nl, c.group, "/tmp", &err) == -1 && err.os == ENOENT,
	      "removing what is none: %s", err.text);
	check(!ckpt_nl_root_del(c.nl, c.group, "/scratch", &err), "a root is removed");
	changes_close(&c);
}

static void unmounted(void)
{
	struct stat st;

	MUST(mkdir(MNT, 0755));
	MUST(mount("none", MNT, "tmpfs", 0, ""));
	changes_open(&c, "files-roots");
	changes_root(&c, MNT);
	append(MNT "/f", "x");
	st = changes_id(MNT "/f");
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_DATA, "a file of a mounted file system");
	check(!umount(MNT), "it is unmounted while it is followed (%s)", strerror(errno));
	changes_take(&c);
	check(c.round.lost, "which counts as a loss");
	changes_commit(&c);
	append(MNT "/below", "x");
	st = changes_id(MNT "/below");
	changes_take(&c);
	check(!c.round.lost, "after a commit the directory below is followed");
	check(changes_mask(&c, &st) & CKPT_INODE_DATA, "its files too");
	MUST(mount("none", MNT, "tmpfs", 0, ""));
	changes_take(&c);
	check(c.round.lost, "a mount on top counts as a loss");
	changes_commit(&c);
	append(MNT "/top", "x");
	st = changes_id(MNT "/top");
	changes_take(&c);
	check(!c.round.lost && changes_mask(&c, &st), "then what is on top is followed");
	MUST(umount(MNT));
	changes_commit(&c);
	changes_close(&c);
	MUST(unlink(MNT "/below"));
	MUST(rmdir(MNT));
}

static void append_at(int dir, const char *name, const char *text)
{
	int to = openat(dir, name, O_WRONLY | O_APPEND | O_CLOEXEC);

	MUST(to);
	MUST(write(to, text, strlen(text)));
	close(to);
}

/* One case: the last take has this of a file, and has lost nothing. */
static void want_data(const char *path, bool told, const char *what)
{
	struct stat st = changes_id(path);

	check(!!(changes_mask(&c, &st) & CKPT_INODE_DATA) == told && !c.round.lost, "%s", what);
}

/*
 * A mount below a root: nothing is lost by it, what it shows is in no root, and what it hides is
 * followed as ever.
 */
static void mounted_inside(void)
{
	int below;

	shell("mkdir -p " TOP "/in/a " TOP "/in/b " TOP "/out");
	append(TOP "/in/a/f", "x");
	append(TOP "/out/f", "x");
	changes_open(&c, "files-roots");
	changes_root(&c, TOP "/in");
	changes_settle(&c);
	MUST(below = open(TOP "/in/a", O_PATH | O_CLOEXEC));
	MUST(mount("none", TOP "/in/a", "tmpfs", 0, ""));
	MUST(mount(TOP "/out", TOP "/in/b", NULL, MS_BIND, NULL));
	changes_take(&c);
	check(!c.n && !c.round.lost, "mounts inside a root: told of nothing, lost nothing");
	append(TOP "/in/a/top", "x");
	append(TOP "/in/b/f", "x");
	changes_take(&c);
	want_data(TOP "/in/a/top", false, "a file of what is mounted there: not told");
	want_data(TOP "/in/b/f", false, "nor one of a directory outside that is shown there");
	append_at(below, "f", "x");
	changes_take(&c);
	MUST(umount(TOP "/in/a"));
	want_data(TOP "/in/a/f", true, "a file that is hidden, by who has it: told");
	append(TOP "/in/a/f", "x");
	changes_take(&c);
	want_data(TOP "/in/a/f", true, "after the unmount it is followed by its name");
	changes_commit(&c);
	/* and the other way round */
	MUST(mount(TOP "/in/a", TOP "/out", NULL, MS_BIND, NULL));
	append(TOP "/out/f", "x");
	changes_take(&c);
	want_data(TOP "/in/a/f", true, "a directory of the root that is shown elsewhere: told");
	MUST(umount(TOP "/out"));
	MUST(umount(TOP "/in/b"));
	changes_commit(&c);
	changes_close(&c);
	close(below);
	shell("rm -r " TOP "/in " TOP "/out");
}

/* Deeper than a name is followed: in every root, for all that is known. */
static void deep(const char *top, const char *where)
{
	struct stat st;
	int i;

	MUST(chdir(top));
	for (i = 0; i < LEVELS; i++) {
		MUST(mkdir("d", 0755));
		MUST(chdir("d"));
	}
	changes_settle(&c);
	append("f", "x");
	st = changes_id("f");
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_DATA, "very deep %s: told", where);
	changes_commit(&c);
	MUST(unlink("f"));
	for (i = 0; i < LEVELS; i++) {
		MUST(chdir(".."));
		MUST(rmdir("d"));
	}
	MUST(chdir("/"));
}

static void replaced(void)
{
	struct stat st;

	MUST(mkdir(TOP "/w", 0755));
	append(TOP "/w/f", "x");
	changes_open(&c, "files-roots");
	changes_root(&c, TOP "/w");
	changes_settle(&c);
	deep(TOP "/w", "in a root");
	deep(TOP, "outside");
	if (system("rm -r " TOP "/w && mkdir " TOP "/w"))
		die("replace");
	changes_take(&c);
	check(c.round.lost, "a root made anew counts as a loss");
	changes_commit(&c);
	append(TOP "/w/g", "x");
	st = changes_id(TOP "/w/g");
	changes_take(&c);
	check(!c.round.lost && (changes_mask(&c, &st) & CKPT_INODE_DATA), "then it is followed");
	changes_commit(&c);
	MUST(rename(TOP "/w", TOP "/v"));
	changes_take(&c);
	check(c.round.lost, "a root that is gone counts as a loss");
	changes_commit(&c);
	changes_take(&c);
	check(c.round.lost, "as long as it is gone");
	changes_commit(&c);
	MUST(rename(TOP "/v", TOP "/w"));
	changes_take(&c);
	changes_commit(&c);
	changes_take(&c);
	check(!c.round.lost, "until it is back and a checkpoint was made");
	changes_commit(&c);
	changes_close(&c);
}

static void writer(void)
{
	char path[64], to[64];
	unsigned int i;

	for (i = 0;; i++) {
		snprintf(path, sizeof(path), TOP "/load/%d-%u", getpid(), i % 50);
		snprintf(to, sizeof(to), TOP "/load/%d-%u", getpid(), i % 50 + 50);
		append(path, "x");
		rename(path, to);
		if (i % 3 == 0)
			unlink(to);
	}
}

/* Tag, add, take and untag again and again while files change. */
static void under_load(void)
{
	pid_t pids[3];
	uint64_t lost = 0;
	size_t most = 0, i;
	int n;

	MUST(mkdir(TOP "/load", 0755));
	fflush(stdout);
	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		if (!pids[i])
			writer();
	}
	for (n = 0; n < 30; n++) {
		changes_open(&c, "files-load");
		changes_root(&c, TOP "/load");
		if (n % 2)
			changes_root(&c, TOP);
		usleep(10000);
		changes_take(&c);
		usleep(1000 * (n % 7));
		changes_take(&c);
		most = c.n > most ? c.n : most;
		lost += c.round.lost;
		if (n % 3 == 0)
			changes_commit(&c);
		else if (n % 3 == 1)
			changes_abort(&c);
		changes_close(&c);
	}
	for (i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	check(most > 0, "changes were taken under load (at most %zu)", most);
	check(!lost, "and none lost");
}

int main(void)
{
	if (system("rm -rf " TOP " && mkdir " TOP))
		die("folders");
	refusals();
	unmounted();
	mounted_inside();
	replaced();
	under_load();
	return finish();
}
