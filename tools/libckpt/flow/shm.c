// SPDX-License-Identifier: GPL-2.0-or-later
/* Shared memory of a checkpoint. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "flow/shm.h"
#include "proc/gather.h"
#include "proc/shm.h"

#define PIECE 256u	/* pages that one processor copies before it takes the next */

static bool has_space(const struct ckpt_image *image, uint32_t space)
{
	for (size_t i = 0; i < image->n_shms; i++) {
		if (image->shms[i].space == space)
			return true;
	}
	return false;
}

static bool alike(const struct ckpt_shm *a, const struct ckpt_shm *b, bool same)
{
	if (a->kind != b->kind || strcmp(a->name ? a->name : "", b->name ? b->name : ""))
		return false;
	return same ? a->dev == b->dev && a->ino == b->ino : a->size == b->size;
}

/* A space of the parent that nobody has yet: of the very memory, or of what is alike. */
static uint32_t space_in(const struct ckpt_image *parent, const struct ckpt_image *image,
			 const struct ckpt_shm *s, bool same)
{
	for (size_t i = 0; i < parent->n_shms; i++) {
		const struct ckpt_shm *old = &parent->shms[i];

		if (old->space && alike(old, s, same) && !has_space(image, old->space))
			return old->space;
	}
	return 0;
}

/**
 * struct copy - all of it on its way to the stage
 * @self: memory of this process, where each is mapped
 * @maps: as many as there is shared memory; NULL: it is not mapped
 */
struct copy {
	struct ckpt_gather gather;
	struct ckpt_memory self;
	void **maps;
	struct ckpt_stage *stage;
	const struct ckpt_sink *sink;
};

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + CKPT_PAGE_LEN - 1) >> CKPT_PAGE_SHIFT;
}

static int drop(const struct copy *c, uint32_t space, uint64_t from, uint64_t to,
		struct ckpt_err *err)
{
	return to > from ? c->sink->drop(c->sink->self, space, from, to - from, err) : 0;
}

/* Pages that are there; to look at the others would make them. */
static int note_run(struct copy *c, uint32_t space, const uint8_t *map, uint64_t page, uint64_t end,
		    struct ckpt_err *err)
{
	while (page < end) {
		size_t n = end - page < PIECE ? end - page : PIECE;
		void *room = ckpt_stage_room(c->stage, n, err);

		if (!room ||
		    ckpt_gather_add(&c->gather, &c->self, (uintptr_t)map + page * CKPT_PAGE_LEN,
				    room, n * CKPT_PAGE_LEN, err) ||
		    ckpt_stage_put_room(c->stage, space, page, n, err))
			return -1;
		page += n;
	}
	return 0;
}

static int note_runs(struct copy *c, const struct ckpt_shm *s, int fd, const uint8_t *map,
		     struct ckpt_err *err)
{
	uint64_t at = 0, start, end;
	off_t data, hole;

	while (at < pages_of(s->size)) {
		data = lseek(fd, at << CKPT_PAGE_SHIFT, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "seek in shared memory");
		start = (uint64_t)data >> CKPT_PAGE_SHIFT;
		end = pages_of((uint64_t)hole < s->size ? (uint64_t)hole : s->size);
		if (drop(c, s->space, at, start, err) ||
		    note_run(c, s->space, map, start, end, err))
			return -1;
		at = end;
	}
	return drop(c, s->space, at, CKPT_PAGE_MAX + 1, err);
}

/*
 * Read through a mapping, which shows the rest of the last page as well, and by calls that fail
 * where somebody outside the tree has cut the memory short meanwhile.
 */
static int note(struct copy *c, struct ckpt_image *image, size_t index, struct ckpt_err *err)
{
	struct ckpt_shm *s = &image->shms[index];
	cleanup_close int fd = -1;
	char path[CKPT_SHM_PATH_LEN];
	struct stat st;
	void *map;

	ckpt_shm_path(ckpt_shm_file(image, index), path);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "open shared memory %s", path);
	if ((uint64_t)st.st_size != s->size)
		return ckpt_fail(err, CKPT_REFUSED, 0, "somebody outside the tree changes the size "
				 "of its shared memory; take the checkpoint again");
	if (!s->space && c->sink->space_new(c->sink->self, &s->space, err))
		return -1;
	if (!s->size)
		return drop(c, s->space, 0, CKPT_PAGE_MAX + 1, err);
	map = mmap(NULL, pages_of(s->size) << CKPT_PAGE_SHIFT, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "map shared memory %s", path);
	c->maps[index] = map;
	return note_runs(c, s, fd, map, err);
}

/*
 * Spaces that the parent has.  After a restore all of it has other inodes.  Every page is put
 * or dropped, so a wrong match costs room and nothing else.
 */
static void match(struct ckpt_image *image, const struct ckpt_image *parent)
{
	for (size_t i = 0; i < image->n_shms; i++)
		image->shms[i].space = space_in(parent, image, &image->shms[i], true);
	for (size_t i = 0; i < image->n_shms; i++) {
		if (!image->shms[i].space)
			image->shms[i].space = space_in(parent, image, &image->shms[i], false);
	}
}

static int copy_all(struct copy *c, struct ckpt_image *image, struct ckpt_err *err)
{
	if (ckpt_memory_open(getpid(), &c->self, err))
		return -1;
	for (size_t i = 0; i < image->n_shms; i++) {
		if (note(c, image, i, err))
			return -1;
	}
	if (!ckpt_gather_run(&c->gather))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0, "shared memory cannot be read, as if somebody "
			 "outside the tree had cut it short; take the checkpoint again");
}

int ckpt_shm_capture(struct ckpt_image *image, const struct ckpt_image *parent,
		     struct ckpt_stage *stage, const struct ckpt_sink *sink, uint64_t *ret_pages,
		     struct ckpt_err *err)
{
	struct copy c = { .self = { .fd = -1 }, .stage = stage, .sink = sink };
	int failed;

	*ret_pages = 0;
	if (!image->n_shms)
		return 0;
	c.maps = calloc(image->n_shms, sizeof(*c.maps));
	if (!c.maps)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for shared memory");
	match(image, parent);
	failed = copy_all(&c, image, err);
	*ret_pages = c.gather.len / CKPT_PAGE_LEN;
	for (size_t i = 0; i < image->n_shms; i++) {
		if (c.maps[i])
			munmap(c.maps[i], pages_of(image->shms[i].size) << CKPT_PAGE_SHIFT);
	}
	free(c.maps);
	ckpt_memory_close(&c.self);
	ckpt_gather_done(&c.gather);
	return failed;
}

int ckpt_shm_drop(const struct ckpt_image *parent, const struct ckpt_image *image,
		  const struct ckpt_sink *sink, struct ckpt_err *err)
{
	for (size_t i = 0; i < parent->n_shms; i++) {
		uint32_t space = parent->shms[i].space;

		if (space && !has_space(image, space) &&
		    sink->drop(sink->self, space, 0, CKPT_PAGE_MAX + 1, err))
			return -1;
	}
	return 0;
}

uint64_t ckpt_shm_resident(int32_t pid)
{
	cleanup_fclose FILE *f = NULL;
	char line[256], path[64];
	uint64_t kb;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "RssShmem: %" SCNu64 " kB", &kb) == 1)
			return kb / (CKPT_PAGE_LEN / 1024);
	}
	return 0;
}
