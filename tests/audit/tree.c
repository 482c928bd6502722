// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A full copy of what is below the root: everything of every inode
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <netlink/attr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "audit.h"
#include "tree.h"

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	for (; len; p++, len--)
		hash = (hash ^ *p) * 0x100000001b3ULL;
	return hash;
}

static uint64_t mix_attributes(uint64_t hash, const char *path)
{
	char names[512], value[512];
	ssize_t len = llistxattr(path, names, sizeof(names)), got;
	const char *name;

	for (name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
		got = lgetxattr(path, name, value, sizeof(value));
		hash = mix(hash, name, strlen(name));
		hash = mix(hash, value, got > 0 ? (size_t)got : 0);
	}
	return hash;
}

static void read_file(struct node *n, const char *path)
{
	static char buf[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOATIME);
	ssize_t got;
	long generation = 0;

	if (fd < 0 || ioctl(fd, FS_IOC_GETVERSION, &generation))
		die("open %s", path);
	n->generation = (uint32_t)generation;
	while ((got = read(fd, buf, sizeof(buf))) > 0)
		n->data = mix(n->data, buf, (size_t)got);
	if (got)
		die("read %s", path);
	close(fd);
}

static void add(struct tree *t, const char *path, uint64_t parent);

/* Entries in any order have the same sum. */
static void read_directory(struct tree *t, size_t index, const char *path)
{
	uint64_t ino = t->node[index].ino, sum = 0;
	struct dirent *e;
	long generation;
	char below[80];
	DIR *d = opendir(path);

	if (!d || ioctl(dirfd(d), FS_IOC_GETVERSION, &generation))
		die("open %s", path);
	t->node[index].generation = (uint32_t)generation;
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		sum += mix(e->d_ino, e->d_name, strlen(e->d_name));
		if (snprintf(below, sizeof(below), "%s/%s", path, e->d_name) >= 80)
			die("%s: the path is too long", path);
		add(t, below, ino);
	}
	t->node[index].data = sum;
	closedir(d);
}

static void add(struct tree *t, const char *path, uint64_t parent)
{
	struct node n = { .parent = parent };
	char target[80];
	struct stat st;
	ssize_t len;
	size_t i;

	if (lstat(path, &st))
		die("lstat %s", path);
	for (i = 0; i < t->nr; i++)
		if (t->node[i].ino == st.st_ino)
			return;
	n.dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	n.ino = st.st_ino;
	n.directory = S_ISDIR(st.st_mode);
	snprintf(n.path, sizeof(n.path), "%s", path);
	n.meta = mix(n.meta, &st.st_mode, sizeof(st.st_mode));
	n.meta = mix(n.meta, &st.st_uid, sizeof(st.st_uid));
	n.meta = mix(n.meta, &st.st_gid, sizeof(st.st_gid));
	n.meta = mix(n.meta, &st.st_rdev, sizeof(st.st_rdev));
	n.hash = mix(n.hash, &st.st_nlink, sizeof(st.st_nlink));
	n.hash = mix(n.hash, &st.st_size, sizeof(st.st_size));
	/* Of a named pipe an asynchronous write changes nothing else, and makes no event. */
	if (!S_ISFIFO(st.st_mode))
		n.hash = mix(n.hash, &st.st_mtim, sizeof(st.st_mtim));
	n.meta = mix_attributes(n.meta, path);
	if (S_ISREG(st.st_mode))
		read_file(&n, path);
	len = S_ISLNK(st.st_mode) ? readlink(path, target, sizeof(target)) : 0;
	if (len > 0)
		n.data = mix(0, target, (size_t)len);
	if (!(t->nr & (t->nr - 1))) {
		t->node = realloc(t->node, (2 * t->nr + 1) * sizeof(n));
		if (!t->node)
			die("no memory for the tree");
	}
	t->node[t->nr++] = n;
	if (n.directory)
		read_directory(t, t->nr - 1, path);
}

void tree_read(struct tree *t, const char *root)
{
	memset(t, 0, sizeof(*t));
	add(t, root, 0);
}

void tree_free(struct tree *t)
{
	free(t->node);
	memset(t, 0, sizeof(*t));
}

/* --- what was told --- */

