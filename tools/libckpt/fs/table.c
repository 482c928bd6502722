// SPDX-License-Identifier: GPL-2.0-or-later
/* Table of the roots: nodes, names and their indexes. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/table.h"

static size_t mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15ull;
	return x >> 24;
}

static size_t name_hash(const struct ckpt_fs_inode *dir, const char *name)
{
	uint64_t h = (uintptr_t)dir >> 4;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ull;
	return mix(h);
}

int ckpt_fs_table_new(struct ckpt_fs_table **ret, struct ckpt_err *err)
{
	struct ckpt_fs_table *t = calloc(1, sizeof(*t));

	if (t)
		t->buf = malloc(CKPT_FS_CHUNK);
	if (!t || !t->buf) {
		free(t);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the table of files");
	}
	/* Faulted in now: in the frozen instant a page fault is time. */
	memset(t->buf, 0, CKPT_FS_CHUNK);
	*ret = t;
	return 0;
}

static void inode_free(struct ckpt_fs_inode *i)
{
	ckpt_fs_meta_done(&i->meta);
	free(i);
}

void ckpt_fs_table_free(struct ckpt_fs_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cap_names; i++)
		for (struct ckpt_fs_node *n = t->names[i], *next; n; n = next) {
			next = n->chain;
			free(n);
		}
	for (struct ckpt_fs_inode *i = t->all, *next; i; i = next) {
		next = i->all_next;
		inode_free(i);
	}
	for (size_t i = 0; i < t->n_roots; i++) {
		free(t->roots[i].path);
		ckpt_cleanup_close(&t->roots[i].fd);
	}
	free(t->roots);
	free(t->names);
	free(t->inodes);
	free(t->work);
	free(t->buf);
	free(t);
}

static bool contains(const char *outer, const char *inner)
{
	size_t n = strlen(outer);

	return !strncmp(outer, inner, n) && (!inner[n] || inner[n] == '/');
}

static bool canonical(const char *path)
{
	if (path[0] != '/' || !path[1])
		return false;
	while (*path) {
		const char *name = ++path;
		size_t n;

		path = strchrnul(name, '/');
		n = path - name;
		if (!n || (n == 1 && name[0] == '.') || (n == 2 && !memcmp(name, "..", 2)))
			return false;
	}
	return true;
}

int ckpt_fs_table_add_root(struct ckpt_fs_table *t, const char *path, struct ckpt_err *err)
{
	struct ckpt_fs_root *roots;
	char *copy;

	if (!canonical(path))
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "root %s is not an absolute plain path below /", path);
	for (size_t i = 0; i < t->n_roots; i++)
		if (contains(t->roots[i].path, path) || contains(path, t->roots[i].path))
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "root %s overlaps with root %s; keep the outer one alone",
					 path, t->roots[i].path);
	roots = realloc(t->roots, (t->n_roots + 1) * sizeof(*roots));
	if (roots)
		t->roots = roots;
	copy = strdup(path);
	if (!roots || !copy) {
		free(copy);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for root %s", path);
	}
	roots[t->n_roots++] = (struct ckpt_fs_root){ .path = copy, .fd = -1 };
	/* The array may have moved. */
	for (size_t i = 0; i < t->n_roots; i++)
		if (roots[i].top)
			roots[i].top->root = &roots[i];
	return 0;
}

int ckpt_fs_table_del_root(struct ckpt_fs_table *t, const char *path, struct ckpt_err *err)
{
	for (size_t i = 0; i < t->n_roots; i++) {
		struct ckpt_fs_root *root = &t->roots[i];

		if (strcmp(root->path, path))
			continue;
		if (root->top)
			root->top->root = NULL;
		free(root->path);
		ckpt_cleanup_close(&root->fd);
		memmove(root, root + 1, (--t->n_roots - i) * sizeof(*root));
		for (; i < t->n_roots; i++)
			if (t->roots[i].top)
				t->roots[i].top->root = &t->roots[i];
		return 0;
	}
	return ckpt_fail(err, CKPT_USAGE, 0, "%s is no root of this group", path);
}

