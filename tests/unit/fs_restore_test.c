// SPDX-License-Identifier: GPL-2.0-or-later
/* Restore of roots: the tree is that of the checkpoint again, or the old one; never a mixture. */
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "fs/restore.h"
#include "fs_state.h"

static void capture_all(struct state *s)
{
	scan(s, CKPT_FS_FINAL);
	store(s);
	reload(s);
}

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
	check(s, ckpt_fs_restore_prepare(s->table, &s->source, &r, &s->stats, &s->err));
	n = ckpt_fs_restore_count(r);
	check(s, ckpt_fs_restore_commit(r, &s->err));
	ckpt_fs_restore_free(r);
	return n;
}

static void assert_text(const char *root, const char *want)
{
	char *text = disk_text(root);

	assert_string_equal(text, want);
	free(text);
}

/* Nothing of a restore is left, neither beside the root nor in it. */
static void assert_no_stage(const char *root)
{
	char path[512];

	snprintf(path, sizeof(path), "%.*s/.%s.ckpt-stage", (int)(strrchr(root, '/') - root), root,
		 strrchr(root, '/') + 1);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/.ckpt-stage", root);
	assert_int_equal(access(path, F_OK), -1);
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
	assert_int_equal(ckpt_fs_restore_prepare(s.table, &s.source, &r, &s.stats, &s.err), -1);
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
	check(&s, ckpt_fs_restore_prepare(s.table, &s.source, &r, &s.stats, &s.err));
	assert_text(s.root, was);
	assert_int_equal(ckpt_fs_restore_prepare(s.table, &s.source, &second, &s.stats, &s.err),
			 -1);
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

/* Two roots, one of them mounted, both damaged in every way. */
struct pair {
	struct state s;
	char two[400], reached[400];
	char *old[2], *new[2];
};

static void damage(const char *root)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "cd '%s' && rm -rf sub && mkdir sub && touch sub/other && rm text && mkdir text &&"
		 "echo more >empty && chmod 600 fifo && rm symlink-too && ln ping extra &&"
		 "touch -d @5 acl && rm null && touch null && mkdir -p e/f && touch e/f/g", root);
	assert_int_equal(system(command), 0);
}

static void pair_start(struct pair *p)
{
	struct state *s = &p->s;

	start(s);
	/* In memory: no disk is waited for at each of many interruptions. */
	must(mount("none", s->root, "tmpfs", 0, NULL));
	snprintf(p->two, sizeof(p->two), "%s/mounted", s->root);
	snprintf(p->reached, sizeof(p->reached), "%s/reached", s->root);
	strcat(s->root, "/one");
	must(mkdir(s->root, 0755));
	must(mkdir(p->two, 0755));
	must(mount("none", p->two, "tmpfs", 0, NULL));
	ckpt_fs_table_free(s->table);
	s->table = NULL;
	check(s, ckpt_fs_table_new(&s->table, &s->err));
	check(s, ckpt_fs_table_add_root(s->table, s->root, &s->err));
	check(s, ckpt_fs_table_add_root(s->table, p->two, &s->err));
	make_one_of_each(s->root);
	make_one_of_each(p->two);
	capture_all(s);
	p->new[0] = disk_text(s->root);
	p->new[1] = disk_text(p->two);
}

static void pair_damage(struct pair *p)
{
	damage(p->s.root);
	damage(p->two);
	p->old[0] = disk_text(p->s.root);
	p->old[1] = disk_text(p->two);
}

static void pair_end(struct pair *p)
{
	must(umount(p->two));
	*strrchr(p->s.root, '/') = 0;
	must(umount(p->s.root));
	for (int i = 0; i < 2; i++) {
		free(p->old[i]);
		free(p->new[i]);
	}
	end(&p->s);
}

static int restore_quietly(struct pair *p, bool commit)
{
	struct ckpt_fs_restore *r = NULL;
	int rc;

	if (ckpt_fs_restore_prepare(p->s.table, &p->s.source, &r, &p->s.stats, &p->s.err))
		return 1;
	rc = commit ? ckpt_fs_restore_commit(r, &p->s.err) : ckpt_fs_restore_rollback(r, &p->s.err);
	ckpt_fs_restore_free(r);
	return !!rc;
}

static int recover_quietly(struct pair *p)
{
	enum ckpt_fs_recovered what;

	return ckpt_fs_recover(p->two, &what, &p->s.err) ||
	       ckpt_fs_recover(p->s.root, &what, &p->s.err);
}

enum job { COMMIT, ROLLBACK, RECOVER };

