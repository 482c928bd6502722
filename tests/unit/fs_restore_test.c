// SPDX-License-Identifier: GPL-2.0-or-later
/* Restore of roots: the tree is that of the checkpoint again, and nothing else is touched. */
#include <sched.h>
#include <sys/mount.h>

#include "fs/restore.h"
#include "fs_state.h"

static void assert_verified(struct state *s)
{
	struct ckpt_buf list = CKPT_BUF_INIT;
	size_t n = 99;

	check(s, ckpt_fs_verify(s->table, &s->source, &n, &list, &s->stats, &s->err));
	ckpt_buf_put(&list, "", 1);
	if (n)
		fail_msg("%s", (char *)list.data);
	ckpt_buf_done(&list);
}

static size_t restore(struct state *s)
{
	struct ckpt_fs_restore *r = NULL;
	size_t n;

	s->stats = (struct ckpt_fs_stats){ 0 };
	check(s, ckpt_fs_restore_prepare(s->table, NULL, 0, &s->source, &r, &s->stats, &s->err));
	n = ckpt_fs_restore_count(r);
	check(s, ckpt_fs_restore_commit(r, &s->err));
	ckpt_fs_restore_free(r);
	return n;
}

static void deleted_tree_comes_back(void **arg)
{
	struct state s;
	struct stat st;
	char *want, path[400];

	(void)arg;
	start(&s);
	make_one_of_each(s.root);
	capture_all(&s);
	want = disk_text(s.root);
	tree_remove(s.root);
	assert_int_equal(restore(&s), 1);
	assert_text(s.root, want);
	assert_verified(&s);
	assert_no_stage(s.root);
	snprintf(path, sizeof(path), "%s/sparse", s.root);
	must(stat(path, &st));
	assert_int_equal(st.st_size, (3 << 20) + 5);
	assert_true(st.st_blocks * 512 <= 128 << 10);
	free(want);
	end(&s);
}

/* A file in the root's place, and parents that are gone. */
static void root_replaced_or_orphaned(void **arg)
{
	struct state s;
	char *want, top[300];

	(void)arg;
	start(&s);
	snprintf(top, sizeof(top), "%s", s.root);
	ckpt_fs_table_free(s.table);
	s.table = NULL;
	strcat(s.root, "/a/b");
	must(mkdir(strcat(strcpy(s.root, top), "/a"), 0755));
	must(mkdir(strcat(s.root, "/b"), 0755));
	check(&s, ckpt_fs_table_new(&s.table, &s.err));
	check(&s, ckpt_fs_table_add_root(s.table, s.root, &s.err));
	make_one_of_each(s.root);
	capture_all(&s);
	want = disk_text(s.root);
	tree_remove(s.root);
	put_file(s.root, "in the way");
	restore(&s);
	assert_text(s.root, want);
	s.root[strlen(s.root) - 2] = 0;
	tree_remove(s.root);
	strcat(s.root, "/b");
	restore(&s);
	assert_text(s.root, want);
	assert_verified(&s);
	assert_no_stage(s.root);
	free(want);
	strcpy(s.root, top);
	end(&s);
}

static void equal_tree_is_not_touched(void **arg)
{
	struct state s;
	struct stat before, after;
	char path[400];

	(void)arg;
	start(&s);
	make_one_of_each(s.root);
	capture_all(&s);
	snprintf(path, sizeof(path), "%s/text", s.root);
	must(stat(path, &before));
	assert_int_equal(restore(&s), 0);
	snprintf(path, sizeof(path), "%s/empty", s.root);
	put_file(path, "not any more");
	assert_int_equal(restore(&s), 1);
	assert_int_equal(s.stats.nodes, 1);
	assert_int_equal(s.stats.bytes_written, 0);
	snprintf(path, sizeof(path), "%s/text", s.root);
	must(stat(path, &after));
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_ctim.tv_sec, after.st_ctim.tv_sec);
	assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	assert_verified(&s);
	end(&s);
}

