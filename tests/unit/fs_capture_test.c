// SPDX-License-Identifier: GPL-2.0-or-later
/* Capture of roots: what the checkpoint holds is what was on the disk. */
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "fs_state.h"

static void every_kind(void **arg)
{
	struct state s;
	const struct ckpt_fs_inode *i;
	char path[400];
	uint64_t page = 0, count;
	enum ckpt_page_kind kind;

	(void)arg;
	start(&s);
	make_one_of_each(s.root);
	scan(&s, CKPT_FS_FINAL);
	assert_captured(&s);
	snprintf(path, sizeof(path), "%s/sparse", s.root);
	i = ckpt_fs_table_find(s.table, path);
	assert_non_null(i);
	assert_int_equal(mem_next(&s.store, i->space, &page, &count, &kind, NULL), 1);
	assert_true(page <= 256 && page + count > 256 && count <= 16);
	snprintf(path, sizeof(path), "%s/sub/text-three", s.root);
	assert_ptr_equal(ckpt_fs_table_find(s.table, path)->names->other->other->other, NULL);
	assert_null(ckpt_fs_table_find(s.table, "/nowhere"));
	end(&s);
}

static void second_scan_reads_nothing(void **arg)
{
	struct state s;
	uint64_t puts;

	(void)arg;
	start(&s);
	make_one_of_each(s.root);
	usleep(120000);
	scan(&s, 0);
	scan(&s, CKPT_FS_FINAL);
	store(&s);
	reload(&s);
	s.stats = (struct ckpt_fs_stats){ 0 };
	puts = s.store.puts;
	scan(&s, CKPT_FS_FINAL);
	store(&s);
	/* On a file system whose times do not tell everything is read, and found equal. */
	if (s.table->roots[0].times_tell)
		assert_int_equal(s.stats.bytes_read, 0);
	else
		print_message("# times are not trusted here\n");
	assert_true(s.stats.bytes_read || s.store.puts == puts);
	s.stats = (struct ckpt_fs_stats){ 0 };
	scan(&s, CKPT_FS_FINAL | CKPT_FS_AUDIT);
	assert_true(s.stats.bytes_read > 0);
	end(&s);
}

/* Content changed with the very same size and times: found when young or suspect. */
static void same_times_are_not_trusted_when_young(void **arg)
{
	struct ckpt_fs_change suspect = { .flags = CKPT_INODE_F_MAPPED };
	struct state s;
	char path[400];
	struct stat st;

	(void)arg;
	for (int held = 0; held < 2; held++) {
		const struct ckpt_fs_inode *i;

		start(&s);
		snprintf(path, sizeof(path), "%s/f", s.root);
		put_file(path, "old");
		if (held)
			usleep(120000);
		must(stat(path, &st));
		suspect.ino = st.st_ino;
		suspect.dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
		check(&s, ckpt_fs_scan(s.table, &s.sink, CKPT_FS_FINAL, &suspect, held, &s.stats,
				       &s.err));
		store(&s);
		reload(&s);
		i = ckpt_fs_table_find(s.table, path);
		assert_int_equal(i->meta.flags, CKPT_FS_RECHECK);
		put_file(path, "new");
		must(stat(path, &st));
		/* As if the clock had not moved. */
		s.table->roots[0].top->dirty = true;
		((struct ckpt_fs_inode *)i)->meta.mtime_ns =
			st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
		((struct ckpt_fs_inode *)i)->meta.ctime_ns =
			st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec;
		scan(&s, CKPT_FS_FINAL);
		assert_captured(&s);
		end(&s);
	}
}