static int grow_names(struct ckpt_fs_table *t)
{
	size_t cap = t->cap_names ? t->cap_names * 2 : 1024;
	struct ckpt_fs_node **slots = calloc(cap, sizeof(*slots));

	if (!slots)
		return -1;
	for (size_t i = 0; i < t->cap_names; i++)
		for (struct ckpt_fs_node *n = t->names[i], *next; n; n = next) {
			size_t h = name_hash(n->dir, n->name) & (cap - 1);

			next = n->chain;
			n->chain = slots[h];
			slots[h] = n;
		}
	free(t->names);
	t->names = slots;
	t->cap_names = cap;
	return 0;
}

static int grow_inodes(struct ckpt_fs_table *t)
{
	size_t cap = t->cap_inodes ? t->cap_inodes * 2 : 1024;
	struct ckpt_fs_inode **slots = calloc(cap, sizeof(*slots));

	if (!slots)
		return -1;
	free(t->inodes);
	t->inodes = slots;
	t->cap_inodes = cap;
	for (struct ckpt_fs_inode *i = t->all; i; i = i->all_next) {
		size_t h = mix(i->meta.ino) & (cap - 1);

		i->chain = slots[h];
		slots[h] = i;
	}
	return 0;
}

struct ckpt_fs_node *ckpt_fs_lookup(const struct ckpt_fs_table *t,
				    const struct ckpt_fs_inode *dir, const char *name)
{
	struct ckpt_fs_node *n;

	if (!t->cap_names)
		return NULL;
	n = t->names[name_hash(dir, name) & (t->cap_names - 1)];
	while (n && (n->dir != dir || strcmp(n->name, name)))
		n = n->chain;
	return n;
}

struct ckpt_fs_inode *ckpt_fs_by_ino(const struct ckpt_fs_table *t, uint64_t ino,
				     const struct ckpt_fs_inode *after)
{
	struct ckpt_fs_inode *i;

	if (!t->cap_inodes)
		return NULL;
	i = after ? after->chain : t->inodes[mix(ino) & (t->cap_inodes - 1)];
	while (i && i->meta.ino != ino)
		i = i->chain;
	return i;
}

static void index_inode(struct ckpt_fs_table *t, struct ckpt_fs_inode *i)
{
	struct ckpt_fs_inode **slot = &t->inodes[mix(i->meta.ino) & (t->cap_inodes - 1)];

	i->chain = *slot;
	*slot = i;
}

static void unindex_inode(struct ckpt_fs_table *t, struct ckpt_fs_inode *i)
{
	struct ckpt_fs_inode **at = &t->inodes[mix(i->meta.ino) & (t->cap_inodes - 1)];

	while (*at != i)
		at = &(*at)->chain;
	*at = i->chain;
}

struct ckpt_fs_inode *ckpt_fs_inode_new(struct ckpt_fs_table *t, struct ckpt_fs_meta *m,
					uint32_t space)
{
	struct ckpt_fs_inode *i;

	if (t->n_inodes >= t->cap_inodes && grow_inodes(t))
		return NULL;
	i = calloc(1, sizeof(*i));
	if (!i)
		return NULL;
	i->meta = *m;
	*m = (struct ckpt_fs_meta){ 0 };
	i->space = space;
	i->all_next = t->all;
	if (t->all)
		t->all->all_prev = i;
	t->all = i;
	t->n_inodes++;
	index_inode(t, i);
	return i;
}

void ckpt_fs_inode_drop(struct ckpt_fs_table *t, struct ckpt_fs_inode *i)
{
	unindex_inode(t, i);
	if (i->all_prev)
		i->all_prev->all_next = i->all_next;
	else
		t->all = i->all_next;
	if (i->all_next)
		i->all_next->all_prev = i->all_prev;
	t->n_inodes--;
	inode_free(i);
}