/* Do a job in a child that dies at a fault point. Return: whether it was reached. */
static bool killed_at(struct pair *p, enum job job, const char *point)
{
	pid_t pid;
	int status;

	unlink(p->reached);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setenv("CKPT_FAULT", point, 1);
		setenv("CKPT_FAULT_REACHED", p->reached, 1);
		_exit(job == RECOVER ? recover_quietly(p) : restore_quietly(p, job == COMMIT));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (access(p->reached, F_OK)) {
		assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
		return false;
	}
	assert_true(strstr(point, "=fail") ? WIFEXITED(status) : WIFSIGNALED(status));
	return true;
}

/* Both old or both new. Return: whether they are new. */
static bool assert_old_or_new(struct pair *p, const char *point)
{
	char *one = disk_text(p->s.root), *two = disk_text(p->two);
	bool new = !strcmp(one, p->new[0]);

	if (strcmp(one, new ? p->new[0] : p->old[0]))
		fail_msg("%s: first root is a mixture:\n%s", point, one);
	if (strcmp(two, new ? p->new[1] : p->old[1]))
		fail_msg("%s: second root is not %s:\n%s", point, new ? "new" : "old", two);
	assert_no_stage(p->s.root);
	assert_no_stage(p->two);
	free(one);
	free(two);
	return new;
}

static const char *const before[] = { "fs.stage", "fs.staged", "fs.sync", "fs.ready", "fs.commit" };
static const char *const after[] = { "fs.committed", "fs.trash", "fs.put", "fs.meta", "fs.applied",
				     "fs.done", "fs.remove", "fs.removed" };

/* Kill at each passage of each point, recover, look; then do it properly and damage again. */
static int try_point(struct pair *p, const char *name, const char *action, bool late)
{
	int n = 0;

	for (;; n++) {
		char point[64];

		free(p->old[0]);
		free(p->old[1]);
		pair_damage(p);
		snprintf(point, sizeof(point), "%s:%d%s", name, n + 1, action);
		if (!killed_at(p, COMMIT, point))
			break;
		check(&p->s, recover_quietly(p));
		assert_int_equal(assert_old_or_new(p, point), late);
		check(&p->s, restore_quietly(p, true));
	}
	assert_true(assert_old_or_new(p, "no point"));
	assert_true(n > 0);
	return n;
}

static void killed_anywhere_is_old_or_new(void **arg)
{
	struct pair p = { 0 };
	int n = 0;

	(void)arg;
	pair_start(&p);
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++) {
		n += try_point(&p, before[i], "", false);
		n += try_point(&p, before[i], "=fail", false);
	}
	for (size_t i = 0; i < sizeof(after) / sizeof(*after); i++) {
		n += try_point(&p, after[i], "", true);
		n += try_point(&p, after[i], "=fail", true);
	}
	print_message("# %d interruptions\n", n);
	pair_end(&p);
}

/* The recovery is killed too, at each of its points, and a rollback. */
static void killed_recovery_is_recovered(void **arg)
{
	static const char *const first[] = { "fs.ready:2", "fs.committed", "fs.put:3" };
	static const char *const points[] = { "fs.undo", "fs.trash", "fs.put", "fs.meta",
					      "fs.applied", "fs.done", "fs.remove", "fs.removed" };
	struct pair p = { 0 };
	int reached[8] = { 0 };

	(void)arg;
	pair_start(&p);
	for (size_t f = 0; f < 3; f++)
		for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++)
			for (int n = 1; n < 4; n++) {
				char point[64];

				free(p.old[0]);
				free(p.old[1]);
				pair_damage(&p);
				assert_true(killed_at(&p, COMMIT, first[f]));
				snprintf(point, sizeof(point), "%s:%d", points[i], n);
				reached[i] += killed_at(&p, RECOVER, point);
				check(&p.s, recover_quietly(&p));
				assert_int_equal(assert_old_or_new(&p, point), f > 0);
				check(&p.s, restore_quietly(&p, true));
			}
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++)
		assert_true(reached[i] >= 2);
	for (int n = 1; n < 3; n++) {
		char point[64];

		free(p.old[0]);
		free(p.old[1]);
		pair_damage(&p);
		snprintf(point, sizeof(point), "fs.undo:%d", n);
		assert_true(killed_at(&p, ROLLBACK, point));
		check(&p.s, recover_quietly(&p));
		assert_false(assert_old_or_new(&p, point));
		check(&p.s, restore_quietly(&p, true));
	}
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deleted_tree_comes_back),
		cmocka_unit_test(root_replaced_or_orphaned),
		cmocka_unit_test(equal_tree_is_not_touched),
		cmocka_unit_test(random_damage),
		cmocka_unit_test(mounted_root),
		cmocka_unit_test(verify_finds_one_byte),
		cmocka_unit_test(full_disk_changes_nothing),
		cmocka_unit_test(rollback_changes_nothing),
		cmocka_unit_test(killed_anywhere_is_old_or_new),
		cmocka_unit_test(killed_recovery_is_recovered),
	};

	umask(0);
	/* Mounts of the tests stay with the tests. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("private mount namespace");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
