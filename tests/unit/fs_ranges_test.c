// SPDX-License-Identifier: GPL-2.0-or-later
/* Capture by page ranges: only those are read, and only where the rest is known. */
#include "fs_state.h"

#define PAGE ((uint64_t)CKPT_PAGE_LEN)
#define BIG (12u << 20)

static char file[400];

static void put_page(const char *path, uint64_t page, int value)
{
	char data[CKPT_PAGE_LEN];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	must(fd);
	memset(data, value, sizeof(data));
	assert_int_equal(pwrite(fd, data, sizeof(data), page * PAGE), sizeof(data));
	must(close(fd));
}

static void start_with(struct state *s, uint64_t bytes)
{
	start(s);
	snprintf(file, sizeof(file), "%s/f", s->root);
	for (uint64_t page = 0; page < bytes / PAGE; page++)
		put_page(file, page, page % 250 + 1);
	scan(s, CKPT_FS_FINAL);
	assert_captured(s);
	s->stats = (struct ckpt_fs_stats){ 0 };
}

/* One round that names a file, and the root as a directory that changed. */
static void tell_of(struct state *s, const char *path, unsigned int flags,
		    const struct ckpt_extent *ranges, size_t n)
{
	struct ckpt_fs_change changes[] = { {
		.mask = CKPT_INODE_DATA | CKPT_INODE_SUSPECT,
		.flags = CKPT_INODE_F_OPEN | CKPT_INODE_F_RANGES, .ranges = ranges, .n_ranges = n,
	}, { .mask = CKPT_INODE_ENTRIES } };
	struct stat st;

	must(stat(path, &st));
	changes[0].ino = st.st_ino;
	changes[0].dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	must(stat(s->root, &st));
	changes[1].ino = st.st_ino;
	changes[1].dev = changes[0].dev;
	check(s, ckpt_fs_changes(s->table, &s->sink, flags, changes, 2, &s->stats, &s->err));
}

static void tell(struct state *s, unsigned int flags, const struct ckpt_extent *ranges, size_t n)
{
	tell_of(s, file, flags, ranges, n);
}

static void only_ranges_and_the_end_are_read(void **arg)
{
	const struct ckpt_extent some[] = { { 5, 1 }, { 700, 2 }, { BIG / PAGE, 1 },
					    { 1ull << 40, 1 } };
	struct state s;

	(void)arg;
	start_with(&s, BIG);
	put_page(file, 5, 251);
	put_page(file, 701, 252);
	put_page(file, BIG / PAGE, 253);
	tell(&s, CKPT_FS_FINAL, some, 4);
	assert_int_equal(s.stats.bytes_read, 4 * PAGE);
	assert_captured(&s);
	s.stats.bytes_read = 0;
	tell(&s, CKPT_FS_FINAL, NULL, 0);
	assert_int_equal(s.stats.bytes_read, 0);
	/* What was appended after the take that told it, in the middle of a page. */
	must(truncate(file, BIG + PAGE + 100));
	tell(&s, 0, NULL, 0);
	assert_int_equal(s.stats.bytes_read, 100);
	must(truncate(file, BIG + 9 * PAGE));
	put_page(file, BIG / PAGE + 4, 254);
	tell(&s, CKPT_FS_FINAL, NULL, 0);
	assert_captured(&s);
	end(&s);
}

static void a_page_of_zeros_is_zeros(void **arg)
{
	const struct ckpt_extent all[] = { { 0, 40 } };
	struct state s;

	(void)arg;
	start_with(&s, 40 * PAGE);
	put_page(file, 7, 0);
	tell(&s, CKPT_FS_FINAL, all, 1);
	assert_captured(&s);
	end(&s);
}

static void a_long_hole_is_not_read(void **arg)
{
	struct state s;

	(void)arg;
	start_with(&s, 40 * PAGE);
	must(truncate(file, 1ll << 33));
	put_page(file, 1 << 20, 9);
	tell(&s, CKPT_FS_FINAL, NULL, 0);
	assert_true(s.stats.bytes_read < BIG);
	must(truncate(file, 1 << 20));
	tell(&s, CKPT_FS_FINAL, NULL, 0);
	assert_captured(&s);
	end(&s);
}