static void got_inode(struct nlattr **attrs, void *data)
{
	struct inodes *all = data;

	if (!(all->nr & (all->nr - 1))) {
		all->inode = realloc(all->inode, (2 * all->nr + 1) * sizeof(*all->inode));
		if (!all->inode)
			die("no memory for inodes");
	}
	all->inode[all->nr++] = (struct inode){
		.dev = nla_get_u64(attrs[CKPT_A_INODE_DEV]),
		.ino = nla_get_u64(attrs[CKPT_A_INODE_INO]),
		.generation = nla_get_u32(attrs[CKPT_A_INODE_GENERATION]),
		.mask = nla_get_u32(attrs[CKPT_A_INODE_MASK]),
	};
}

int inodes_add(struct inodes *all, struct client *c, const char *group)
{
	return client_inodes(c, group, got_inode, all);
}

/* --- comparison --- */

static const struct node *find(const struct tree *t, const struct node *like)
{
	size_t i;

	for (i = 0; i < t->nr; i++)
		if (t->node[i].ino == like->ino && t->node[i].generation == like->generation)
			return &t->node[i];
	return NULL;
}

static bool is_told(const struct inodes *told, const struct node *n, uint32_t mask)
{
	size_t i;

	for (i = 0; i < told->nr; i++)
		if (told->inode[i].ino == n->ino && told->inode[i].dev == n->dev &&
		    (!n->generation || told->inode[i].generation == n->generation) &&
		    (told->inode[i].mask & mask))
			return true;
	return false;
}

/*
 * An inode is found when it is told, or when a directory above it came from elsewhere: what
 * happened below that meanwhile happened outside the root, and all of it is looked at.
 */
static bool came_along(const struct tree *now, const struct inodes *told, const struct node *n)
{
	size_t i;

	for (i = 0; i < now->nr; i++)
		if (now->node[i].ino == n->parent && now->node[i].directory)
			return is_told(told, &now->node[i], CKPT_INODE_CREATED) ||
			       came_along(now, told, &now->node[i]);
	return false;
}

static void report(const struct inodes *told, const struct node *n, const char *what)
{
	uint32_t mask = 0;
	size_t i;

	for (i = 0; i < told->nr; i++)
		if (told->inode[i].ino == n->ino)
			mask |= told->inode[i].mask;
	note("LOST inode %" PRIu64 " generation %u, %s: %s; told of that number: %#x", n->ino,
	     n->generation, n->path, what, mask);
}

/* What differs of an inode and was not told as that, or NULL. */
static const char *untold(const struct node *old, const struct node *n,
			  const struct inodes *told)
{
	const uint32_t content = n->directory ? CKPT_INODE_ENTRIES
					      : CKPT_INODE_DATA | CKPT_INODE_SUSPECT;

	/* All of it is looked at. */
	if (is_told(told, n, CKPT_INODE_CREATED))
		return NULL;
	if (!old)
		return "it is new";
	if (old->data != n->data && !is_told(told, n, content))
		return n->directory ? "its entries changed" : "its content changed";
	if (old->meta != n->meta && !is_told(told, n, CKPT_INODE_META))
		return "its mode, owner or attributes changed";
	if (old->hash != n->hash && !is_told(told, n, ~0U))
		return "it changed";
	return NULL;
}

static bool same(const struct node *old, const struct node *n)
{
	return old && old->data == n->data && old->meta == n->meta && old->hash == n->hash;
}

size_t tree_compare(const struct tree *then, const struct tree *now, const struct inodes *told,
		    size_t *ret_changed, size_t *ret_false)
{
	const struct node *n, *old;
	const char *what;
	size_t i, lost = 0;

	*ret_changed = *ret_false = 0;
	for (i = 0; i < now->nr; i++) {
		n = &now->node[i];
		old = find(then, n);
		if (n->unsteady)
			continue;
		if (same(old, n)) {
			*ret_false += is_told(told, n, ~(uint32_t)CKPT_INODE_SUSPECT);
			continue;
		}
		++*ret_changed;
		what = untold(old, n, told);
		if (!what || came_along(now, told, n))
			continue;
		report(told, n, what);
		lost++;
	}
	return lost;
}

size_t tree_written_on(struct tree *now, const char *path, int held, const struct inodes *told)
{
	size_t i, lost = 0, len = strlen(path);
	struct node *n;
	int found = 0;

	for (i = 0; i < now->nr; i++) {
		n = &now->node[i];
		if (strncmp(n->path, path, len))
			continue;
		n->unsteady = true;
		if (atoi(n->path + len) >= held)
			continue;
		found++;
		if (is_told(told, n, CKPT_INODE_SUSPECT | CKPT_INODE_DATA))
			continue;
		report(told, n, "it is written on, and not told as suspect");
		lost++;
	}
	if (found != held)
		die("%d files that are written on, of %d", found, held);
	return lost;
}