/* Equal content and metadata do not make two files one, nor one file two. */
static void hard_links_are_as_they_were(void **arg)
{
	struct timespec times[2] = { { .tv_sec = 7 }, { .tv_sec = 8 } };
	static const char *const names[] = { "a", "b", "c", "d" };
	struct state s;
	char *want;

	(void)arg;
	start(&s);
	must(chdir(s.root));
	for (int i = 0; i < 3; i++) {
		put_file(names[i], "same");
		must(utimensat(AT_FDCWD, names[i], times, 0));
	}
	must(link("c", "d"));
	capture_all(&s);
	want = disk_text(s.root);
	must(unlink("b"));
	must(link("a", "b"));
	must(unlink("d"));
	put_file("d", "same");
	must(utimensat(AT_FDCWD, "d", times, 0));
	must(chdir("/"));
	restore(&s);
	assert_text(s.root, want);
	assert_verified(&s);
	free(want);
	end(&s);
}

static void links_between_roots(void **arg)
{
	char one[400], two[400];
	struct stat a, b;
	struct state s;

	(void)arg;
	start(&s);
	ckpt_fs_table_free(s.table);
	s.table = NULL;
	check(&s, ckpt_fs_table_new(&s.table, &s.err));
	for (int i = 1; i <= 2; i++) {
		snprintf(one, sizeof(one), "%s/root%d", s.root, i);
		must(mkdir(one, 0755));
		check(&s, ckpt_fs_table_add_root(s.table, one, &s.err));
	}
	snprintf(one, sizeof(one), "%s/root1/f", s.root);
	snprintf(two, sizeof(two), "%s/root2/g", s.root);
	put_file(one, "shared");
	must(link(one, two));
	capture_all(&s);
	for (int round = 0; round < 2; round++) {
		must(unlink(two));
		if (round)
			must(unlink(one));
		restore(&s);
		must(stat(one, &a));
		must(stat(two, &b));
		assert_int_equal(a.st_ino, b.st_ino);
		assert_verified(&s);
	}
	end(&s);
}

static void random_damage(void **arg)
{
	struct work *w = calloc(1, sizeof(*w));
	struct state s;
	char *want;

	(void)arg;
	pthread_mutex_init(&w->lock, NULL);
	for (uint64_t seed = 100; seed < 130; seed++) {
		bool memory = seed > 105;

		start(&s);
		/* Most of it where no disk is waited for. */
		if (memory)
			must(mount("none", s.root, "tmpfs", 0, NULL));
		w->root = s.root;
		w->seed = seed;
		for (int i = 0; i < 300; i++)
			work_once(w);
		capture_all(&s);
		want = disk_text(s.root);
		for (int cycle = 0; cycle < 3; cycle++) {
			for (int i = 0; i < 20 << cycle * 2; i++)
				work_once(w);
			w->n = 0;
			restore(&s);
			assert_text(s.root, want);
			assert_verified(&s);
			assert_no_stage(s.root);
		}
		/* What was restored can be captured, and says the same. */
		scan(&s, CKPT_FS_FINAL);
		assert_captured(&s);
		assert_text(s.root, want);
		free(want);
		if (memory)
			must(umount(s.root));
		end(&s);
	}
	free(w);
}

static void mounted_root(void **arg)
{
	struct work *w = calloc(1, sizeof(*w));
	struct state s;
	char *want;

	(void)arg;
	pthread_mutex_init(&w->lock, NULL);
	start(&s);
	must(mount("none", s.root, "tmpfs", 0, NULL));
	make_one_of_each(s.root);
	capture_all(&s);
	want = disk_text(s.root);
	w->root = s.root;
	for (w->seed = 7; w->n < 200;)
		work_once(w);
	restore(&s);
	assert_text(s.root, want);
	assert_verified(&s);
	/* As after a reboot: empty. */
	must(umount(s.root));
	must(mount("none", s.root, "tmpfs", 0, NULL));
	restore(&s);
	assert_text(s.root, want);
	assert_verified(&s);
	assert_no_stage(s.root);
	must(umount(s.root));
	free(want);
	free(w);
	end(&s);
}

