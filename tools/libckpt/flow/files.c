// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of a checkpoint. */
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "flow/files.h"

void ckpt_files_done(struct ckpt_files *files)
{
	ckpt_fs_table_free(files->table);
	*files = (struct ckpt_files){ 0 };
}

static bool is_root_of(const struct ckpt_tagged *group, const char *path)
{
	for (size_t i = 0; i < group->n_roots; i++)
		if (!strcmp(group->roots[i], path))
			return true;
	return false;
}

/* Make the roots of the table those of the group. Return: 0, 1 when some were added, -1. */
static int same_roots(struct ckpt_fs_table *table, const struct ckpt_tagged *group,
		      struct ckpt_err *err)
{
	int added = 0;

	for (size_t i = table->n_roots; i-- > 0;)
		if (!is_root_of(group, table->roots[i].path) &&
		    ckpt_fs_table_del_root(table, table->roots[i].path, err))
			return -1;
	for (size_t i = 0; i < group->n_roots; i++) {
		bool there = false;

		for (size_t j = 0; j < table->n_roots; j++)
			there |= !strcmp(table->roots[j].path, group->roots[i]);
		if (there)
			continue;
		if (ckpt_fs_table_add_root(table, group->roots[i], err))
			return -1;
		added = 1;
	}
	return added;
}

/*
 * On overlayfs a file with hard links in the lower layer has one inode number for
 * the module and, once it was copied up, another one for stat: its changes would
 * find nothing in the table.
 */
static bool numbers_agree(const struct ckpt_tagged *group)
{
	struct statfs fs;

	for (size_t i = 0; i < group->n_roots; i++)
		if (statfs(group->roots[i], &fs) || fs.f_type == OVERLAYFS_SUPER_MAGIC)
			return false;
	return true;
}

int ckpt_files_open(struct ckpt_files *files, const struct ckpt_tagged *group,
		    const struct ckpt_source *source, const void *blob, size_t len,
		    bool inodes_known, bool trusted, struct ckpt_err *err)
{
	struct ckpt_files f = { 0 };
	int added;

	if (source ? ckpt_fs_table_load(source, blob, len, &f.table, err) :
		     ckpt_fs_table_new(&f.table, err))
		return -1;
	added = same_roots(f.table, group, err);
	if (added < 0) {
		ckpt_files_done(&f);
		return -1;
	}
	f.inodes_known = inodes_known && numbers_agree(group);
	f.by_changes = f.inodes_known && trusted && !added;
	f.ranges_known = f.by_changes;
	*files = f;
	return 0;
}

static int by_changes(struct ckpt_files *files, const struct ckpt_inode_take *changes,
		      unsigned int flags, const struct ckpt_sink *sink, struct ckpt_err *err)
{
	cleanup_free struct ckpt_fs_change *list = calloc(changes->n_changes + 1, sizeof(*list));

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the changed files");
	for (size_t i = 0; i < changes->n_changes; i++)
		list[i] = (struct ckpt_fs_change){
			.dev = changes->changes[i].dev, .ino = changes->changes[i].ino,
			.mask = changes->changes[i].mask, .flags = changes->changes[i].flags,
			.ranges = changes->changes[i].ranges,
			.n_ranges = changes->changes[i].n_ranges,
		};
	for (size_t i = 0; i < changes->n_changes && !files->ranges_known; i++)
		list[i].flags &= ~CKPT_INODE_F_RANGES;
	return ckpt_fs_changes(files->table, sink, flags, list, changes->n_changes, &files->stats,
			       err);
}

static int by_scan(struct ckpt_files *files, const struct ckpt_image *image, unsigned int flags,
		   const struct ckpt_sink *sink, struct ckpt_err *err)
{
	size_t n = 0, max = image ? image->n_files : 0;
	cleanup_free struct ckpt_fs_change *suspects = calloc(max + 1, sizeof(*suspects));

	if (!suspects)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the changed files");
	for (size_t i = 0; i < max; i++)
		if (image->files[i].kind == CKPT_FILE_REG && image->files[i].writable)
			suspects[n++] = (struct ckpt_fs_change){
				.dev = image->files[i].dev, .ino = image->files[i].ino,
				.mask = CKPT_INODE_SUSPECT, .flags = CKPT_INODE_F_OPEN,
			};
	return ckpt_fs_scan(files->table, sink, flags, suspects, n, &files->stats, err);
}

int ckpt_files_round(struct ckpt_files *files, const struct ckpt_inode_take *changes,
		     const struct ckpt_image *image, bool final, const struct ckpt_sink *sink,
		     struct ckpt_err *err)
{
	unsigned int flags = final ? CKPT_FS_FINAL : 0;

	if (files->by_changes)
		return by_changes(files, changes, flags, sink, err);
	if (by_scan(files, image, flags, sink, err))
		return -1;
	files->by_changes = files->inodes_known && !final;
	return 0;
}

/* Where a name is, from "/" on. */
static char *whole_path(const struct ckpt_fs_node *n)
{
	struct ckpt_fs_root *root;
	cleanup_free char *path = ckpt_fs_path(n->dir, n->name, &root);
	char *whole;

	return path && asprintf(&whole, "%s/%s", root->path, path) >= 0 ? whole : NULL;
}

char *ckpt_files_path(const void *files, uint64_t ino, size_t nth)
{
	const struct ckpt_fs_table *table = ((const struct ckpt_files *)files)->table;
	const struct ckpt_fs_inode *i = NULL;

	while ((i = ckpt_fs_by_ino(table, ino, i))) {
		if (i->root && !nth--)
			return strdup(i->root->path);
		for (const struct ckpt_fs_node *n = i->names; n; n = n->other) {
			if (!nth--)
				return whole_path(n);
		}
	}
	return NULL;
}
