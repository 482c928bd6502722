// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads below /proc/PID. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "proc/procfs.h"

static int read_file(int dir, const char *name, bool piece, struct ckpt_buf *ret)
{
	cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	ret->len = 0;
	ret->failed = 0;
	if (fd < 0)
		return -errno;
	for (;;) {
		size_t room;
		ssize_t n;

		/* large reads: maps and smaps give at most a page at a time anyway */
		if (ckpt_buf_reserve(ret, 16384))
			return -ENOMEM;
		room = ret->cap - ret->len - 1;
		n = read(fd, ret->data + ret->len, room);
		if (n < 0)
			return -errno;
		ret->len += n;
		if (!n || (piece && (size_t)n < room))
			break;
	}
	ret->data[ret->len] = 0;
	return 0;
}

int ckpt_procfs_read(int dir, const char *name, struct ckpt_buf *ret)
{
	return read_file(dir, name, false, ret);
}

int ckpt_procfs_read_piece(int dir, const char *name, struct ckpt_buf *ret)
{
	return read_file(dir, name, true, ret);
}

int ckpt_procfs_link(int dir, const char *name, char **ret)
{
	char path[PATH_MAX];
	ssize_t n = readlinkat(dir, name, path, sizeof(path) - 1);

	if (n < 0)
		return -errno;
	path[n] = 0;
	*ret = strdup(path);
	return *ret ? 0 : -ENOMEM;
}

static int by_value(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

ssize_t ckpt_procfs_numbers(int dir, const char *name, int **ret)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	cleanup_free int *numbers = NULL;
	struct dirent *e;
	size_t n = 0;

	if (!d) {
		int saved = errno;

		if (fd >= 0)
			close(fd);
		return -saved;
	}
	while ((errno = 0, e = readdir(d))) {
		int *more, *item;

		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		more = ckpt_grow(numbers, &n, sizeof(*numbers));
		if (!more)
			return -ENOMEM;
		numbers = more;
		item = &numbers[n - 1];
		*item = atoi(e->d_name);
	}
	if (errno)
		return -errno;
	if (n)
		qsort(numbers, n, sizeof(*numbers), by_value);
	*ret = take_ptr(numbers);
	return n;
}

uint64_t ckpt_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void ckpt_sleep_us(unsigned int us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000l };

	nanosleep(&t, NULL);
}

void *ckpt_grow(void *array, size_t *n, size_t size)
{
	/* powers of two from 8 on: the array is full whenever its count is one */
	if (!*n || (*n >= 8 && !(*n & (*n - 1)))) {
		void *more = reallocarray(array, *n ? *n * 2 : 8, size);

		if (!more)
			return NULL;
		array = more;
	}
	memset((char *)array + *n * size, 0, size);
	(*n)++;
	return array;
}
