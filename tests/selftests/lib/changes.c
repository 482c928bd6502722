// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking the changed inodes of a group, for tests
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

void changes_open(struct changes *c, const char *group)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char path[128];

	*c = (struct changes){ .group = group };
	cgroup_make(group);
	snprintf(path, sizeof(path), "/%s", group);
	if (ckpt_nl_open(&c->nl, &err) || ckpt_nl_group_new(c->nl, group, path, &err))
		die("%s", err.text);
}

static void forget(struct changes *c)
{
	while (c->n)
		free(c->kept[--c->n]);
}

void changes_close(struct changes *c)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	if (ckpt_nl_group_del(c->nl, c->group, &err))
		die("%s", err.text);
	ckpt_nl_close(c->nl);
	forget(c);
	free(c->inodes);
	free(c->kept);
	cgroup_gone(c->group);
}

void changes_root(struct changes *c, const char *path)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	if (ckpt_nl_root_add(c->nl, c->group, path, &err))
		die("%s", err.text);
}

static int keep(const struct ckpt_nl_inode *inode, void *data, struct ckpt_err *err)
{
	struct changes *c = data;

	(void)err;
	if (!(c->n & (c->n - 1))) {
		c->inodes = realloc(c->inodes, (2 * c->n + 1) * sizeof(*c->inodes));
		c->kept = realloc(c->kept, (2 * c->n + 1) * sizeof(*c->kept));
		if (!c->inodes || !c->kept)
			die("no memory");
	}
	c->kept[c->n] = malloc((inode->n_ranges + 1) * sizeof(*inode->ranges));
	if (!c->kept[c->n])
		die("no memory");
	if (inode->n_ranges)
		memcpy(c->kept[c->n], inode->ranges, inode->n_ranges * sizeof(*inode->ranges));
	c->inodes[c->n] = *inode;
	c->inodes[c->n].ranges = c->kept[c->n];
	c->n++;
	return 0;
}

void changes_take(struct changes *c)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int failed;

	failed = c->open ? ckpt_nl_epoch_next(c->nl, c->group, false, &c->round, &err)
			 : ckpt_nl_epoch_begin(c->nl, c->group, &c->round, &err);
	c->open = true;
	forget(c);
	if (failed || ckpt_nl_inode_dump(c->nl, c->group, keep, c, &err))
		die("%s", err.text);
	if (c->n != c->round.inodes)
		die("the dump has %zu inodes, the round %llu", c->n,
		    (unsigned long long)c->round.inodes);
}

void changes_commit(struct changes *c)
{
	const uint8_t id[CKPT_ID_LEN] = { 7 };
	struct ckpt_err err = CKPT_ERR_INIT;

	c->open = false;
	if (ckpt_nl_epoch_commit(c->nl, c->group, c->round.epoch, id, &err))
		die("%s", err.text);
}

void changes_abort(struct changes *c)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	c->open = false;
	if (ckpt_nl_epoch_abort(c->nl, c->group, c->round.epoch, &err))
		die("%s", err.text);
}

void changes_settle(struct changes *c)
{
	int i = 0;

	do {
		changes_take(c);
		changes_commit(c);
	} while (c->n && ++i < 3);
}

static const struct ckpt_nl_inode *find(const struct changes *c, const struct stat *st)
{
	uint64_t dev = (uint64_t)major(st->st_dev) << 32 | minor(st->st_dev);
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->inodes[i].ino == st->st_ino && c->inodes[i].dev == dev)
			return &c->inodes[i];
	return NULL;
}

uint32_t changes_mask(const struct changes *c, const struct stat *st)
{
	const struct ckpt_nl_inode *inode = find(c, st);

	return inode ? inode->mask : 0;
}

uint32_t changes_flags(const struct changes *c, const struct stat *st)
{
	const struct ckpt_nl_inode *inode = find(c, st);

	return inode ? inode->flags : 0;
}

const struct ckpt_extent *changes_ranges(const struct changes *c, const struct stat *st,
					 size_t *ret_n)
{
	const struct ckpt_nl_inode *inode = find(c, st);

	if (!inode || !(inode->flags & CKPT_INODE_F_RANGES))
		return NULL;
	*ret_n = inode->n_ranges;
	return inode->ranges;
}

struct stat changes_id(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		die("lstat %s", path);
	st.st_dev = disk_of(path);
	return st;
}

bool changes_want(const struct changes *c, const struct stat *st, uint32_t mask, const char *what)
{
	uint32_t got = changes_mask(c, st);
	bool dir = changes_flags(c, st) & CKPT_INODE_F_DIR;
	bool good = mask ? (got & ~CKPT_INODE_SUSPECT) == (mask & ~CKPT_INODE_SUSPECT) &&
			   (got & mask) == mask && got
			 : !got;

	if (got && dir != S_ISDIR(st->st_mode))
		good = false;
	return check(good, "%s (mask %#x, wanted %#x)", what, got, mask);
}

bool changes_count(const struct changes *c, size_t n, const char *what)
{
	size_t i, certain = 0;

	for (i = 0; i < c->n; i++)
		certain += c->inodes[i].mask != CKPT_INODE_SUSPECT;
	if (check(certain == n, "%s: %zu inodes, no others (%zu)", what, n, certain))
		return true;
	for (i = 0; i < c->n; i++)
		note("inode %llu mask %#x flags %#x", (unsigned long long)c->inodes[i].ino,
		     c->inodes[i].mask, c->inodes[i].flags);
	return false;
}

void append(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
		die("append to %s", path);
}

bool changes_hooked(void)
{
	char line[512];
	bool hooked = false;
	FILE *f = fopen("/sys/kernel/tracing/enabled_functions", "re");

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		hooked |= !strncmp(line, "fsnotify ", 9) ||
			  !strncmp(line, "__fsnotify_parent ", 18);
	fclose(f);
	return hooked;
}
