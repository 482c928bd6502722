// SPDX-License-Identifier: GPL-2.0-or-later
/* Content of a regular file as a space of pages. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/content.h"
#include "fs/path.h"

/* Files up to this size are read whole rather than asked for their holes: 2 ms. */
#define READ_WHOLE (4u << 20)

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + CKPT_PAGE_LEN - 1) >> CKPT_PAGE_SHIFT;
}

/* Read until @len bytes or the end of the file. Return: bytes, or -1 with errno. */
static ssize_t read_full(int fd, void *buf, size_t len, uint64_t at)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = pread(fd, (char *)buf + have, len - have, at + have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n)
			break;
		have += n;
	}
	return have;
}

static int drop(const struct ckpt_sink *sink, uint32_t space, uint64_t from, uint64_t to,
		struct ckpt_err *err)
{
	return to > from ? sink->drop(sink->self, space, from, to - from, err) : 0;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

/* @count pages from @page on; with @holes those of zeros are left absent. */
static int put_pages(const struct ckpt_sink *sink, uint32_t space, uint64_t page,
		     const uint8_t *buf, size_t count, bool holes, struct ckpt_err *err)
{
	while (count) {
		bool zero = holes && all_zero(buf, CKPT_PAGE_LEN);
		size_t n = 1;

		while (n < count && (holes && all_zero(buf + n * CKPT_PAGE_LEN, CKPT_PAGE_LEN)) ==
					    zero)
			n++;
		if (zero ? sink->drop(sink->self, space, page, n, err) :
			   sink->put(sink->self, space, page, buf, n, err))
			return -1;
		page += n;
		buf += n * CKPT_PAGE_LEN;
		count -= n;
	}
	return 0;
}

/* Data from @start, page aligned, to @end. Return: where it ended, or -1. */
static int64_t read_range(int fd, uint64_t start, uint64_t end, bool holes,
			  const struct ckpt_sink *sink, uint32_t space, uint8_t *buf,
			  const char *path, struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	while (start < end) {
		size_t want = end - start < CKPT_FS_CHUNK ? end - start : CKPT_FS_CHUNK;
		ssize_t n = read_full(fd, buf, want, start);
		size_t padded;

		if (n < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "read %s", path);
		if (!n)
			break;
		stats->bytes_read += n;
		padded = pages_of(n) << CKPT_PAGE_SHIFT;
		memset(buf + n, 0, padded - n);
		if (put_pages(sink, space, start >> CKPT_PAGE_SHIFT, buf, padded >> CKPT_PAGE_SHIFT,
			      holes, err))
			return -1;
		start += padded;
		if ((size_t)n < want)
			break;
	}
	return start;
}

/*
 * Where are the holes?  While dirty pages are on their way to the disk neither the
 * count of blocks nor SEEK_DATA can be believed (ext4 lets go of the reservation
 * before the blocks count, and looks twice for an extent that comes in between):
 * data would be taken for a hole.  So the file is written back first, and one that
 * is quickly read is read whole, its pages of zeros being its holes.
 */
static bool seek_tells(int fd, uint64_t size)
{
	if (size <= READ_WHOLE)
		return false;
	/* an overlay has no pages of its own to write back, but hands on this */
	if (!ckpt_fs_numbers_last(fd))
		return !fdatasync(fd);
	return !sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
}

/* Everything from @at, page aligned, to @size. Return: where it ended, or -1. */
static int64_t read_span(int fd, uint64_t at, uint64_t size, enum ckpt_fs_way way,
			 const struct ckpt_sink *sink, uint32_t space, void *buf,
			 const char *path, struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	bool seek = way == CKPT_FS_WAY_SEEK && seek_tells(fd, size - at);

	while (at < size) {
		int64_t start = at, end = size, last;

		if (seek) {
			start = lseek(fd, at, SEEK_DATA);
			if (start < 0 && errno != ENXIO)
				return ckpt_fail(err, CKPT_FAILED, errno, "seek in %s", path);
			end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
			/* No data any more, or the file shrank under our feet. */
			if (start < 0 || end < 0 || (uint64_t)start >= size)
				break;
			start &= -(int64_t)CKPT_PAGE_LEN;
			if ((uint64_t)end > size)
				end = size;
			end = pages_of(end) << CKPT_PAGE_SHIFT;
			if ((uint64_t)end > size)
				end = size;
		}
		if (drop(sink, space, at >> CKPT_PAGE_SHIFT, start >> CKPT_PAGE_SHIFT, err))
			return -1;
		last = read_range(fd, start, end, way != CKPT_FS_WAY_DENSE && !seek, sink, space,
				  buf, path, stats, err);
		if (last < 0)
			return -1;
		at = last;
		if (last < end)
			break;
	}
	return at;
}

static int too_large(uint64_t size, const char *path, struct ckpt_err *err)
{
	if (size <= CKPT_PAGE_MAX << CKPT_PAGE_SHIFT)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0, "%s is larger than an image can hold", path);
}

