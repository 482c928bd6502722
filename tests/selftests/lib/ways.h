/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways to change the content of a file, for tests
 */
#ifndef TESTS_WAYS_H
#define TESTS_WAYS_H

#include <stdbool.h>
#include <stdint.h>

enum way {
	/* through the pages of the file alone */
	WAY_PWRITE,
	WAY_HOT,	/* a page that is written often */
	WAY_APPEND,
	WAY_WRITEV,
	WAY_PWRITEV2,
	WAY_AIO,
	WAYS_BY_PAGES,
	/* the same, but that cannot be told from what follows */
	WAY_SPLICE = WAYS_BY_PAGES,
	WAY_URING,
	WAYS_UNSURE,
	/* in other ways */
	WAY_DIRECT = WAYS_UNSURE,
	WAY_AIO_DIRECT,
	WAY_MAP,
	WAY_PUNCH,
	WAY_ZERO,
	WAY_COLLAPSE,
	WAY_INSERT,
	WAY_SHRINK,
	WAY_GROW,
	WAY_COPY,
	WAY_SENDFILE,
	WAY_CLONE,
	/* by a loop device, attached for a moment */
	WAY_DISCARD,
	WAY_ZEROOUT,
	WAYS
};

/* A file that is large enough for each of them. */
#define WAY_SIZE (64UL << 10)

const char *way_name(enum way way);

/**
 * way_go - change a file once
 * @way: how
 * @path: an existing file of WAY_SIZE or more
 * @other: another one, with content to copy
 * @rnd: decides where and what
 *
 * Return: 0, or -errno where this kernel or file system does not have it.
 */
int way_go(enum way way, const char *path, const char *other, uint64_t *rnd);

/* A loop device with the file at @path; returns a descriptor of it, which loop_detach closes. */
int loop_attach(const char *path);
void loop_detach(int loop);

#endif
