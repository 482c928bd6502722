/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trees for the tests of the file side: random work on one, with the changes that
 * the module would report, and a text that says all that matters of a tree, taken
 * from the disk without the library or from a table.
 */
#ifndef CKPT_TESTS_FS_TREE_H
#define CKPT_TESTS_FS_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/ckpt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/capture.h"
#include "memstore.h"

#define must(call) assert_true((call) >= 0)

static inline char *tree_new(void)
{
	static char dir[256];
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/ckpt-fs-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline void tree_remove(const char *path)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf -- '%s'", path);
	assert_int_equal(system(command), 0);
}

static inline void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

static inline uint64_t fnv(uint64_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 0x100000001b3ull;
	return h;
}

/* The first path of each inode with several links. */
struct links {
	struct {
		uint64_t dev, ino;
		const void *inode;
		char path[256];
	} seen[512];
	int n;
};

static inline const char *first_path(struct links *l, uint64_t dev, uint64_t ino,
				     const void *inode, const char *path)
{
	for (int i = 0; i < l->n; i++)
		if (l->seen[i].dev == dev && l->seen[i].ino == ino && l->seen[i].inode == inode)
			return l->seen[i].path;
	assert_true(l->n < 512);
	l->seen[l->n].dev = dev;
	l->seen[l->n].ino = ino;
	l->seen[l->n].inode = inode;
	snprintf(l->seen[l->n].path, sizeof(l->seen[l->n].path), "%s", path);
	return l->seen[l->n++].path;
}

static inline void say(FILE *out, const char *path, const char *first, uint32_t mode, uint32_t uid,
		       uint32_t gid, int64_t mtime_ns, uint64_t size, uint64_t rdev,
		       const char *target, uint64_t content)
{
	fprintf(out, "%s link:%s %o %u:%u %lld", path, first, mode, uid, gid, (long long)mtime_ns);
	if (S_ISREG(mode))
		fprintf(out, " %llu bytes #%llx", (unsigned long long)size,
			(unsigned long long)content);
	if (S_ISCHR(mode) || S_ISBLK(mode))
		fprintf(out, " dev %llx", (unsigned long long)rdev);
	if (target)
		fprintf(out, " -> %s", target);
}

static inline void disk_node(FILE *out, const char *full, const char *path, struct links *l,
			     const struct stat *st)
{
	char target[4096] = "", list[4096], value[256];
	uint64_t h = 0xcbf29ce484222325ull;
	ssize_t n;

	if (S_ISREG(st->st_mode)) {
		int fd = open(full, O_RDONLY | O_NOATIME | O_CLOEXEC);
		char buf[4096];

		assert_true(fd >= 0);
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			h = fnv(h, buf, n);
		close(fd);
	}
	if (S_ISLNK(st->st_mode))
		must(readlink(full, target, sizeof(target) - 1));
	say(out, path,
	    S_ISDIR(st->st_mode) ? "-" : first_path(l, st->st_dev, st->st_ino, NULL, path),
	    st->st_mode, st->st_uid, st->st_gid,
	    st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec, st->st_size,
	    (uint64_t)major(st->st_rdev) << 32 | minor(st->st_rdev),
	    S_ISLNK(st->st_mode) ? target : NULL, h);
	n = llistxattr(full, list, sizeof(list));
	h = 0;
	/* The sum does not depend on the order. */
	for (char *x = list; n > 0 && x < list + n; x += strlen(x) + 1) {
		ssize_t len = lgetxattr(full, x, value, sizeof(value));

		must(len);
		h += fnv(fnv(0xcbf29ce484222325ull, x, strlen(x)), value, len);
	}
	fprintf(out, " x%llx\n", (unsigned long long)h);
}

static inline void disk_walk(FILE *out, const char *full, const char *path, struct links *l)
{
	struct dirent **list;
	struct stat st;
	int n;

	must(lstat(full, &st));
	disk_node(out, full, path, l, &st);
	if (!S_ISDIR(st.st_mode))
		return;
	n = scandir(full, &list, NULL, alphasort);
	must(n);
	for (int i = 0; i < n; i++) {
		char sub[1024], subpath[1024];

		if (strcmp(list[i]->d_name, ".") && strcmp(list[i]->d_name, "..")) {
			snprintf(sub, sizeof(sub), "%s/%s", full, list[i]->d_name);
			snprintf(subpath, sizeof(subpath), "%s/%s", path, list[i]->d_name);
			disk_walk(out, sub, subpath, l);
		}
		free(list[i]);
	}
	free(list);
}