void ckpt_fs_inode_set(struct ckpt_fs_table *t, struct ckpt_fs_inode *i, struct ckpt_fs_meta *m)
{
	unindex_inode(t, i);
	ckpt_fs_meta_done(&i->meta);
	i->meta = *m;
	*m = (struct ckpt_fs_meta){ 0 };
	index_inode(t, i);
}

struct ckpt_fs_node *ckpt_fs_link(struct ckpt_fs_table *t, struct ckpt_fs_inode *dir,
				  const char *name, struct ckpt_fs_inode *inode)
{
	size_t len = strlen(name) + 1;
	struct ckpt_fs_node *n, **slot;

	if (t->n_names >= t->cap_names && grow_names(t))
		return NULL;
	n = calloc(1, sizeof(*n) + len);
	if (!n)
		return NULL;
	memcpy(n->name, name, len);
	n->dir = dir;
	n->inode = inode;
	n->other = inode->names;
	inode->names = n;
	n->prev = dir->last;
	if (dir->last)
		dir->last->next = n;
	else
		dir->first = n;
	dir->last = n;
	slot = &t->names[name_hash(dir, name) & (t->cap_names - 1)];
	n->chain = *slot;
	*slot = n;
	t->n_names++;
	dir->dirty = true;
	return n;
}

void ckpt_fs_unlink(struct ckpt_fs_table *t, struct ckpt_fs_node *node)
{
	struct ckpt_fs_node **at = &t->names[name_hash(node->dir, node->name) & (t->cap_names - 1)];
	struct ckpt_fs_inode *dir = node->dir;

	while (*at != node)
		at = &(*at)->chain;
	*at = node->chain;
	for (at = &node->inode->names; *at != node;)
		at = &(*at)->other;
	*at = node->other;
	*(node->prev ? &node->prev->next : &dir->first) = node->next;
	*(node->next ? &node->next->prev : &dir->last) = node->prev;
	t->n_names--;
	dir->dirty = true;
	free(node);
}

char *ckpt_fs_path(const struct ckpt_fs_inode *dir, const char *name,
		   struct ckpt_fs_root **ret_root)
{
	size_t len = name ? strlen(name) + 1 : 1, at;
	const struct ckpt_fs_inode *d;
	char *path;

	for (d = dir; d->names; d = d->names->dir)
		len += strlen(d->names->name) + 1;
	if (!d->root)
		return NULL;
	path = malloc(len);
	if (!path)
		return NULL;
	*ret_root = d->root;
	at = len - 1;
	path[at] = 0;
	if (name) {
		at -= strlen(name);
		memcpy(path + at, name, strlen(name));
	}
	for (d = dir; d->names; d = d->names->dir) {
		size_t n = strlen(d->names->name);

		if (path[at])
			path[--at] = '/';
		at -= n;
		memcpy(path + at, d->names->name, n);
	}
	memmove(path, path + at, len - at);
	return path;
}

struct ckpt_fs_root *ckpt_fs_table_root_of(const struct ckpt_fs_table *t, const char *path)
{
	for (size_t i = 0; i < t->n_roots; i++)
		if (contains(t->roots[i].path, path))
			return &t->roots[i];
	return NULL;
}

const struct ckpt_fs_inode *ckpt_fs_table_find(const struct ckpt_fs_table *t, const char *path)
{
	struct ckpt_fs_root *root = ckpt_fs_table_root_of(t, path);
	const struct ckpt_fs_inode *i = root ? root->top : NULL;
	cleanup_free char *copy = root ? strdup(path + strlen(root->path)) : NULL;
	char *save = NULL;

	for (char *name = copy ? strtok_r(copy, "/", &save) : NULL; i && name;
	     name = strtok_r(NULL, "/", &save)) {
		struct ckpt_fs_node *n = ckpt_fs_lookup(t, i, name);

		i = n ? n->inode : NULL;
	}
	return copy ? i : NULL;
}

size_t ckpt_fs_table_count(const struct ckpt_fs_table *t)
{
	size_t n = t->n_names;

	for (size_t i = 0; i < t->n_roots; i++)
		n += !!t->roots[i].top;
	return n;
}
