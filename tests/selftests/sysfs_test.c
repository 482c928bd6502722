// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sysfs_test.c: every file of /sys/kernel/ckpt, its mode, and what it refuses
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/world.h"

#define TOP "/sys/kernel/ckpt/"
#define GROUP TOP "groups/files/"

struct file {
	const char *name;
	mode_t mode;
	const char *value;	/* of a fresh group; NULL: not compared */
};

static const struct file top_files[] = {
	{ "version", 0444, NULL },
	{ "features", 0444, NULL },
	{ "tag", 0200, NULL },
	{ "untag", 0200, NULL },
	{ "groups", 0755, NULL },
};

static const struct file group_files[] = {
	{ "cgroup", 0400, "/files.d/a b" },
	{ "tasks", 0400, "0" },
	{ "epoch", 0400, "0" },
	{ "dirty_pages", 0400, "0" },
	{ "resident_pages", 0400, "0" },
	{ "dirty_share", 0400, "0" },
	{ "memory_share", 0400, "max" },
	{ "changed_inodes", 0400, "0" },
	{ "taken", 0400, "0" },
	{ "lost", 0400, "0" },
	{ "roots", 0400, "" },
	{ "state", 0400, "idle" },
	{ "add_root", 0200, NULL },
	{ "remove_root", 0200, NULL },
	{ "event_dirty_share", 0600, "0" },
	{ "event_memory_share", 0600, "0" },
	{ "event_changed_inodes", 0600, "0" },
	{ "event_exec", 0600, "0" },
	{ "event_exit", 0600, "0" },
	{ "event_oom_kill", 0600, "0" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void walk(const char *dir, const struct file *files, size_t nr)
{
	char path[512], buf[4096];
	struct dirent *e;
	struct stat st;
	size_t i, found = 0;
	DIR *d;

	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s%s", dir, files[i].name);
		check(!stat(path, &st) && (st.st_mode & 07777) == files[i].mode, "%s has mode %o",
		      files[i].name, files[i].mode);
		if (files[i].value)
			check(get(path, buf, sizeof(buf)) >= 0 && !strcmp(buf, files[i].value),
			      "%s reads '%s'", files[i].name, files[i].value);
	}
	d = opendir(dir);
	while (d && (e = readdir(d)))
		found += e->d_name[0] != '.';
	if (d)
		closedir(d);
	check(found == nr, "there is nothing else in %s (%zu of %zu)", dir, found, nr);
}

static void refuse(const char *file, const char *text, int err)
{
	int got = put(file, text);

	check(got == err, "'%.40s' into %s: %s", text, file, strerror(-err));
	if (got != err)
		note("got %s", strerror(-got));
}

static void test_refusals(void)
{
	char buf[64];

	refuse(TOP "tag", "files /files.d", -EEXIST);
	refuse(TOP "tag", "other /files.d", -EBUSY);
	refuse(TOP "tag", "other /files.d/a b", -EBUSY);
	refuse(TOP "tag", "other /", -EINVAL);
	refuse(TOP "tag", "other files.d", -EINVAL);
	refuse(TOP "tag", "other", -EINVAL);
	refuse(TOP "tag", "", 0);	/* sysfs does not pass on an empty write */
	refuse(TOP "tag", "other /no/such/cgroup", -ENOENT);
	refuse(TOP "tag", "other /files.d/cgroup.procs", -ENOTDIR);
	refuse(TOP "tag", "a/b /files.d", -EINVAL);
	refuse(TOP "tag", ". /files.d", -EINVAL);
	refuse(TOP "tag", "x123456789012345678901234567890123456789012345678901234567890123 /d",
	       -EINVAL);
	refuse(TOP "untag", "nobody", -ENOENT);
	refuse(GROUP "add_root", "/no/such/folder", -ENOENT);
	refuse(GROUP "add_root", "/etc/passwd", -ENOTDIR);
	refuse(GROUP "remove_root", "/tmp", -ENOENT);
	refuse(GROUP "event_dirty_share", "1001", -ERANGE);
	refuse(GROUP "event_dirty_share", "x", -EINVAL);
	refuse(GROUP "event_dirty_share", "-1", -EINVAL);
	refuse(GROUP "event_memory_share", "1001", -ERANGE);
	refuse(GROUP "event_memory_share", "5 5", -EINVAL);
	refuse(GROUP "event_changed_inodes", "18446744073709551616", -ERANGE);
	refuse(GROUP "event_exec", "2", -ERANGE);
	refuse(GROUP "event_exit", "", 0);
	refuse(GROUP "event_oom_kill", "yes", -EINVAL);
	/* the modes of sysfs files can be changed, what they can do cannot */
	check(!chmod(GROUP "tasks", 0600), "tasks is made writable");
	refuse(GROUP "tasks", "1", -EIO);
	check(!chmod(GROUP "add_root", 0600), "add_root is made readable");
	check(get(GROUP "add_root", buf, sizeof(buf)) < 0, "add_root cannot be read");
	check(!chmod(GROUP "tasks", 0400) && !chmod(GROUP "add_root", 0200), "as they were");
}

static void test_roots(void)
{
	char buf[4096];

	mkdir("/tmp/root one", 0755);
	mkdir("/tmp/root2", 0755);
	check(!put(GROUP "add_root", "/tmp/root one\n"), "a root with a space in its name");
	check(!put(GROUP "add_root", "/tmp/root2"), "a second one");
	get(GROUP "roots", buf, sizeof(buf));
	check(!strcmp(buf, "/tmp/root one\n/tmp/root2"), "roots has one per line");
	check(!put(GROUP "remove_root", "/tmp/root one"), "the first one goes");
	get(GROUP "roots", buf, sizeof(buf));
	check(!strcmp(buf, "/tmp/root2"), "and the other stays");
}

int main(void)
{
	char buf[64];

	cgroup_make("files.d");
	cgroup_make("files.d/a b");
	walk(TOP, top_files, COUNT(top_files));
	check(!put(TOP "tag", "files /files.d/a b\n"), "tag a cgroup with a space in its name");
	walk(GROUP, group_files, COUNT(group_files));
	test_refusals();
	test_roots();
	snprintf(buf, sizeof(buf), "%d", getpid());
	check(!put("/sys/fs/cgroup/files.d/a b/cgroup.procs", buf), "move this task in");
	get(GROUP "tasks", buf, sizeof(buf));
	check(!strcmp(buf, "1"), "tasks counts it (%s)", buf);
	snprintf(buf, sizeof(buf), "%d", getpid());
	put("/sys/fs/cgroup/cgroup.procs", buf);
	check(!put(TOP "untag", "files\n"), "untag");
	check(access(GROUP, F_OK) && errno == ENOENT, "its folder is gone");
	check(!put(TOP "tag", "files /files.d"), "the name is free again");
	check(!put(TOP "untag", "files"), "untag once more");
	cgroup_gone("files.d/a b");
	cgroup_gone("files.d");
	rmdir("/tmp/root one");
	rmdir("/tmp/root2");
	return finish();
}