/* Changed and not told: found all the same, because ranges do not apply. */
static void all_is_read_where_the_rest_is_not_known(void **arg)
{
	struct ckpt_fs_change two[2] = { {
		.mask = CKPT_INODE_DATA, .flags = CKPT_INODE_F_RANGES
	} };
	struct state s;
	struct stat st;

	(void)arg;
	start_with(&s, 60 * PAGE);
	put_page(file, 9, 251);
	must(truncate(file, 50 * PAGE));
	tell(&s, CKPT_FS_FINAL, NULL, 0);
	assert_captured(&s);	/* it shrank */
	put_page(file, 9, 252);
	tell(&s, CKPT_FS_FINAL | CKPT_FS_AUDIT, NULL, 0);
	assert_captured(&s);	/* who audits believes nothing */
	put_page(file, 9, 253);
	must(stat(file, &st));
	two[0].ino = st.st_ino;
	two[0].dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	two[1] = two[0];
	check(&s, ckpt_fs_changes(s.table, &s.sink, CKPT_FS_FINAL, two, 2, &s.stats, &s.err));
	assert_captured(&s);	/* two inodes had the number */
	end(&s);

	start(&s);
	scan(&s, CKPT_FS_FINAL);
	snprintf(file, sizeof(file), "%s/f", s.root);
	put_page(file, 30, 7);
	s.table->roots[0].top->dirty = true;
	must(stat(s.root, &st));
	two[0].ino = st.st_ino;
	two[0].mask = CKPT_INODE_ENTRIES;
	must(stat(file, &st));
	two[1].ino = st.st_ino;
	check(&s, ckpt_fs_changes(s.table, &s.sink, CKPT_FS_FINAL, two, 2, &s.stats, &s.err));
	assert_captured(&s);	/* it was not there before */
	end(&s);
}

/* Told in a round that did not find the file: the next one has but the rest of it. */
static void what_a_round_missed_is_read_later(void **arg)
{
	const struct ckpt_extent first[] = { { 5, 1 } }, second[] = { { 6, 1 } };
	char away[420];
	struct state s;

	(void)arg;
	start_with(&s, 60 * PAGE);
	snprintf(away, sizeof(away), "%s.away", s.root);
	put_page(file, 5, 251);
	must(rename(file, away));
	tell_of(&s, away, 0, first, 1);
	must(rename(away, file));
	put_page(file, 6, 252);
	tell(&s, CKPT_FS_FINAL, second, 1);
	assert_captured(&s);
	end(&s);
}

static void random_writes_are_captured(void **arg)
{
	struct ckpt_extent told[8];
	unsigned int seed = 7;
	struct state s;

	(void)arg;
	start_with(&s, 200 * PAGE);
	for (int round = 0; round < 60; round++) {
		uint64_t page = 0;
		size_t n = 0;

		while (n < 8 && (page += 1 + rand_r(&seed) % 60) < 250) {
			told[n] = (struct ckpt_extent){ page, 1 + rand_r(&seed) % 3 };
			for (uint64_t i = 0; i < told[n].pages; i++)
				put_page(file, page + i, rand_r(&seed) % 256);
			page += told[n++].pages;
		}
		tell(&s, round % 3 ? 0 : CKPT_FS_FINAL, told, n);
		if (round % 3 == 0)
			assert_captured(&s);
	}
	assert_true(s.stats.bytes_read < 60 * 80 * PAGE);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_ranges_and_the_end_are_read),
		cmocka_unit_test(a_page_of_zeros_is_zeros),
		cmocka_unit_test(a_long_hole_is_not_read),
		cmocka_unit_test(all_is_read_where_the_rest_is_not_known),
		cmocka_unit_test(what_a_round_missed_is_read_later),
		cmocka_unit_test(random_writes_are_captured),
	};

	umask(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
