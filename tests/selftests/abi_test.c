// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * abi_test.c: every file of the module in sysfs is in docs/abi, as it is there, and the reverse
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/world.h"

#define GROUP "/sys/kernel/ckpt/groups/abi"
#define ENTRIES 64

/**
 * struct entry - one entry of docs/abi
 * @path: with <name> for the name of a group
 * @mode: RO, WO or RW, as its description begins
 * @files: how many files it was found to be
 */
struct entry {
	char path[256];
	char mode[3];
	int files;
};

static struct entry entries[ENTRIES];
static int nr;
/* Fields of the entry that is being read: What, Date, KernelVersion, Description. */
static int fields;

static void end_entry(void)
{
	if (fields)
		check(fields == 4 && entries[nr - 1].mode[0], "%s has every field and a mode",
		      entries[nr - 1].path);
	fields = 0;
}

static void read_line(char *line, bool *text)
{
	static const char * const field[] = { "What:\t\t", "Date:\t\t", "KernelVersion:\t",
					      "Description:" };
	char *mode = entries[nr ? nr - 1 : 0].mode;
	int i;

	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, field[0], strlen(field[0]))) {
		end_entry();
		if (nr == ENTRIES)
			die("too many entries");
		snprintf(entries[nr++].path, sizeof(entries[0].path), "%s",
			 line + strlen(field[0]));
	}
	for (i = 0; i < 4; i++)
		fields += !strncmp(line, field[i], strlen(field[i]));
	if (*text && sscanf(line, "\t\t(%2[ROW])", mode) != 1)
		note("no mode: %s", line);
	*text = !strcmp(line, field[3]);
}

static void read_docs(const char *path)
{
	bool text = false;
	char line[256];
	FILE *f = fopen(path, "re");

	if (!f)
		die("read %s", path);
	while (fgets(line, sizeof(line), f))
		read_line(line, &text);
	end_entry();
	fclose(f);
}

/* The entry of a file; groups/abi/ stands for groups/<name>/. */
static struct entry *entry_of(const char *path)
{
	char name[600];
	int i;

	if (!strncmp(path, GROUP "/", sizeof(GROUP)))
		snprintf(name, sizeof(name), "/sys/kernel/ckpt/groups/<name>/%s",
			 path + sizeof(GROUP));
	else
		snprintf(name, sizeof(name), "%s", path);
	for (i = 0; i < nr; i++)
		if (!strcmp(entries[i].path, name))
			return &entries[i];
	return NULL;
}

static void look_at(const char *path, const struct stat *st)
{
	static const struct {
		const char *said;
		mode_t mode;
	} modes[] = { { "RO", 0444 }, { "WO", 0200 }, { "RW", 0644 } };
	struct entry *e = entry_of(path);
	/* what is said of a group is for root alone */
	mode_t mode, all = strncmp(path, GROUP, strlen(GROUP)) ? 0777 : 0700;
	size_t i;

	if (!check(e, "%s is in docs/abi", path))
		return;
	e->files++;
	for (i = 0; i < 3; i++) {
		mode = modes[i].mode & all;
		if (!strcmp(modes[i].said, e->mode))
			check((st->st_mode & 07777) == mode && !st->st_uid && !st->st_gid,
			      "%s is %s and root's (%o)", path, e->mode, st->st_mode & 07777);
	}
}

static void walk(const char *dir)
{
	struct dirent *e;
	struct stat st;
	char path[512];
	DIR *d = opendir(dir);

	if (!d)
		die("open %s", dir);
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] == '.' || lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode)) {
			check((st.st_mode & 07777) == 0755 && !st.st_uid, "%s is a folder of root",
			      path);
			walk(path);
		} else {
			look_at(path, &st);
		}
	}
	closedir(d);
}

/* A group with all that a group can have. */
static void fill(struct client *c, struct round *r)
{
	cgroup_make("abi");
	mkdir("/tmp/abi", 0755);
	mkdir("/tmp/abi2", 0755);
	if (client_open(c) || client_group_new(c, "abi", "/abi") ||
	    client_root(c, CKPT_CMD_ROOT_ADD, "abi", "/tmp/abi") ||
	    client_root(c, CKPT_CMD_ROOT_ADD, "abi", "/tmp/abi2") ||
	    client_set(c, "abi", 7, 150, 900, 1000) || client_begin(c, "abi", r))
		die("fill: %s", c->text);
}

/* One value per file, and the one that was set. */
static void values(void)
{
	static const char * const want[][2] = {
		{ "roots", "/tmp/abi\n/tmp/abi2" }, { "state", "taking" }, { "epoch", "1" },
		{ "event_exec", "1" }, { "event_exit", "1" }, { "event_oom_kill", "1" },
		{ "event_dirty_share", "150" }, { "event_memory_share", "900" },
		{ "event_changed_inodes", "1000" }, { "memory_share", "max" },
	};
	char path[256], buf[4096];
	size_t i;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		snprintf(path, sizeof(path), GROUP "/%s", want[i][0]);
		check(get(path, buf, sizeof(buf)) > 0 && !strcmp(buf, want[i][1]), "%s reads %s",
		      want[i][0], want[i][1]);
	}
	get("/sys/kernel/ckpt/features", buf, sizeof(buf));
	check(!strcmp(buf, "pages inodes exec exit oom-kill memory-share ranges"), "features: %s",
	      buf);
}

/* The version that the module was built with, in all places. */
static void versions(void)
{
	static const char * const path[] = { "/sys/kernel/ckpt/version",
					     "/sys/module/ckpt/version" };
	char line[256], want[64] = "", is[64];
	FILE *f = fopen("kmod/Kbuild", "re");
	int i;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "CKPT_VERSION := %63s", want);
	if (!f || fclose(f) || !want[0])
		die("kmod/Kbuild");
	for (i = 0; i < 2; i++)
		check(get(path[i], is, sizeof(is)) > 0 && !strcmp(is, want), "%s reads %s", path[i],
		      want);
}

int main(void)
{
	struct client c;
	struct round r;
	int i;

	read_docs("docs/abi/sysfs-kernel-ckpt");
	read_docs("docs/abi/sysfs-module-ckpt");
	fill(&c, &r);
	walk("/sys/kernel/ckpt");
	walk("/sys/module/ckpt/parameters");
	for (i = 0; i < nr; i++)
		check(entries[i].files == 1, "%s is one file (%d)", entries[i].path,
		      entries[i].files);
	values();
	versions();
	client_abort(&c, "abi", r.epoch);
	check(!client_group_del(&c, "abi"), "untag");
	client_close(&c);
	cgroup_gone("abi");
	rmdir("/tmp/abi");
	rmdir("/tmp/abi2");
	return finish();
}