/* What is on the disk. Return: allocated. */
static inline char *disk_text(const char *root)
{
	struct links *l = calloc(1, sizeof(*l));
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	disk_walk(out, root, "", l);
	fclose(out);
	free(l);
	return text;
}

static inline int by_node_name(const void *a, const void *b)
{
	return strcoll((*(struct ckpt_fs_node *const *)a)->name,
		       (*(struct ckpt_fs_node *const *)b)->name);
}

static inline void table_walk(FILE *out, const struct ckpt_fs_inode *i, struct memstore *s,
			      const char *path, struct links *l)
{
	struct ckpt_wire w = ckpt_wire_of(i->meta.xattrs.data, i->meta.xattrs.len);
	const struct ckpt_fs_meta *m = &i->meta;
	struct ckpt_record x, name, value;
	struct ckpt_fs_node *list[256];
	uint64_t h = 0xcbf29ce484222325ull;
	enum ckpt_page_kind kind;
	size_t n = 0;

	for (uint64_t at = 0; S_ISREG(m->mode) && at < m->size; at += CKPT_PAGE_LEN) {
		uint8_t page[CKPT_PAGE_LEN];

		mem_get(s, i->space, at / CKPT_PAGE_LEN, page, &kind, NULL);
		h = fnv(h, page, m->size - at < CKPT_PAGE_LEN ? m->size - at : CKPT_PAGE_LEN);
	}
	say(out, path, S_ISDIR(m->mode) ? "-" : first_path(l, 0, 0, i, path), m->mode, m->uid,
	    m->gid, m->mtime_ns, m->size, m->rdev, m->target, h);
	h = 0;
	while (ckpt_wire_next(&w, &x, NULL) == 1) {
		struct ckpt_wire in = ckpt_wire_in(&x);

		ckpt_wire_next(&in, &name, NULL);
		ckpt_wire_next(&in, &value, NULL);
		h += fnv(fnv(0xcbf29ce484222325ull, name.data, name.len), value.data, value.len);
	}
	fprintf(out, " x%llx\n", (unsigned long long)h);
	for (struct ckpt_fs_node *c = i->first; c; c = c->next)
		list[n++] = c;
	qsort(list, n, sizeof(*list), by_node_name);
	for (size_t k = 0; k < n; k++) {
		char sub[1024];

		snprintf(sub, sizeof(sub), "%s/%s", path, list[k]->name);
		table_walk(out, list[k]->inode, s, sub, l);
	}
}

/* What a checkpoint holds of its first root. Return: allocated. */
static inline char *table_text(const struct ckpt_fs_table *t, struct memstore *s)
{
	struct links *l = calloc(1, sizeof(*l));
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	table_walk(out, t->roots[0].top, s, "", l);
	fclose(out);
	free(l);
	return text;
}

/**
 * struct work - random work on a tree
 * @root: the tree
 * @seed: state of the generator
 * @changes: what the module would have reported, not taken yet
 * @lock: guards them when the work runs in a thread of its own
 */
struct work {
	const char *root;
	uint64_t seed;
	struct ckpt_fs_change changes[16384];
	size_t n;
	pthread_mutex_t lock;
};

static inline uint32_t rnd(struct work *w, uint32_t below)
{
	w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (w->seed >> 33) % below;
}

static inline void report(struct work *w, const struct stat *st, uint32_t mask)
{
	pthread_mutex_lock(&w->lock);
	if (w->n < 16384)
		w->changes[w->n++] = (struct ckpt_fs_change) {
			.dev = (uint64_t)major(st->st_dev) << 32 | minor(st->st_dev),
			.ino = st->st_ino, .mask = mask,
		};
	pthread_mutex_unlock(&w->lock);
}

static inline void report_dir_of(struct work *w, const char *path)
{
	char dir[512];
	struct stat st;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (!lstat(dir, &st))
		report(w, &st, CKPT_INODE_ENTRIES);
}

static inline size_t take(struct work *w, struct ckpt_fs_change *ret)
{
	size_t n;

	pthread_mutex_lock(&w->lock);
	n = w->n;
	memcpy(ret, w->changes, n * sizeof(*ret));
	w->n = 0;
	pthread_mutex_unlock(&w->lock);
	return n;
}

