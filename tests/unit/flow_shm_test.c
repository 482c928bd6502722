// SPDX-License-Identifier: GPL-2.0-or-later
/* Shared memory of a checkpoint: content, and the spaces of the parent. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flow/shm.h"
#include "memstore.h"

#define PAGE CKPT_PAGE_LEN

/* A memfd of this process, as capture would have found it; @name is not its own. */
static struct ckpt_shm memfd(char *name, uint64_t ino, int fd)
{
	return (struct ckpt_shm){ .kind = CKPT_SHM_MEMFD, .name = name, .ino = ino,
				  .size = lseek(fd, 0, SEEK_END) };
}

static struct ckpt_file file(uint32_t object, int fd)
{
	return (struct ckpt_file){ .kind = CKPT_FILE_SHM, .object = object,
				   .capture_pid = getpid(), .capture_fd = fd };
}

static struct ckpt_image image_of(struct ckpt_shm *shms, struct ckpt_file *files, size_t n)
{
	return (struct ckpt_image){ .shms = shms, .n_shms = n, .files = files, .n_files = n };
}

static int try_capture(struct ckpt_image *image, const struct ckpt_image *parent,
		       struct memstore *store, uint64_t *ret_pages, struct ckpt_err *err)
{
	struct ckpt_stage *stage = ckpt_stage_new(1, err);
	const struct ckpt_sink sink = mem_sink(store);
	struct ckpt_sink staged;
	int ret;

	assert_non_null(stage);
	staged = ckpt_stage_sink(stage, &sink);
	ret = ckpt_shm_capture(image, parent, stage, &staged, ret_pages, err);
	if (!ret)
		assert_int_equal(ckpt_stage_replay(stage, &sink, err), 0);
	ckpt_stage_free(stage);
	return ret;
}

static uint64_t capture(struct ckpt_image *image, const struct ckpt_image *parent,
			struct memstore *store)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint64_t pages;

	if (try_capture(image, parent, store, &pages, &err))
		fail_msg("%s", err.text);
	return pages;
}

static int make_fd(const char *text, uint64_t at, uint64_t size)
{
	int fd = memfd_create("test", 0);

	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
	return fd;
}

static void check_page(struct memstore *store, uint32_t space, uint64_t page, size_t at,
		       const char *text)
{
	uint8_t data[PAGE];
	enum ckpt_page_kind kind;

	assert_int_equal(mem_get(store, space, page, data, &kind, NULL), 0);
	if (!text) {
		assert_int_equal(kind, CKPT_PAGE_IS_ABSENT);
		return;
	}
	assert_int_equal(kind, CKPT_PAGE_IS_DATA);
	assert_memory_equal(data + at, text, strlen(text));
}

/* What is written where there is no file any more, and what is not written at all. */
static void has_tails_and_holes(void **state)
{
	int fd = make_fd("here", 3 * PAGE, 2000 * PAGE + 10);
	int bare = make_fd("", 0, 10);
	struct ckpt_shm shms[] = { memfd((char *)"a", 1, fd), memfd((char *)"b", 2, bare) };
	struct ckpt_file files[] = { file(0, fd), file(1, bare) };
	struct ckpt_image image = image_of(shms, files, 2), none = { 0 };
	struct memstore store = { 0 };
	char *last = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2000 * PAGE);

	(void)state;
	strcpy(last + 100, "behind");
	assert_int_equal(capture(&image, &none, &store), 2);
	assert_int_not_equal(shms[0].space, shms[1].space);
	check_page(&store, shms[0].space, 3, 0, "here");
	check_page(&store, shms[0].space, 4, 0, NULL);
	check_page(&store, shms[0].space, 2000, 100, "behind");
	check_page(&store, shms[1].space, 0, 0, NULL);
	/* to look at a hole has not filled it */
	assert_int_equal(lseek(bare, 0, SEEK_DATA), -1);
	munmap(last, PAGE);
	close(bare);
	close(fd);
	mem_done(&store);
}

