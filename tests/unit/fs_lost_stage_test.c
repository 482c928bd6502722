// SPDX-License-Identifier: GPL-2.0-or-later
/* A stage that is not where it was: it was thrown away, or what holds it is elsewhere. */
#include "fs_pair.h"

static void give_up(const char *stage)
{
	must(access(stage, F_OK));
	tree_remove(stage);
}

/* Another directory in the place of the one that holds the stages. */
static void directory_is_replaced(void **arg)
{
	static const char *const points[] = { "fs.commit", "fs.committed", "fs.done:1",
					      "fs.done:4" };

	(void)arg;
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
		enum ckpt_fs_recovered what;
		struct pair p = { 0 };
		char away[500], path[500];

		pair_start(&p);
		snprintf(away, sizeof(away), "%s-away", p.out);
		snprintf(path, sizeof(path), "%s/log", p.out);
		pair_damage(&p);
		assert_true(killed_at(&p, COMMIT, points[i]));
		must(rename(p.out, away));
		must(mkdir(p.out, 0755));
		put_file(path, "another log");
		if (i) {
			for (int k = 0; k < 2; k++)
				assert_refused(&p, ckpt_fs_recover(k ? p.two : p.s.root, &what,
								   &p.s.err), "is gone: another");
			must(unlink(path));
			must(rmdir(p.out));
			must(rename(away, p.out));
			check(&p.s, recover_quietly(&p));
			assert_true(assert_old_or_new(&p, points[i]));
		} else {
			check(&p.s, recover_quietly(&p));
			must(unlink(path));
			must(rmdir(p.out));
			must(rename(away, p.out));
			assert_refused(&p, ckpt_fs_recover_file(path, &what, &p.s.err),
				       "is gone: another");
			for (int k = 0; k < 3; k++) {
				snprintf(path, sizeof(path), "%s/.%s.ckpt-stage", p.out,
					 loose_names[k]);
				give_up(path);
			}
			assert_false(assert_old_or_new(&p, points[i]));
		}
		pair_end(&p);
	}
}

/* Somebody throws the stage of a root away, so the restore can only be given up. */
static void stage_is_thrown_away(void **arg)
{
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };
	char first[500], stage[500];

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	assert_true(killed_at(&p, COMMIT, "fs.done:2"));
	snprintf(first, sizeof(first), "%.*s.one.ckpt-stage",
		 (int)(strrchr(p.s.root, '/') + 1 - p.s.root), p.s.root);
	snprintf(stage, sizeof(stage), "%s/.ckpt-stage", p.two);
	give_up(stage);
	assert_refused(&p, ckpt_fs_recover(p.s.root, &what, &p.s.err), first);
	give_up(first);
	assert_refused(&p, ckpt_fs_recover_file(p.loose[2].path, &what, &p.s.err),
		       "its stage for root");
	pair_end(&p);
}

/* A stage in a root is the business of another restore: neither content nor to be taken away. */
static void stage_in_a_root(void **arg)
{
	struct ckpt_fs_restore *r = NULL;
	struct ckpt_fs_table *t = NULL;
	struct ckpt_buf list = CKPT_BUF_INIT;
	struct pair p = { 0 };
	char path[500];
	size_t n;

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	check(&p.s, ckpt_fs_table_new(&t, &p.s.err));
	check(&p.s, ckpt_fs_table_add_root(t, p.out, &p.s.err));
	check(&p.s, ckpt_fs_scan(t, &p.s.sink, 0, NULL, 0, &p.s.stats, &p.s.err));
	assert_true(killed_at(&p, COMMIT, "fs.committed"));
	assert_refused(&p, ckpt_fs_restore_prepare(t, NULL, 0, &p.s.source, &r, &p.s.stats,
						   &p.s.err), "holds an unfinished restore");
	assert_refused(&p, ckpt_fs_verify(t, &p.s.source, &n, &list, &p.s.stats, &p.s.err),
		       "holds an unfinished restore");
	assert_refused(&p, ckpt_fs_scan(t, &p.s.sink, 0, NULL, 0, &p.s.stats, &p.s.err),
		       "holds an unfinished restore");
	check(&p.s, recover_quietly(&p));
	assert_true(assert_old_or_new(&p, "stages in a root"));
	/* What only looks like one is content. */
	snprintf(path, sizeof(path), "%s/.x.ckpt-stage", p.out);
	must(mkdir(path, 0755));
	check(&p.s, ckpt_fs_scan(t, &p.s.sink, 0, NULL, 0, &p.s.stats, &p.s.err));
	ckpt_fs_table_free(t);
	ckpt_buf_done(&list);
	pair_end(&p);
}

/* A root that was not there before the restore is not there when it is undone. */
static void a_root_that_was_missing(void **arg)
{
	struct ckpt_fs_table *table, *t = NULL;
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };

	(void)arg;
	pair_start(&p);
	check(&p.s, ckpt_fs_table_new(&t, &p.s.err));
	check(&p.s, ckpt_fs_table_add_root(t, p.two, &p.s.err));
	check(&p.s, ckpt_fs_table_add_root(t, p.s.root, &p.s.err));
	check(&p.s, ckpt_fs_scan(t, &p.s.sink, 0, NULL, 0, &p.s.stats, &p.s.err));
	table = p.s.table;
	p.s.table = t;
	damage(p.two);
	damage_loose(p.out);
	tree_remove(p.s.root);
	for (int n = 1; n <= 5; n++) {
		char point[32];

		assert_true(killed_at(&p, COMMIT, "fs.commit"));
		snprintf(point, sizeof(point), "fs.removed:%d", n);
		assert_true(killed_at(&p, RECOVER, point));
		check(&p.s, recover_quietly(&p));
		assert_int_equal(access(p.s.root, F_OK), -1);
		assert_no_stage(p.s.root);
		assert_no_stage(p.two);
		for (int i = 0; i < 3; i++)
			assert_no_stage(p.loose[i].path);
	}
	check(&p.s, restore_quietly(&p, true));
	check(&p.s, ckpt_fs_recover(p.s.root, &what, &p.s.err));
	assert_int_equal(what, CKPT_FS_NOTHING_LEFT);
	p.s.table = table;
	ckpt_fs_table_free(t);
	pair_look(&p);
	assert_true(assert_old_or_new(&p, "restored"));
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directory_is_replaced),
		cmocka_unit_test(stage_is_thrown_away),
		cmocka_unit_test(stage_in_a_root),
		cmocka_unit_test(a_root_that_was_missing),
	};

	umask(0);
	if (own_mounts())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