int ckpt_fs_content_read(int fd, uint64_t size, enum ckpt_fs_way way, const struct ckpt_sink *sink,
			 uint32_t space, void *buf, const char *path,
			 struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	int64_t at;

	if (too_large(size, path, err))
		return -1;
	stats->files++;
	at = read_span(fd, 0, size, way, sink, space, buf, path, stats, err);
	return at < 0 ? -1 : drop(sink, space, pages_of(at), CKPT_PAGE_MAX + 1, err);
}

int ckpt_fs_content_read_ranges(int fd, uint64_t old_size, uint64_t size, enum ckpt_fs_way way,
				const struct ckpt_extent *ranges, size_t n_ranges,
				const struct ckpt_sink *sink, uint32_t space, void *buf,
				const char *path, struct ckpt_fs_stats *stats,
				struct ckpt_err *err)
{
	/* The page in which it ended is partly new. */
	uint64_t tail = size > old_size ? old_size & -(uint64_t)CKPT_PAGE_LEN : size;

	if (too_large(size, path, err))
		return -1;
	stats->files++;
	for (size_t i = 0; i < n_ranges && ranges[i].first < pages_of(tail); i++) {
		uint64_t first = ranges[i].first, left = pages_of(tail) - first;
		uint64_t end = first + (ranges[i].pages < left ? ranges[i].pages : left);

		end <<= CKPT_PAGE_SHIFT;
		if (read_range(fd, first << CKPT_PAGE_SHIFT, end < tail ? end : tail,
			       way != CKPT_FS_WAY_DENSE, sink, space, buf, path, stats, err) < 0)
			return -1;
	}
	return read_span(fd, tail, size, way, sink, space, buf, path, stats, err) < 0 ? -1 : 0;
}

