// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Settings of a network namespace: the files below /proc/sys/net
 *
 * Which one the kernel shows is a matter of who opens it.  What nobody may write is none, nor what
 * nobody may read: an order, or a secret that was never set.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/net.h"
#include "proc/procfs.h"

#define ROOT "/proc/sys/net"
#define DEPTH_MAX 8
#define PASSES 3	/* one may stand in the way of another */

static int open_root(struct ckpt_err *err)
{
	int dir = open(ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? ckpt_fail(err, CKPT_FAILED, errno, "cannot open " ROOT) : dir;
}

/*
 * What @name says.  @b: room for it, at its end a zero.
 * Return: 0; 1 it is no setting, or there is none; -1.
 */
static int get(int dir, const char *name, char b[CKPT_NET_VALUE_MAX + 2], struct ckpt_err *err)
{
	cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT || errno == EACCES || errno == EPERM ? 1 :
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot open " ROOT "/%s", name);
	if (fstat(fd, &st) || !(st.st_mode & 0222))
		return 1;
	n = read(fd, b, CKPT_NET_VALUE_MAX + 2);
	if (n < 0 && errno == EIO)
		return 1;
	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read " ROOT "/%s", name);
	if (n && b[n - 1] == '\n')
		n--;
	if (n > CKPT_NET_VALUE_MAX || memchr(b, '\n', n) || memchr(b, 0, n))
		return ckpt_fail(err, CKPT_REFUSED, 0, "the tree has a network namespace of its "
			"own whose " ROOT "/%s is too long for this version", name);
	b[n] = 0;
	return 0;
}

static int add(struct ckpt_net *net, const char *name, const char *value, struct ckpt_err *err)
{
	struct ckpt_net_setting *list = ckpt_grow(net->settings, &net->n_settings, sizeof(*list));

	if (list) {
		net->settings = list;
		list += net->n_settings - 1;
		list->name = strdup(name);
		list->value = strdup(value);
	}
	return list && list->name && list->value ? 0 :
	       ckpt_fail(err, CKPT_FAILED, 0, "no memory for settings of a network namespace");
}

/* All below directory @path of @root, which is empty for itself. */
static int walk(int root, const char *path, int depth, struct ckpt_net *net, struct ckpt_err *err)
{
	cleanup_closedir DIR *d = NULL;
	char name[CKPT_NET_NAME_MAX + 1], value[CKPT_NET_VALUE_MAX + 2];
	int dir = openat(root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found;
	struct dirent *e;

	d = dir < 0 ? NULL : fdopendir(dir);
	if (!d) {
		int e = errno;

		ckpt_cleanup_close(&dir);
		/* its device is gone */
		return e == ENOENT ? 0 :
		       ckpt_fail(err, CKPT_FAILED, e, "cannot list " ROOT "/%s", path);
	}
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (snprintf(name, sizeof(name), "%s%s%s", path, *path ? "/" : "", e->d_name) >=
		    (int)sizeof(name))
			return ckpt_fail(err, CKPT_FAILED, 0, ROOT "/%s is too long", name);
		if (e->d_type == DT_DIR && depth < DEPTH_MAX) {
			if (walk(root, name, depth + 1, net, err))
				return -1;
			continue;
		}
		found = get(root, name, value, err);
		if (found < 0 || (!found && add(net, name, value, err)))
			return -1;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ckpt_net_setting *)a)->name,
		      ((const struct ckpt_net_setting *)b)->name);
}

int ckpt_net_settings_get(struct ckpt_net *ret, struct ckpt_err *err)
{
	cleanup_close int root = open_root(err);

	if (root < 0 || walk(root, "", 0, ret, err))
		return -1;
	if (ret->n_settings)
		qsort(ret->settings, ret->n_settings, sizeof(*ret->settings), by_name);
	return 0;
}

static const struct ckpt_net_setting *find(const struct ckpt_net *net, const char *name)
{
	const struct ckpt_net_setting key = { .name = (char *)name };

	return net->n_settings ? bsearch(&key, net->settings, net->n_settings, sizeof(key),
					 by_name) : NULL;
}

void ckpt_net_settings_judge(struct ckpt_net *net, const struct ckpt_net *fresh)
{
	for (size_t i = 0; i < net->n_settings; i++) {
		const struct ckpt_net_setting *f = find(fresh, net->settings[i].name);

		net->settings[i].usual = f && !strcmp(f->value, net->settings[i].value);
	}
}

static const char *lacks(const struct ckpt_net *a, const struct ckpt_net *b)
{
	for (size_t i = 0; i < a->n_settings; i++) {
		const struct ckpt_net_setting *s = find(b, a->settings[i].name);

		if (!s || strcmp(s->value, a->settings[i].value))
			return a->settings[i].name;
	}
	return NULL;
}