/* Stored through a mapping after the live scan; at the stop nobody has the file any more. */
static void stores_through_a_mapping_are_seen_at_the_stop(void **arg)
{
	struct state s;
	char path[400];
	uint8_t *map;
	int fd;

	(void)arg;
	start(&s);
	snprintf(path, sizeof(path), "%s/f", s.root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(fd);
	must(ftruncate(fd, 3 * CKPT_PAGE_LEN));
	map = mmap(NULL, 3 * CKPT_PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	must(close(fd));
	memset(map, 'a', 3 * CKPT_PAGE_LEN);
	usleep(120000);
	scan(&s, 0);
	/* The page is writable by now: this store leaves no trace of its own. */
	memset(map + CKPT_PAGE_LEN, 'b', CKPT_PAGE_LEN);
	must(munmap(map, 3 * CKPT_PAGE_LEN));
	scan(&s, CKPT_FS_FINAL);
	assert_captured(&s);
	end(&s);
}

static void changes_equal_disk(struct state *s, struct work *w, uint64_t seed)
{
	static struct ckpt_fs_change taken[16384];

	w->root = s->root;
	w->seed = seed;
	for (int i = 0; i < 200; i++)
		work_once(w);
	scan(s, CKPT_FS_FINAL);
	take(w, taken);
	assert_captured(s);
	for (int cycle = 0; cycle < 6; cycle++) {
		for (int round = 0; round < 3; round++) {
			for (uint32_t i = rnd(w, 60); i; i--)
				work_once(w);
			check(s, ckpt_fs_changes(s->table, &s->sink, round == 2 ? CKPT_FS_FINAL : 0,
						 taken, take(w, taken), &s->stats, &s->err));
		}
		assert_captured(s);
	}
}

static void changes_of_random_work(void **arg)
{
	struct work *w = calloc(1, sizeof(*w));
	struct state s;

	(void)arg;
	pthread_mutex_init(&w->lock, NULL);
	for (uint64_t seed = 1; seed <= 25; seed++) {
		start(&s);
		changes_equal_disk(&s, w, seed);
		end(&s);
	}
	free(w);
}

static void *work_on(void *arg)
{
	for (int i = 0; i < 3000; i++)
		work_once(arg);
	return NULL;
}

/* Live rounds while the tree is worked on never fail, and the final round is right. */
static void live_rounds_race_with_work(void **arg)
{
	static struct ckpt_fs_change taken[16384];
	struct work *w = calloc(1, sizeof(*w));
	struct state s;
	pthread_t thread;

	(void)arg;
	pthread_mutex_init(&w->lock, NULL);
	start(&s);
	w->root = s.root;
	w->seed = 99;
	for (int i = 0; i < 200; i++)
		work_once(w);
	scan(&s, CKPT_FS_FINAL);
	take(w, taken);
	for (int cycle = 0; cycle < 6; cycle++) {
		assert_int_equal(pthread_create(&thread, NULL, work_on, w), 0);
		for (int round = 0; round < 8; round++) {
			if (cycle & 1)
				scan(&s, 0);
			check(&s, ckpt_fs_changes(s.table, &s.sink, 0, taken, take(w, taken),
						  &s.stats, &s.err));
		}
		pthread_join(thread, NULL);
		check(&s, ckpt_fs_changes(s.table, &s.sink, CKPT_FS_FINAL, taken, take(w, taken),
					  &s.stats, &s.err));
		assert_captured(&s);
	}
	free(w);
	end(&s);
}

/* The kernel itself counts who opens an unchanged directory. */
static void no_unchanged_directory_is_opened(void **arg)
{
	struct ckpt_fs_change changes[2] = { { .mask = CKPT_INODE_ENTRIES },
					     { .mask = CKPT_INODE_DATA } };
	char path[400], events[4096];
	struct state s;
	struct stat st;
	int watch;

	(void)arg;
	start(&s);
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "%s/d%d", s.root, i);
		must(mkdir(path, 0755));
		snprintf(path, sizeof(path), "%s/d%d/f", s.root, i);
		put_file(path, "x");
	}
	scan(&s, CKPT_FS_FINAL);
	store(&s);
	reload(&s);
	s.stats = (struct ckpt_fs_stats){ 0 };
	watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "%s/d%d", s.root, i);
		if (i != 7)
			must(inotify_add_watch(watch, path, IN_OPEN | IN_ONLYDIR));
	}
	snprintf(path, sizeof(path), "%s/d7/new", s.root);
	put_file(path, "new");
	snprintf(path, sizeof(path), "%s/d7", s.root);
	must(stat(path, &st));
	changes[0].ino = st.st_ino;
	snprintf(path, sizeof(path), "%s/d7/f", s.root);
	put_file(path, "other");
	must(stat(path, &st));
	changes[1].ino = st.st_ino;
	changes[0].dev = changes[1].dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	check(&s, ckpt_fs_changes(s.table, &s.sink, CKPT_FS_FINAL, changes, 2, &s.stats, &s.err));
	assert_int_equal(s.stats.dirs, 1);
	assert_int_equal(s.stats.bytes_read, 8);
	assert_true(read(watch, events, sizeof(events)) < 0);
	close(watch);
	assert_captured(&s);
	end(&s);
}