static inline void some_path(struct work *w, char *ret, size_t cap)
{
	int n = snprintf(ret, cap, "%s", w->root);

	for (uint32_t depth = rnd(w, 4); depth; depth--)
		n += snprintf(ret + n, cap - n, "/d%u", rnd(w, 3));
	snprintf(ret + n, cap - n, "/%c%u", rnd(w, 3) ? 'f' : 'd', rnd(w, rnd(w, 2) ? 3 : 6));
}

static inline void work_file(struct work *w, const char *path, uint32_t what)
{
	char data[9000];
	struct stat st;
	int fd, is_new = lstat(path, &st);

	memset(data, 'a' + rnd(w, 26), sizeof(data));
	if (what == 3) {
		if (!is_new && S_ISREG(st.st_mode) && !truncate(path, rnd(w, 20000)))
			report(w, &st, CKPT_INODE_DATA);
		return;
	}
	if (!is_new && !S_ISREG(st.st_mode))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (what == 2 ? O_APPEND : 0),
		  0600 + rnd(w, 64));
	if (fd < 0)
		return;
	if (what == 4)
		must(lseek(fd, rnd(w, 300000), SEEK_SET));
	must(write(fd, data, rnd(w, sizeof(data))));
	must(fstat(fd, &st));
	close(fd);
	if (is_new)
		report_dir_of(w, path);
	report(w, &st, CKPT_INODE_DATA | (is_new ? CKPT_INODE_CREATED : 0));
}

static inline void work_names(struct work *w, const char *path, const char *other, uint32_t what)
{
	struct stat st, gone;
	int have = lstat(path, &st), had = lstat(other, &gone), rc = -1;

	switch (what) {
	case 5:
	case 6:
		rc = renameat2(AT_FDCWD, path, AT_FDCWD, other, what == 6 ? RENAME_EXCHANGE : 0);
		break;
	case 7:
		rc = link(path, other);
		break;
	case 8:
		rc = have ? -1 : S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path);
		break;
	case 9:
		rc = symlink("to/nowhere", path);
		break;
	case 10:
	case 11:
		rc = mkdir(path, 0700 + rnd(w, 64));
		break;
	case 12:
		rc = mknod(path, rnd(w, 2) ? S_IFIFO | 0600 : S_IFCHR | 0640, makedev(1, 3));
		break;
	}
	if (rc)
		return;
	if (what == 5 && !had)
		report(w, &gone, CKPT_INODE_DELETED | CKPT_INODE_META);
	if (what == 6)
		report(w, &gone, CKPT_INODE_MOVED);
	if (what <= 7)
		report_dir_of(w, other);
	report_dir_of(w, path);
	if (what >= 9)
		must(lstat(path, &st));
	report(w, &st, what <= 6 ? CKPT_INODE_MOVED :
	       what == 7 ? CKPT_INODE_CREATED | CKPT_INODE_META :
	       what == 8 ? CKPT_INODE_DELETED | CKPT_INODE_META : CKPT_INODE_CREATED);
}

static inline void work_meta(struct work *w, const char *path, uint32_t what)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { .tv_sec = rnd(w, 1u << 30),
				       .tv_nsec = rnd(w, 1000000000) } };
	struct stat st;
	int rc = -1;

	if (lstat(path, &st))
		return;
	switch (what) {
	case 13:
		rc = fchmodat(AT_FDCWD, path, rnd(w, 4096), 0);
		break;
	case 14:
		rc = lchown(path, rnd(w, 3), rnd(w, 3));
		break;
	case 15:
		rc = rnd(w, 3) ? lsetxattr(path, "trusted.mark", path, rnd(w, 20), 0) :
		     lremovexattr(path, "trusted.mark");
		break;
	case 16:
		rc = utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
		break;
	}
	if (!rc)
		report(w, &st, CKPT_INODE_META);
}

/* One random operation; many fail, as in life. */
static inline void work_once(struct work *w)
{
	uint32_t what = rnd(w, 17);
	char path[512], other[512];

	some_path(w, path, sizeof(path));
	some_path(w, other, sizeof(other));
	if (what <= 4)
		work_file(w, path, what);
	else if (what <= 12)
		work_names(w, path, other, what);
	else
		work_meta(w, path, what);
}

#endif