const char *ckpt_net_settings_differ(const struct ckpt_net *a, const struct ckpt_net *b)
{
	const char *name = lacks(a, b);

	return name ? name : lacks(b, a);
}

/* By one write, with the end of the line: of an empty value that is all. Return: 0 or -1. */
static int put(int root, const struct ckpt_net_setting *s)
{
	cleanup_close int fd = openat(root, s->name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	char line[CKPT_NET_VALUE_MAX + 2];
	int n = snprintf(line, sizeof(line), "%s\n", s->value);

	return fd < 0 || write(fd, line, n) != n ? -1 : 0;
}

/*
 * Write each that is not as wanted, in their order: those of "all" before those of "default", and
 * these before those of lo.  @ret_left: the first that is not so after all, with errno; NULL: none.
 */
static int pass(int root, const struct ckpt_net *net, const struct ckpt_net_setting **ret_left,
		int *ret_os, struct ckpt_err *err)
{
	char now[CKPT_NET_VALUE_MAX + 2];

	*ret_left = NULL;
	for (size_t i = 0; i < net->n_settings; i++) {
		const struct ckpt_net_setting *s = &net->settings[i];
		int found = get(root, s->name, now, err);

		if (found < 0)
			return -1;
		if ((!found && !strcmp(now, s->value)) || (found && s->usual))
			continue;
		errno = 0;
		if (!put(root, s))
			errno = 0;
		if (!*ret_left) {
			*ret_left = s;
			*ret_os = errno;
		}
	}
	return 0;
}

int ckpt_net_settings_set(const struct ckpt_net *net, struct ckpt_err *err)
{
	cleanup_close int root = open_root(err);
	const struct ckpt_net_setting *left = NULL;
	int os = 0;

	if (root < 0)
		return -1;
	/* the last one finds that there is nothing left to be done */
	for (int i = 0; i <= PASSES; i++) {
		if (pass(root, net, &left, &os, err))
			return -1;
		if (!left)
			return 0;
	}
	return ckpt_fail(err, CKPT_REFUSED, os,
			 "the tree has '%s' in its " ROOT "/%s, which cannot be set here",
			 left->value, left->name);
}

/* How long a queue must be allowed to be for what waits: one more than that has room. */
static uint64_t longest_queue(const struct ckpt_image *image)
{
	uint64_t most = 0;

	for (size_t i = 0; i < image->n_sockets; i++) {
		const struct ckpt_socket *s = &image->sockets[i];

		if (s->family == AF_UNIX && s->type == SOCK_DGRAM &&
		    image->unixes[s->part].n_messages > most)
			most = image->unixes[s->part].n_messages;
	}
	return most ? most - 1 : 0;
}

void ckpt_net_settings_widen(const struct ckpt_image *image)
{
	char now[CKPT_NET_VALUE_MAX + 2], text[24];
	const struct ckpt_net_setting
		backlog = { .name = (char *)"core/somaxconn", .value = (char *)"2147483647" },
		queue = { .name = (char *)"unix/max_dgram_qlen", .value = text };
	cleanup_close int root = open_root(NULL);
	uint64_t most = longest_queue(image);

	if (root < 0)
		return;
	/* where one stays as it is, who needs more says so */
	(void)put(root, &backlog);
	snprintf(text, sizeof(text), "%" PRIu64, most);
	if (!get(root, queue.name, now, NULL) && strtoull(now, NULL, 10) < most)
		(void)put(root, &queue);
}

int ckpt_net_settings_verify(const struct ckpt_net *net, struct ckpt_err *err)
{
	cleanup_close int root = open_root(err);
	char now[CKPT_NET_VALUE_MAX + 2];

	if (root < 0)
		return -1;
	for (size_t i = 0; i < net->n_settings; i++) {
		const struct ckpt_net_setting *s = &net->settings[i];
		int found = get(root, s->name, now, err);

		if (found < 0)
			return -1;
		if (found ? !s->usual : strcmp(now, s->value))
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "/proc/sys/net/%s of its network namespace is %s",
					 s->name, found ? "not there" : now);
	}
	return 0;
}

/* Is it a path below the directory, and no way out of it? */
static bool is_name(const char *name)
{
	for (const char *at = name; ; at += strcspn(at, "/") + 1) {
		size_t len = strcspn(at, "/");

		if (!len || (len <= 2 && !strncmp(at, "..", len)))
			return false;
		if (!at[len])
			return strlen(name) <= CKPT_NET_NAME_MAX;
	}
}

bool ckpt_net_setting_sound(const struct ckpt_net_setting *s)
{
	return s->name && s->value && is_name(s->name) && strlen(s->value) <= CKPT_NET_VALUE_MAX &&
	       !strchr(s->value, '\n');
}