static void verify_finds_one_byte(void **arg)
{
	struct ckpt_buf list = CKPT_BUF_INIT;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct state s;
	struct stat st;
	char path[400];
	size_t n;

	(void)arg;
	start(&s);
	make_one_of_each(s.root);
	capture_all(&s);
	snprintf(path, sizeof(path), "%s/text", s.root);
	must(stat(path, &st));
	put_file(path, "some tExt\n");
	times[1] = st.st_mtim;
	must(utimensat(AT_FDCWD, path, times, 0));
	check(&s, ckpt_fs_verify(s.table, &s.source, &n, &list, &s.stats, &s.err));
	/* One of three names is compared; the others are the same inode or are not. */
	assert_true(n >= 1);
	assert_non_null(memmem(list.data, list.len, ": content\n", 10));
	ckpt_buf_done(&list);
	end(&s);
}

static void full_disk_changes_nothing(void **arg)
{
	struct ckpt_fs_restore *r = NULL;
	char *was, path[400], *big = malloc(3 << 20);
	struct state s;
	int fd;

	(void)arg;
	start(&s);
	must(mount("none", s.root, "tmpfs", 0, "size=4m"));
	snprintf(path, sizeof(path), "%s/big", s.root);
	memset(big, 'x', 3 << 20);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	must(write(fd, big, 3 << 20));
	capture_all(&s);
	must(pwrite(fd, "y", 1, 5));
	close(fd);
	was = disk_text(s.root);
	assert_int_equal(ckpt_fs_restore_prepare(s.table, NULL, 0, &s.source, &r, &s.stats,
						 &s.err), -1);
	assert_non_null(strstr(s.err.text, "No space left"));
	assert_null(r);
	assert_text(s.root, was);
	assert_no_stage(s.root);
	must(umount(s.root));
	free(was);
	free(big);
	end(&s);
}

static void rollback_changes_nothing(void **arg)
{
	struct ckpt_fs_restore *r = NULL, *second = NULL;
	enum ckpt_fs_recovered what;
	struct state s;
	char *was, path[400];

	(void)arg;
	start(&s);
	make_one_of_each(s.root);
	capture_all(&s);
	snprintf(path, sizeof(path), "%s/sub", s.root);
	tree_remove(path);
	was = disk_text(s.root);
	check(&s, ckpt_fs_restore_prepare(s.table, NULL, 0, &s.source, &r, &s.stats, &s.err));
	assert_text(s.root, was);
	assert_int_equal(ckpt_fs_restore_prepare(s.table, NULL, 0, &s.source, &second, &s.stats,
						 &s.err), -1);
	assert_non_null(strstr(s.err.text, "unfinished restore"));
	assert_int_equal(ckpt_fs_recover(s.root, &what, &s.err), -1);
	assert_non_null(strstr(s.err.text, "is being restored"));
	check(&s, ckpt_fs_restore_rollback(r, &s.err));
	ckpt_fs_restore_free(r);
	assert_text(s.root, was);
	assert_no_stage(s.root);
	check(&s, ckpt_fs_recover(s.root, &what, &s.err));
	assert_int_equal(what, CKPT_FS_NOTHING_LEFT);
	free(was);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deleted_tree_comes_back),
		cmocka_unit_test(root_replaced_or_orphaned),
		cmocka_unit_test(equal_tree_is_not_touched),
		cmocka_unit_test(hard_links_are_as_they_were),
		cmocka_unit_test(links_between_roots),
		cmocka_unit_test(random_damage),
		cmocka_unit_test(mounted_root),
		cmocka_unit_test(verify_finds_one_byte),
		cmocka_unit_test(full_disk_changes_nothing),
		cmocka_unit_test(rollback_changes_nothing),
	};

	umask(0);
	/* Mounts of the tests stay with the tests. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("private mount namespace");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
