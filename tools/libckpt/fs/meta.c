// SPDX-License-Identifier: GPL-2.0-or-later
/* Metadata of a file system node: read, compare, encode. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "fs/meta.h"

#define TAG_NAME 2
#define TAG_STAT 3
#define TAG_TARGET 4
#define TAG_XATTRS 5
#define TAG_XATTR 6
#define TAG_XATTR_NAME 7
#define TAG_XATTR_VALUE 8

#define STAT_WORDS 11
#define SECOND_NS 1000000000ll

void ckpt_fs_meta_done(struct ckpt_fs_meta *m)
{
	free(m->target);
	m->target = NULL;
	ckpt_buf_done(&m->xattrs);
}

int64_t ckpt_fs_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static int64_t ns_of(const struct statx_timestamp *t)
{
	return t->tv_sec * SECOND_NS + t->tv_nsec;
}

int ckpt_fs_meta_stat(int dirfd, const char *name, struct ckpt_fs_meta *ret)
{
	struct statx st;

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH),
		  STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &st))
		return -errno;
	*ret = (struct ckpt_fs_meta) {
		.mode = st.stx_mode, .uid = st.stx_uid, .gid = st.stx_gid, .nlink = st.stx_nlink,
		.size = st.stx_size, .blocks = st.stx_blocks, .ino = st.stx_ino,
		.atime_ns = ns_of(&st.stx_atime), .mtime_ns = ns_of(&st.stx_mtime),
		.ctime_ns = ns_of(&st.stx_ctime),
		.btime_ns = st.stx_mask & STATX_BTIME ? ns_of(&st.stx_btime) : 0,
		.dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
		.rdev = (uint64_t)st.stx_rdev_major << 32 | st.stx_rdev_minor,
		.mnt = st.stx_mnt_id,
		.mount_root = st.stx_attributes & STATX_ATTR_MOUNT_ROOT,
	};
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of all extended attributes, NUL-separated; the list may grow while it is read. */
static int xattr_names(const char *path, char **ret, size_t *ret_len)
{
	for (;;) {
		ssize_t n = listxattr(path, NULL, 0);
		char *list;

		if (n <= 0) {
			*ret = NULL;
			*ret_len = 0;
			return n && errno != ENOTSUP ? -errno : 0;
		}
		list = malloc(n);
		if (!list)
			return -ENOMEM;
		n = listxattr(path, list, n);
		if (n >= 0) {
			*ret = list;
			*ret_len = n;
			return 0;
		}
		free(list);
		if (errno != ERANGE)
			return -errno;
	}
}

static int xattr_add(const char *path, const char *name, struct ckpt_buf *b)
{
	for (;;) {
		ssize_t n = getxattr(path, name, NULL, 0);
		cleanup_free char *value = NULL;
		size_t at;

		if (n < 0)
			return errno == ENODATA ? 0 : -errno;
		value = malloc(n + 1);
		if (!value)
			return -ENOMEM;
		/* never with a size of 0, which asks how long it is, and it may have grown */
		n = getxattr(path, name, value, n + 1);
		if (n < 0 && errno == ERANGE)
			continue;
		if (n < 0)
			return errno == ENODATA ? 0 : -errno;
		at = ckpt_wire_begin(b, TAG_XATTR);
		ckpt_wire_str(b, TAG_XATTR_NAME, name);
		ckpt_wire_bytes(b, TAG_XATTR_VALUE, value, n);
		ckpt_wire_end(b, at);
		return 0;
	}
}

static int read_xattrs(const char *path, struct ckpt_buf *ret)
{
	cleanup_free char *list = NULL;
	cleanup_free char **names = NULL;
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	size_t len, count = 0;
	int rc = xattr_names(path, &list, &len);

	if (rc || !len)
		return rc;
	names = malloc(len * sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (char *p = list; p < list + len; p += strlen(p) + 1)
		if (strcmp(p, CKPT_FS_XATTR_MTIME))
			names[count++] = p;
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++) {
		rc = xattr_add(path, names[i], &b);
		if (rc)
			return rc;
	}
	if (b.failed)
		return -ENOMEM;
	*ret = b;
	b = (struct ckpt_buf)CKPT_BUF_INIT;
	return 0;
}