static void goes_on_in_its_space(void **state)
{
	int one = make_fd("one", 0, 2 * PAGE), two = make_fd("two", PAGE, 2 * PAGE);
	struct ckpt_shm old[] = { memfd((char *)"a", 1, one), memfd((char *)"a", 2, two) };
	struct ckpt_shm new[] = { memfd((char *)"a", 2, two), memfd((char *)"a", 3, one) };
	struct ckpt_file files[] = { file(0, one), file(1, two) };
	struct ckpt_file swapped[] = { file(0, two), file(1, one) };
	struct ckpt_image parent = image_of(old, files, 2), none = { 0 };
	struct ckpt_image image = image_of(new, swapped, 2);
	struct memstore store = { 0 };

	(void)state;
	capture(&parent, &none, &store);
	assert_int_equal(fallocate(two, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE),
			 0);
	assert_int_equal(pwrite(two, "new", 3, 0), 3);
	capture(&image, &parent, &store);
	/* the very same one, whatever its place; and what is like one that is gone */
	assert_int_equal(new[0].space, old[1].space);
	assert_int_equal(new[1].space, old[0].space);
	check_page(&store, new[0].space, 0, 0, "new");
	check_page(&store, new[0].space, 1, 0, NULL);
	check_page(&store, new[1].space, 0, 0, "one");
	close(one);
	close(two);
	mem_done(&store);
}

static void drops_what_is_gone(void **state)
{
	int one = make_fd("one", 0, PAGE), two = make_fd("two", 0, 2 * PAGE);
	struct ckpt_shm old[] = { memfd((char *)"a", 1, one), memfd((char *)"a", 2, two) };
	struct ckpt_shm new[] = { memfd((char *)"a", 9, two), memfd((char *)"b", 1, one) };
	struct ckpt_file files[] = { file(0, one), file(1, two) };
	struct ckpt_file swapped[] = { file(0, two), file(1, one) };
	struct ckpt_image parent = image_of(old, files, 2), none = { 0 };
	struct ckpt_image image = image_of(new, swapped, 2);
	struct memstore store = { 0 };
	const struct ckpt_sink sink = mem_sink(&store);

	(void)state;
	capture(&parent, &none, &store);
	capture(&image, &parent, &store);
	assert_int_equal(new[0].space, old[1].space);
	assert_int_equal(new[1].space, 3);
	assert_int_equal(ckpt_shm_drop(&parent, &image, &sink, NULL), 0);
	check_page(&store, old[0].space, 0, 0, NULL);
	check_page(&store, new[0].space, 0, 0, "two");
	check_page(&store, new[1].space, 0, 0, "one");
	close(one);
	close(two);
	mem_done(&store);
}

/* More than one processor takes at a time, scattered and whole. */
static void copies_much(void **state)
{
	const uint64_t n = 3000;
	int fd = make_fd("", 0, n * PAGE);
	struct ckpt_shm shm = memfd((char *)"a", 1, fd);
	struct ckpt_file f = file(0, fd);
	struct ckpt_image image = image_of(&shm, &f, 1), none = { 0 };
	struct memstore store = { 0 };
	uint64_t page;

	(void)state;
	for (page = 0; page < n; page += page < 1000 ? 2 : 1)
		assert_int_equal(pwrite(fd, &page, sizeof(page), page * PAGE), sizeof(page));
	assert_int_equal(capture(&image, &none, &store), 500 + 2000);
	for (page = 0; page < n; page++) {
		uint64_t data[PAGE / 8];
		enum ckpt_page_kind kind;

		assert_int_equal(mem_get(&store, shm.space, page, data, &kind, NULL), 0);
		if (page < 1000 && page % 2)
			assert_int_equal(kind, CKPT_PAGE_IS_ABSENT);
		else
			assert_int_equal(data[0], page);
	}
	close(fd);
	mem_done(&store);
}

/* Somebody whom nobody stops. */
static void refuses_another_size(void **state)
{
	int fd = make_fd("x", 0, 2 * PAGE);
	struct ckpt_shm shm = memfd((char *)"a", 1, fd);
	struct ckpt_file f = file(0, fd);
	struct ckpt_image image = image_of(&shm, &f, 1), none = { 0 };
	struct memstore store = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	uint64_t pages;

	(void)state;
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(try_capture(&image, &none, &store, &pages, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "somebody outside the tree"));
	close(fd);
	mem_done(&store);
}

static void counts_what_is_there(void **state)
{
	char *at = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			0);

	(void)state;
	memset(at, 1, 64 * PAGE);
	assert_true(ckpt_shm_resident(getpid()) >= 64);
	assert_int_equal(ckpt_shm_resident(0x7ffffff0), 0);
	munmap(at, 64 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_tails_and_holes),
		cmocka_unit_test(goes_on_in_its_space),
		cmocka_unit_test(drops_what_is_gone),
		cmocka_unit_test(copies_much),
		cmocka_unit_test(refuses_another_size),
		cmocka_unit_test(counts_what_is_there),
	};

	return cmocka_run_group_tests_name("flow shm", tests, NULL, NULL);
}