static int write_full(int fd, const void *buf, size_t len, uint64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done, at + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

/* Fetch up to a chunk of pages of one run. Return: bytes, 0 never, -1 error. */
static ssize_t fetch(const struct ckpt_source *source, uint32_t space, uint64_t page,
		     uint64_t count, enum ckpt_page_kind kind, uint8_t *buf, struct ckpt_err *err)
{
	size_t n = count < CKPT_FS_CHUNK / CKPT_PAGE_LEN ? count : CKPT_FS_CHUNK / CKPT_PAGE_LEN;

	if (kind == CKPT_PAGE_IS_ZERO) {
		memset(buf, 0, n * CKPT_PAGE_LEN);
		return n * CKPT_PAGE_LEN;
	}
	for (size_t i = 0; i < n; i++)
		if (source->get(source->self, space, page + i, buf + i * CKPT_PAGE_LEN, &kind, err))
			return -1;
	return n * CKPT_PAGE_LEN;
}

int ckpt_fs_content_write(int fd, uint64_t size, const struct ckpt_source *source,
			  uint32_t space, void *buf, const char *path,
			  struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	uint64_t page = 0, end = pages_of(size), count;
	enum ckpt_page_kind kind;
	int rc = 0;

	stats->files++;
	if (ftruncate(fd, size))
		return ckpt_fail(err, CKPT_FAILED, errno, "set the length of %s", path);
	while (page < end) {
		uint64_t stop;

		rc = source->next(source->self, space, &page, &count, &kind, err);
		if (rc <= 0 || page >= end)
			break;
		stop = count < end - page ? page + count : end;

		while (page < stop) {
			uint64_t at = page << CKPT_PAGE_SHIFT;
			ssize_t n = fetch(source, space, page, stop - page, kind, buf, err);
			size_t use;

			if (n < 0)
				return -1;
			use = at + n > size ? size - at : (size_t)n;
			if (write_full(fd, buf, use, at))
				return ckpt_fail(err, CKPT_FAILED, errno, "write %s", path);
			stats->bytes_written += use;
			page += n >> CKPT_PAGE_SHIFT;
		}
	}
	return rc < 0 ? -1 : 0;
}

/* Bytes [at, end) of the file are zeros or a hole. Return: 1 yes, 0 no, -1 error. */
static int zero_range(int fd, uint64_t at, uint64_t end, uint8_t *buf, const char *path,
		      struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	bool seek = seek_tells(fd, end - at);

	while (at < end) {
		int64_t start = seek ? lseek(fd, at, SEEK_DATA) : (int64_t)at;
		size_t want;
		ssize_t n;

		if (start < 0 && errno == ENXIO)
			return 1;
		if (start < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "seek in %s", path);
		if ((uint64_t)start >= end)
			return 1;
		want = end - start < CKPT_FS_CHUNK ? end - start : CKPT_FS_CHUNK;
		n = read_full(fd, buf, want, start);
		if (n < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "read %s", path);
		stats->bytes_read += n;
		if ((size_t)n < want || !all_zero(buf, n))
			return 0;
		at = start + n;
	}
	return 1;
}

/* Pages [page, stop), all captured. Return: 1 equal, 0 not, -1 error. */
static int same_run(int fd, uint64_t size, uint64_t page, uint64_t stop,
		    const struct ckpt_source *source, uint32_t space, uint8_t *buf,
		    const char *path, struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	uint8_t want[CKPT_PAGE_LEN];
	enum ckpt_page_kind kind;

	while (page < stop) {
		uint64_t at = page << CKPT_PAGE_SHIFT, bytes = (stop - page) << CKPT_PAGE_SHIFT;
		size_t len = bytes < CKPT_FS_CHUNK ? bytes : CKPT_FS_CHUNK;
		ssize_t n;

		if (at + len > size)
			len = size - at;
		n = read_full(fd, buf, len, at);
		if (n < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "read %s", path);
		stats->bytes_read += n;
		if ((size_t)n < len)
			return 0;
		for (size_t i = 0; i < len; i += CKPT_PAGE_LEN) {
			size_t use = len - i < CKPT_PAGE_LEN ? len - i : CKPT_PAGE_LEN;

			if (source->get(source->self, space, page++, want, &kind, err))
				return -1;
			if (memcmp(want, buf + i, use))
				return 0;
		}
	}
	return 1;
}

int ckpt_fs_content_same(int fd, uint64_t size, const struct ckpt_source *source,
			 uint32_t space, void *buf, const char *path,
			 struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	uint64_t at = 0, end = pages_of(size), page = 0, count;
	enum ckpt_page_kind kind;
	int rc = 0, same;

	while (at < end) {
		uint64_t stop;

		page = at;
		rc = source->next(source->self, space, &page, &count, &kind, err);
		if (rc < 0)
			return -1;
		if (!rc || page >= end)
			break;
		stop = count < end - page ? page + count : end;
		same = zero_range(fd, at << CKPT_PAGE_SHIFT, page << CKPT_PAGE_SHIFT, buf, path,
				  stats, err);
		if (same == 1)
			same = same_run(fd, size, page, stop, source, space, buf, path, stats, err);
		if (same != 1)
			return same;
		at = stop;
	}
	return at < end ? zero_range(fd, at << CKPT_PAGE_SHIFT, size, buf, path, stats, err) : 1;
}
