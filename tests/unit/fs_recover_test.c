// SPDX-License-Identifier: GPL-2.0-or-later
/* An interrupted restore: the roots are all old or all new, never a mixture. */
#include "base/cleanup.h"
#include "fs/journal.h"
#include "fs_pair.h"

static const char *const before[] = { "fs.stage", "fs.staged", "fs.sync", "fs.ready", "fs.commit" };
static const char *const after[] = { "fs.committed", "fs.trash", "fs.put", "fs.meta", "fs.applied",
				     "fs.done", "fs.remove", "fs.removed" };

/* Kill at each passage of each point, recover, look; then do it properly and damage again. */
static int try_point(struct pair *p, const char *name, const char *action, bool late)
{
	int n = 0;

	for (;; n++) {
		char point[64];

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

		pair_damage(&p);
		snprintf(point, sizeof(point), "fs.undo:%d", n);
		assert_true(killed_at(&p, ROLLBACK, point));
		check(&p.s, recover_quietly(&p));
		assert_false(assert_old_or_new(&p, point));
		check(&p.s, restore_quietly(&p, true));
	}
	pair_end(&p);
}

/*
 * @path in the first root is changed after the interruption, and @told moved away when told
 * to: it is all that the restore would have taken away.
 */
static void newer_work_stays(struct pair *p, const char *path, const char *told, const char *words)
{
	char name[500], away[500], text[64] = "";
	enum ckpt_fs_recovered what;
	bool pending = false;
	int fd;

	pair_damage(p);
	assert_true(killed_at(p, COMMIT, "fs.committed"));
	check(&p->s, ckpt_fs_pending(p->two, &pending, &p->s.err));
	assert_true(pending);
	next_tick();
	must(chdir(p->s.root));
	put_file(path, words);
	must(chdir("/"));
	for (int again = 0; again < 2; again++) {
		assert_int_equal(ckpt_fs_recover(p->s.root, &what, &p->s.err), -1);
		assert_int_equal(p->s.err.status, CKPT_REFUSED);
		snprintf(name, sizeof(name), "%s/%s has changed since the restore was "
			 "interrupted", p->s.root, told);
		assert_non_null(strstr(p->s.err.text, name));
		ckpt_err_clear(&p->s.err);
	}
	snprintf(name, sizeof(name), "%s/%s", p->s.root, path);
	snprintf(away, sizeof(away), "%s-away", p->s.root);
	fd = open(name, O_RDONLY);
	must(fd);
	must(read(fd, text, sizeof(text) - 1));
	must(close(fd));
	assert_string_equal(text, words);
	snprintf(name, sizeof(name), "%s/%s", p->s.root, told);
	must(rename(name, away));
	tree_remove(away);
	check(&p->s, recover_quietly(p));
	assert_true(assert_old_or_new(p, path));
	check(&p->s, ckpt_fs_pending(p->two, &pending, &p->s.err));
	assert_false(pending);
}

/* What somebody did in a root after the interruption is never written over. */
static void newer_work_is_not_overwritten(void **arg)
{
	struct pair p = { 0 };

	(void)arg;
	pair_start(&p);
	newer_work_stays(&p, "empty", "empty", "newer than the damage");	/* to be replaced */
	newer_work_stays(&p, "symlink-too", "symlink-too", "new");		/* missing */
	newer_work_stays(&p, "sub/other", "sub/other", "new");		/* to be taken away */
	/* in what is to be taken away */
	newer_work_stays(&p, "e/f/g", "e", "new");
	newer_work_stays(&p, "e/f/new", "e", "new");
	newer_work_stays(&p, "e/g", "e", "new");
	pair_end(&p);
}

/* Metadata of a file that is newer, or was moved away, stays as somebody made it. */
static void newer_files_keep_their_metadata(void **arg)
{
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };
	char name[500], away[500];
	struct stat before, after;

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	assert_true(killed_at(&p, COMMIT, "fs.committed"));
	snprintf(name, sizeof(name), "%s/acl", p.s.root);
	snprintf(away, sizeof(away), "%s-away", p.s.root);
	put_file(name, "newer");
	must(stat(name, &before));
	check(&p.s, ckpt_fs_recover(p.s.root, &what, &p.s.err));
	assert_int_equal(what, CKPT_FS_FINISHED);
	must(stat(name, &after));
	assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	check(&p.s, restore_quietly(&p, true));
	assert_true(assert_old_or_new(&p, "restored again"));
	pair_damage(&p);
	assert_true(killed_at(&p, COMMIT, "fs.committed"));
	must(rename(name, away));
	check(&p.s, ckpt_fs_recover(p.s.root, &what, &p.s.err));
	must(unlink(away));
	check(&p.s, restore_quietly(&p, true));
	assert_true(assert_old_or_new(&p, "moved away"));
	pair_end(&p);
}