/* Metadata of a file with names in two directories stands in two listings. */
static void every_name_of_a_file_is_rewritten(void **arg)
{
	struct ckpt_fs_change change = { .mask = CKPT_INODE_META };
	struct state s;
	struct stat st;

	(void)arg;
	start(&s);
	must(chdir(s.root));
	must(mkdir("d", 0755));
	must(mkdir("e", 0755));
	put_file("d/f", "x");
	must(link("d/f", "e/g"));
	scan(&s, CKPT_FS_FINAL);
	assert_captured(&s);
	must(stat("d/f", &st));
	must(chmod("d/f", 0400));
	must(chdir("/"));
	change.ino = st.st_ino;
	change.dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	s.stats = (struct ckpt_fs_stats){ 0 };
	check(&s, ckpt_fs_changes(s.table, &s.sink, CKPT_FS_FINAL, &change, 1, &s.stats, &s.err));
	assert_int_equal(s.stats.dirs, 0);
	assert_int_equal(s.stats.bytes_read, 0);
	assert_captured(&s);
	end(&s);
}

static void access_times_stay(void **arg)
{
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	char dir[400], path[400];
	struct state s;
	struct stat st;

	(void)arg;
	start(&s);
	snprintf(dir, sizeof(dir), "%s/d", s.root);
	snprintf(path, sizeof(path), "%s/d/f", s.root);
	must(mkdir(dir, 0755));
	put_file(path, "x");
	must(utimensat(AT_FDCWD, path, old, 0));
	must(utimensat(AT_FDCWD, dir, old, 0));
	scan(&s, CKPT_FS_FINAL | CKPT_FS_AUDIT);
	must(stat(path, &st));
	assert_int_equal(st.st_atim.tv_sec, 1000);
	must(stat(dir, &st));
	assert_int_equal(st.st_atim.tv_sec, 1000);
	end(&s);
}