int ckpt_fs_meta_rest(int fd, struct ckpt_fs_meta *m)
{
	cleanup_free char *target = NULL;
	char path[32];
	int rc;

	if (S_ISLNK(m->mode)) {
		ssize_t n;

		target = malloc(PATH_MAX);
		if (!target)
			return -ENOMEM;
		n = readlinkat(fd, "", target, PATH_MAX - 1);
		if (n < 0)
			return -errno;
		target[n] = 0;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = read_xattrs(path, &m->xattrs);
	if (rc)
		return rc;
	m->target = take_ptr(target);
	return 0;
}

bool ckpt_fs_meta_same_inode(const struct ckpt_fs_meta *a, const struct ckpt_fs_meta *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->btime_ns == b->btime_ns &&
	       (a->mode & S_IFMT) == (b->mode & S_IFMT);
}

bool ckpt_fs_meta_young(const struct ckpt_fs_meta *m, int64_t now_ns)
{
	bool coarse = !(m->ctime_ns % 1000000000) && !(m->mtime_ns % 1000000000);

	return m->ctime_ns > now_ns - (coarse ? CKPT_FS_RACY_COARSE_NS : CKPT_FS_RACY_NS);
}

bool ckpt_fs_meta_same_times(const struct ckpt_fs_meta *a, const struct ckpt_fs_meta *b)
{
	return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_buf(const struct ckpt_buf *a, const struct ckpt_buf *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

bool ckpt_fs_meta_same_entry(const struct ckpt_fs_meta *a, const struct ckpt_fs_meta *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       a->nlink == b->nlink && ckpt_fs_meta_same_times(a, b) &&
	       a->btime_ns == b->btime_ns && a->dev == b->dev && a->ino == b->ino &&
	       a->rdev == b->rdev && a->flags == b->flags && same_text(a->target, b->target) &&
	       same_buf(&a->xattrs, &b->xattrs);
}

const char *ckpt_fs_meta_diff(const struct ckpt_fs_meta *a, const struct ckpt_fs_meta *b,
			      bool *ret_replace)
{
	bool device = S_ISCHR(a->mode) || S_ISBLK(a->mode);

	*ret_replace = true;
	if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
		return "type";
	if (S_ISREG(a->mode) && a->size != b->size)
		return "size";
	if (device && a->rdev != b->rdev)
		return "device number";
	if (!same_text(a->target, b->target))
		return "link target";
	*ret_replace = false;
	if (a->mode != b->mode)
		return "mode";
	if (a->uid != b->uid || a->gid != b->gid)
		return "owner";
	if (a->mtime_ns != b->mtime_ns)
		return "modification time";
	if (!same_buf(&a->xattrs, &b->xattrs))
		return "extended attributes";
	return NULL;
}

/* A record of an extended attribute taken apart; pointers into the record. */
struct xattr {
	const uint8_t *name, *value;
	size_t name_len, value_len;
};

static int next_xattr(struct ckpt_wire *w, struct xattr *ret, struct ckpt_err *err)
{
	struct ckpt_record r, f[2];
	struct ckpt_wire in;
	int rc = ckpt_wire_next(w, &r, err);

	if (rc <= 0)
		return rc;
	in = ckpt_wire_in(&r);
	if (r.tag != TAG_XATTR || ckpt_wire_next(&in, &f[0], err) != 1 ||
	    ckpt_wire_next(&in, &f[1], err) != 1 || f[0].tag != TAG_XATTR_NAME ||
	    f[1].tag != TAG_XATTR_VALUE || !f[0].len || f[0].len > XATTR_NAME_MAX ||
	    memchr(f[0].data, 0, f[0].len))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "an extended attribute is damaged");
	*ret = (struct xattr){ f[0].data, f[1].data, f[0].len, f[1].len };
	return 1;
}

static bool xattr_wanted(const struct ckpt_buf *xattrs, const char *name)
{
	struct ckpt_wire w = ckpt_wire_of(xattrs->data, xattrs->len);
	struct xattr x;

	while (next_xattr(&w, &x, NULL) == 1)
		if (x.name_len == strlen(name) && !memcmp(x.name, name, x.name_len))
			return true;
	return false;
}

static int apply_xattrs(const char *path, const struct ckpt_fs_meta *m, const char *what,
			struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_of(m->xattrs.data, m->xattrs.len);
	cleanup_buf struct ckpt_buf have = CKPT_BUF_INIT;
	char name[XATTR_NAME_MAX + 1];
	struct xattr x;
	int rc = read_xattrs(path, &have);

	if (rc)
		return ckpt_fail(err, CKPT_FAILED, -rc, "read the extended attributes of %s", what);
	if (same_buf(&have, &m->xattrs))
		return 0;
	while ((rc = next_xattr(&w, &x, err)) == 1) {
		snprintf(name, sizeof(name), "%.*s", (int)x.name_len, (const char *)x.name);
		if (setxattr(path, name, x.value, x.value_len, 0))
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "set extended attribute %s of %s", name, what);
	}
	w = ckpt_wire_of(have.data, have.len);
	while (!rc && (rc = next_xattr(&w, &x, err)) == 1) {
		snprintf(name, sizeof(name), "%.*s", (int)x.name_len, (const char *)x.name);
		rc = 0;
		if (!xattr_wanted(&m->xattrs, name) && removexattr(path, name) &&
		    errno != ENODATA)
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "remove extended attribute %s of %s", name, what);
	}
	return rc;
}

static struct timespec spec_of(int64_t ns)
{
	int64_t rest = ns % SECOND_NS;

	if (rest < 0)
		rest += SECOND_NS;
	return (struct timespec){ .tv_sec = (ns - rest) / SECOND_NS, .tv_nsec = rest };
}

