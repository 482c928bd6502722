// SPDX-License-Identifier: GPL-2.0-or-later
/* What changes while a restore gets ready: refused before the decision, with nothing changed. */
#include "fs_pair.h"

static struct ckpt_fs_restore *prepared(struct pair *p)
{
	struct ckpt_fs_restore *r = NULL;

	check(&p->s, ckpt_fs_restore_prepare(p->s.table, p->loose, N_LOOSE, &p->s.source, &r,
					     &p->s.stats, &p->s.err));
	next_tick();
	return r;
}

static void assert_undecided(struct pair *p, struct ckpt_fs_restore *r, const char *why)
{
	enum ckpt_fs_recovered what;
	char path[500];

	assert_refused(p, ckpt_fs_restore_commit(r, &p->s.err), why);
	ckpt_fs_restore_free(r);
	/* the first to be taken away, from each */
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/sub/other", i ? p->two : p->s.root);
		must(access(path, F_OK));
	}
	pair_look(p);
	assert_false(assert_old_or_new(p, why));
	check(&p->s, ckpt_fs_recover(p->s.root, &what, &p->s.err));
	assert_int_equal(what, CKPT_FS_NOTHING_LEFT);
	check(&p->s, ckpt_fs_recover_file(p->loose[0].path, &what, &p->s.err));
	assert_int_equal(what, CKPT_FS_NOTHING_LEFT);
}

static void append(const char *dir, const char *name)
{
	char path[500];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	must(fd);
	must(write(fd, "line\n", 5));
	close(fd);
}

/* A log that gets another line; what a restore takes away, replaces or changes in a root. */
static void changes_while_it_gets_ready(void **arg)
{
	/* replaced, missing, taken away, inside of that, given another time */
	static const char *const names[] = { "empty", "symlink-too", "extra", "e/f/g", "e/f/new",
					     "acl" };
	struct ckpt_fs_restore *r;
	struct pair p = { 0 };
	char away[500];

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	r = prepared(&p);
	append(p.out, "log");
	assert_undecided(&p, r, "out/log has changed while the restore got ready; stop what "
				"writes it and run again");
	r = prepared(&p);
	append(p.out, "gone");
	assert_undecided(&p, r, "out/gone has changed while the restore got ready");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		r = prepared(&p);
		append(i % 2 ? p.two : p.s.root, names[i]);
		assert_undecided(&p, r, "has changed while the restore got ready");
	}
	r = prepared(&p);
	snprintf(away, sizeof(away), "%s-away", p.out);
	must(rename(p.out, away));
	must(mkdir(p.out, 0755));
	assert_refused(&p, ckpt_fs_restore_commit(r, &p.s.err), "was moved away or replaced");
	ckpt_fs_restore_free(r);
	must(rmdir(p.out));
	must(rename(away, p.out));
	check(&p.s, restore_quietly(&p, true));
	assert_true(assert_old_or_new(&p, "restored"));
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_while_it_gets_ready),
	};

	umask(0);
	if (own_mounts())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