static void deep_paths(void **arg)
{
	char name[201];
	struct state s;
	int fd;

	(void)arg;
	start(&s);
	memset(name, 'n', 200);
	name[200] = 0;
	fd = open(s.root, O_PATH | O_CLOEXEC);
	for (int i = 0; i < 60; i++) {
		int next;

		must(mkdirat(fd, name, 0755));
		next = openat(fd, name, O_PATH | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	must(symlinkat("x", fd, "end"));
	close(fd);
	scan(&s, CKPT_FS_FINAL);
	store(&s);
	reload(&s);
	assert_int_equal(ckpt_fs_table_count(s.table), 62);
	end(&s);
}

static void assert_refused(struct state *s, int rc, enum ckpt_status status, const char *text)
{
	assert_int_equal(rc, -1);
	assert_int_equal(s->err.status, status);
	if (!strstr(s->err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", s->err.text, text);
	ckpt_err_clear(&s->err);
}

static void refusals(void **arg)
{
	static const char *const bad[] = { "relative", "/", "/a/../b", "/a//b", "/a/", "/a/." };
	struct state s;
	char path[400];

	(void)arg;
	start(&s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_refused(&s, ckpt_fs_table_add_root(s.table, bad[i], &s.err), CKPT_USAGE,
			       "absolute plain path");
	snprintf(path, sizeof(path), "%s/inner", s.root);
	assert_refused(&s, ckpt_fs_table_add_root(s.table, path, &s.err), CKPT_REFUSED, "overlaps");
	must(mkdir(path, 0755));
	must(mount("none", path, "tmpfs", 0, NULL));
	assert_refused(&s, ckpt_fs_scan(s.table, &s.sink, 0, NULL, 0, &s.stats, &s.err),
		       CKPT_REFUSED, "inner is a mount point");
	must(umount(path));
	must(rmdir(path));
	must(rmdir(s.root));
	assert_refused(&s, ckpt_fs_scan(s.table, &s.sink, 0, NULL, 0, &s.stats, &s.err),
		       CKPT_FAILED, "open root");
	must(mkdir(s.root, 0700));
	end(&s);
}

/* A flipped or cut listing is refused, never followed. */
static void damaged_listings(void **arg)
{
	struct ckpt_fs_table *t = NULL;
	struct state s;
	size_t damaged = 0;

	(void)arg;
	start(&s);
	make_one_of_each(s.root);
	scan(&s, CKPT_FS_FINAL);
	store(&s);
	for (size_t i = 0; i < s.roots.len; i += 3) {
		s.roots.data[i] ^= 0x5a;
		if (!ckpt_fs_table_load(&s.source, s.roots.data, s.roots.len, &t, &s.err))
			ckpt_fs_table_free(t);
		else
			damaged++;
		s.roots.data[i] ^= 0x5a;
	}
	assert_true(damaged > 10);
	damaged = 0;
	for (size_t i = 0; i < 4096; i += 13) {
		struct mem_page *p = s.store.spaces[s.table->roots[0].top->space].pages[0];

		p->data[i] ^= 1 << i % 8;
		if (!ckpt_fs_table_load(&s.source, s.roots.data, s.roots.len, &t, &s.err))
			ckpt_fs_table_free(t);
		else
			damaged++;
		p->data[i] ^= 1 << i % 8;
	}
	assert_true(damaged > 20);
	end(&s);
}

/* Where times have whole seconds a change may hide for as long. */
static void coarse_times_stay_young_for_longer(void **state)
{
	const int64_t second = 1000000000;
	struct ckpt_fs_meta fine = { .ctime_ns = 7 * second + 1, .mtime_ns = 7 * second + 1 };
	struct ckpt_fs_meta coarse = { .ctime_ns = 7 * second, .mtime_ns = 5 * second };

	(void)state;
	assert_true(ckpt_fs_meta_young(&fine, 7 * second + 20000000));
	assert_false(ckpt_fs_meta_young(&fine, 7 * second + 100000000));
	assert_true(ckpt_fs_meta_young(&coarse, 8 * second + 900000000));
	assert_false(ckpt_fs_meta_young(&coarse, 9 * second + 100000000));
}

/* Out of the root, changed there, and back: only the top is told, and times were put back. */
static void what_was_away_is_walked(void **arg)
{
	static const char *const inside[] = { "sub/file", "sub/deep/file" };
	struct ckpt_fs_change change = { .mask = CKPT_INODE_MOVED | CKPT_INODE_CREATED,
					 .flags = CKPT_INODE_F_DIR };
	struct state s;
	struct stat st;

	(void)arg;
	start(&s);
	must(chdir(s.root));
	must(mkdir("sub", 0755));
	must(mkdir("sub/deep", 0755));
	put_file(inside[0], "before");
	put_file(inside[1], "before");
	must(chdir("/"));
	capture_all(&s);
	usleep(120000);
	must(chdir(s.root));
	for (size_t i = 0; i < 2; i++) {
		must(stat(inside[i], &st));
		put_file(inside[i], "behind");
		must(utimensat(AT_FDCWD, inside[i],
			       (struct timespec[]){ st.st_atim, st.st_mtim }, 0));
	}
	must(stat("sub", &st));
	change.dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	change.ino = st.st_ino;
	must(chdir("/"));
	check(&s, ckpt_fs_changes(s.table, &s.sink, CKPT_FS_FINAL, &change, 1, &s.stats, &s.err));
	assert_captured(&s);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind),
		cmocka_unit_test(second_scan_reads_nothing),
		cmocka_unit_test(same_times_are_not_trusted_when_young),
		cmocka_unit_test(stores_through_a_mapping_are_seen_at_the_stop),
		cmocka_unit_test(what_was_away_is_walked),
		cmocka_unit_test(changes_of_random_work),
		cmocka_unit_test(live_rounds_race_with_work),
		cmocka_unit_test(no_unchanged_directory_is_opened),
		cmocka_unit_test(every_name_of_a_file_is_rewritten),
		cmocka_unit_test(access_times_stay),
		cmocka_unit_test(deep_paths),
		cmocka_unit_test(refusals),
		cmocka_unit_test(damaged_listings),
		cmocka_unit_test(coarse_times_stay_young_for_longer),
	};

	umask(0);
	/* Mounts of the tests stay with the tests. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("private mount namespace");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