/* Owner first: it clears set-id bits and capabilities; times last. */
int ckpt_fs_meta_apply(int fd, const struct ckpt_fs_meta *m, const char *what,
		       struct ckpt_err *err)
{
	struct timespec times[2] = { spec_of(m->atime_ns), spec_of(m->mtime_ns) };
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fchownat(fd, "", m->uid, m->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return ckpt_fail(err, CKPT_FAILED, errno, "set the owner of %s", what);
	if (!S_ISLNK(m->mode) && chmod(path, m->mode & 07777))
		return ckpt_fail(err, CKPT_FAILED, errno, "set the mode of %s", what);
	if (apply_xattrs(path, m, what, err))
		return -1;
	if (utimensat(AT_FDCWD, path, times, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "set the times of %s", what);
	return 0;
}

void ckpt_fs_meta_encode(struct ckpt_buf *b, const char *name, const struct ckpt_fs_meta *m,
			 uint32_t space)
{
	uint64_t words[STAT_WORDS] = {
		m->mode | (uint64_t)m->uid << 32, m->gid | (uint64_t)m->nlink << 32, m->size,
		m->atime_ns, m->mtime_ns, m->ctime_ns, m->btime_ns, m->dev, m->ino, m->rdev,
		space | (uint64_t)m->flags << 32,
	};
	size_t at = ckpt_wire_begin(b, CKPT_FS_TAG_ENTRY);

	for (int i = 0; i < STAT_WORDS; i++)
		words[i] = htole64(words[i]);
	ckpt_wire_bytes(b, TAG_STAT, words, sizeof(words));
	ckpt_wire_str(b, TAG_NAME, name);
	if (m->target)
		ckpt_wire_str(b, TAG_TARGET, m->target);
	if (m->xattrs.len)
		ckpt_wire_bytes(b, TAG_XATTRS, m->xattrs.data, m->xattrs.len);
	ckpt_wire_end(b, at);
}

static int decode_stat(const struct ckpt_record *r, struct ckpt_fs_meta *m, uint32_t *ret_space,
		       struct ckpt_err *err)
{
	uint64_t w[STAT_WORDS];

	if (ckpt_record_bytes(r, w, sizeof(w), err))
		return -1;
	for (int i = 0; i < STAT_WORDS; i++)
		w[i] = le64toh(w[i]);
	m->mode = w[0];
	m->uid = w[0] >> 32;
	m->gid = w[1];
	m->nlink = w[1] >> 32;
	m->size = w[2];
	m->atime_ns = w[3];
	m->mtime_ns = w[4];
	m->ctime_ns = w[5];
	m->btime_ns = w[6];
	m->dev = w[7];
	m->ino = w[8];
	m->rdev = w[9];
	m->flags = w[10] >> 32;
	*ret_space = w[10];
	return 0;
}

static int check(const char *name, const struct ckpt_fs_meta *m, uint32_t space,
		 struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_of(m->xattrs.data, m->xattrs.len);
	uint32_t type = m->mode & S_IFMT;
	struct xattr x;
	int rc;

	if (!name || strchr(name, '/') || strlen(name) > NAME_MAX || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "listing has an unusable name");
	if (!type || !strchr("\01\02\04\06\010\012\014", type >> 12) || m->mode >> 16 ||
	    S_ISLNK(m->mode) != !!m->target || m->size > INT64_MAX || space > CKPT_SPACE_MAX ||
	    (!space && (S_ISREG(m->mode) || S_ISDIR(m->mode))))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "listing entry %s makes no sense", name);
	while ((rc = next_xattr(&w, &x, err)) == 1)
		;
	return rc;
}

int ckpt_fs_meta_decode(const struct ckpt_record *r, char **ret_name, struct ckpt_fs_meta *ret,
			uint32_t *ret_space, struct ckpt_err *err)
{
	cleanup_meta struct ckpt_fs_meta m = { 0 };
	cleanup_free char *name = NULL;
	struct ckpt_wire w = ckpt_wire_in(r);
	struct ckpt_record f;
	uint32_t space = 0;
	int rc;

	while ((rc = ckpt_wire_next(&w, &f, err)) == 1) {
		if (f.tag == TAG_STAT)
			rc = decode_stat(&f, &m, &space, err);
		else if (f.tag == TAG_NAME && !name)
			rc = ckpt_record_str(&f, &name, err);
		else if (f.tag == TAG_TARGET && !m.target)
			rc = ckpt_record_str(&f, &m.target, err);
		else if (f.tag == TAG_XATTRS && !m.xattrs.len)
			ckpt_buf_put(&m.xattrs, f.data, f.len);
		else
			rc = ckpt_record_unknown(&f, err);
		if (rc < 0)
			return -1;
	}
	if (rc || check(name, &m, space, err))
		return -1;
	if (m.xattrs.failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a listing");
	*ret_name = take_ptr(name);
	*ret = m;
	*ret_space = space;
	m = (struct ckpt_fs_meta){ 0 };
	return 0;
}