/* A root that is not mounted yet is no root without a stage. */
static void a_root_that_is_not_mounted_is_waited_for(void **arg)
{
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };
	char aside[420];

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	snprintf(aside, sizeof(aside), "%s-aside", p.two);
	must(mkdir(aside, 0755));
	assert_true(killed_at(&p, COMMIT, "fs.put:2"));
	must(mount(p.two, aside, NULL, MS_MOVE, NULL));
	assert_int_equal(ckpt_fs_recover(p.s.root, &what, &p.s.err), -1);
	assert_int_equal(p.s.err.status, CKPT_REFUSED);
	assert_non_null(strstr(p.s.err.text, "is not mounted as it was"));
	ckpt_err_clear(&p.s.err);
	must(rmdir(p.two));
	assert_int_equal(ckpt_fs_recover(p.s.root, &what, &p.s.err), -1);
	assert_non_null(strstr(p.s.err.text, "is not there"));
	ckpt_err_clear(&p.s.err);
	must(mkdir(p.two, 0755));
	must(mount(aside, p.two, NULL, MS_MOVE, NULL));
	check(&p.s, recover_quietly(&p));
	assert_true(assert_old_or_new(&p, "mounted again"));
	pair_end(&p);
}

/* A stage that others could write is not believed. */
static void a_foreign_stage_is_refused(void **arg)
{
	enum ckpt_fs_recovered what;
	char stage[500], commit[520];
	struct state s = { 0 };

	(void)arg;
	start(&s);
	snprintf(stage, sizeof(stage), "%.*s.%s.ckpt-stage",
		 (int)(strrchr(s.root, '/') + 1 - s.root), s.root, strrchr(s.root, '/') + 1);
	must(mkdir(stage, 0777));
	snprintf(commit, sizeof(commit), "%s/commit", stage);
	put_file(commit, "");
	assert_int_equal(ckpt_fs_recover(s.root, &what, &s.err), -1);
	assert_int_equal(s.err.status, CKPT_REFUSED);
	assert_non_null(strstr(s.err.text, "is no stage of ckpt-tool"));
	ckpt_err_clear(&s.err);
	must(access(commit, F_OK));
	tree_remove(stage);
	end(&s);
}

/* No path of a journal leads out of the root. */
static void a_journal_stays_in_its_root(void **arg)
{
	static const char *const paths[] = { "/etc/passwd", "../victim", "a/../../victim", "a//b",
					     "./a", "a/" };

	(void)arg;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct ckpt_fs_meta meta = { .mode = S_IFREG | 0666, .nlink = 1 };
		cleanup_journal struct ckpt_fs_journal j = { 0 };
		cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
		struct ckpt_err err = CKPT_ERR_INIT;
		char *dir = tree_new();
		struct ckpt_fs_journal_root root = { .path = dir };
		int fd = open(dir, O_RDONLY | O_DIRECTORY);

		ckpt_fs_journal_root(&b, &root);
		ckpt_fs_journal_op(&b, CKPT_FS_OP_META, 0, paths[i], NULL, &meta);
		assert_int_equal(ckpt_fs_journal_write(fd, CKPT_FS_READY, &b, &err), 0);
		assert_int_equal(ckpt_fs_journal_read(fd, CKPT_FS_READY, &j, &err), -1);
		assert_int_equal(err.status, CKPT_DAMAGED);
		close(fd);
		tree_remove(dir);
	}
}

/* A restore that was not decided is no reason to refuse anything. */
static void an_undecided_restore_is_not_pending(void **arg)
{
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };
	bool pending = true;

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	assert_true(killed_at(&p, COMMIT, "fs.commit"));
	check(&p.s, ckpt_fs_pending(p.s.root, &pending, &p.s.err));
	assert_false(pending);
	pending = true;
	check(&p.s, ckpt_fs_pending(p.two, &pending, &p.s.err));
	assert_false(pending);
	check(&p.s, ckpt_fs_recover(p.s.root, &what, &p.s.err));
	assert_int_equal(what, CKPT_FS_UNDONE);
	check(&p.s, recover_quietly(&p));
	assert_false(assert_old_or_new(&p, "undone"));
	pair_end(&p);
}

/* A question about a root, as a dry run asks it, leaves it as it is. */
static void a_question_changes_nothing(void **arg)
{
	struct pair p = { 0 };
	bool pending = false;
	int64_t noted[2];

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	assert_true(killed_at(&p, COMMIT, "fs.removed"));
	check(&p.s, ckpt_fs_pending(p.two, &pending, &p.s.err));
	assert_int_equal(getxattr(p.two, CKPT_FS_XATTR_MTIME, noted, sizeof(noted)),
			 sizeof(noted));
	check(&p.s, recover_quietly(&p));
	assert_int_equal(getxattr(p.two, CKPT_FS_XATTR_MTIME, noted, sizeof(noted)), -1);
	assert_true(assert_old_or_new(&p, "asked"));
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_anywhere_is_old_or_new),
		cmocka_unit_test(killed_recovery_is_recovered),
		cmocka_unit_test(newer_work_is_not_overwritten),
		cmocka_unit_test(newer_files_keep_their_metadata),
		cmocka_unit_test(a_root_that_is_not_mounted_is_waited_for),
		cmocka_unit_test(a_foreign_stage_is_refused),
		cmocka_unit_test(a_journal_stays_in_its_root),
		cmocka_unit_test(an_undecided_restore_is_not_pending),
		cmocka_unit_test(a_question_changes_nothing),
	};

	umask(0);
	if (own_mounts())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
