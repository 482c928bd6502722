// SPDX-License-Identifier: GPL-2.0-or-later
/* An interrupted restore of files outside the roots: they go with the roots, or stay with them. */
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "fs_pair.h"

static const char *const before[] = { "fs.stage", "fs.staged", "fs.sync", "fs.ready", "fs.commit" };
static const char *const after[] = { "fs.committed", "fs.put", "fs.applied", "fs.done", "fs.remove",
				     "fs.removed" };

/* assert_old_or_new tells by the roots, which do not differ here. */
static bool files_are_new(struct pair *p)
{
	char *out = loose_text(p);
	bool new = !strcmp(out, p->new[2]);

	if (!new)
		assert_string_equal(out, p->old[2]);
	free(out);
	return new;
}

/* The roots are as they shall be: still one of them is asked, and knows. */
static int try_files(struct pair *p, const char *name, bool late)
{
	enum ckpt_fs_recovered what;
	int n = 0;

	for (;; n++) {
		bool pending = false;
		char point[64];

		damage_loose(p->out);
		pair_look(p);
		snprintf(point, sizeof(point), "%s:%d", name, n + 1);
		if (!killed_at(p, COMMIT, point))
			break;
		if (!strcmp(name, "fs.put")) {
			check(&p->s, ckpt_fs_pending(p->s.root, &pending, &p->s.err));
			assert_true(pending);
		}
		check(&p->s, ckpt_fs_recover(p->s.root, &what, &p->s.err));
		if (files_are_new(p) != late)
			fail_msg("%s: not as decided", point);
		assert_no_stage(p->s.root);
		check(&p->s, restore_quietly(p, true));
	}
	assert_true(assert_old_or_new(p, "no point"));
	assert_true(n > 0);
	return n;
}

static void only_files_differ(void **arg)
{
	struct pair p = { 0 };
	int n = 0;

	(void)arg;
	pair_start(&p);
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++)
		n += try_files(&p, before[i], false);
	for (size_t i = 0; i < sizeof(after) / sizeof(*after); i++)
		n += try_files(&p, after[i], true);
	print_message("# %d interruptions\n", n);
	pair_end(&p);
}

/* Without roots a file is asked. */
static void without_roots(void **arg)
{
	static const struct {
		const char *point;
		bool new;
	} kills[] = { { "fs.staged:2", false }, { "fs.ready:3", false }, { "fs.committed", true },
		      { "fs.put:2", true }, { "fs.removed:2", true } };
	struct ckpt_fs_table *table;
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };

	(void)arg;
	pair_start(&p);
	table = p.s.table;
	check(&p.s, ckpt_fs_table_new(&p.s.table, &p.s.err));
	for (size_t i = 0; i < sizeof(kills) / sizeof(*kills); i++) {
		damage_loose(p.out);
		pair_look(&p);
		assert_true(killed_at(&p, COMMIT, kills[i].point));
		for (size_t k = 0; k < N_LOOSE; k++)
			check(&p.s, ckpt_fs_recover_file(p.loose[k].path, &what, &p.s.err));
		assert_int_equal(files_are_new(&p), kills[i].new);
		check(&p.s, restore_quietly(&p, true));
		assert_true(files_are_new(&p));
	}
	ckpt_fs_table_free(p.s.table);
	p.s.table = table;
	pair_end(&p);
}

/* What somebody wrote to such a file after the interruption is not written over. */
static void newer_file_stays(void **arg)
{
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };
	char path[500], away[500], text[64] = "";
	int fd;

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	assert_true(killed_at(&p, COMMIT, "fs.committed"));
	next_tick();
	snprintf(path, sizeof(path), "%s/log", p.out);
	snprintf(away, sizeof(away), "%s-away", p.out);
	put_file(path, "newer than that");
	for (int i = 0; i < 2; i++)
		assert_refused(&p, ckpt_fs_recover(p.s.root, &what, &p.s.err),
			       "out/log has changed since the restore was interrupted");
	fd = open(path, O_RDONLY);
	must(read(fd, text, sizeof(text) - 1));
	close(fd);
	assert_string_equal(text, "newer than that");
	must(rename(path, away));
	must(unlink(away));
	check(&p.s, recover_quietly(&p));
	assert_true(assert_old_or_new(&p, "moved away"));
	pair_end(&p);
}

/* A file whose directory is away, or not mounted as it was, is waited for. */
static void directory_is_waited_for(void **arg)
{
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };
	char away[500];

	(void)arg;
	pair_start(&p);
	snprintf(away, sizeof(away), "%s-away", p.out);
	pair_damage(&p);
	assert_true(killed_at(&p, COMMIT, "fs.committed"));
	must(rename(p.out, away));
	assert_refused(&p, ckpt_fs_recover(p.s.root, &what, &p.s.err), "out/there is not there");
	must(mkdir(p.out, 0755));
	must(mount("none", p.out, "tmpfs", 0, NULL));
	assert_refused(&p, ckpt_fs_recover(p.s.root, &what, &p.s.err), "not mounted as it was");
	must(umount(p.out));
	must(rmdir(p.out));
	must(symlink("out-away", p.out));
	assert_refused(&p, ckpt_fs_recover(p.s.root, &what, &p.s.err),
		       "was interrupted and cannot be ended: a link leads");
	must(unlink(p.out));
	must(rename(away, p.out));
	check(&p.s, recover_quietly(&p));
	assert_true(assert_old_or_new(&p, "back"));
	pair_end(&p);
}

static void assert_not_prepared(struct pair *p, const char *why)
{
	struct ckpt_fs_restore *r = NULL;

	assert_refused(p, ckpt_fs_restore_prepare(p->s.table, p->loose, N_LOOSE, &p->s.source, &r,
						  &p->s.stats, &p->s.err), why);
}

/* Returns whether the file system knows the flag. */
static bool set_immutable(const char *path, bool on)
{
	int fd = open(path, O_RDONLY), flags = 0;
	bool done;

	must(fd);
	done = !ioctl(fd, FS_IOC_GETFLAGS, &flags);
	flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	done = done && !ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
	return done;
}

/* What cannot be replaced is refused while everything is still old. */
static void what_cannot_be_replaced(void **arg)
{
	struct pair p = { 0 };
	char log[500];

	(void)arg;
	pair_start(&p);
	snprintf(log, sizeof(log), "%s/log", p.out);
	pair_damage(&p);
	must(unlink(log));
	must(mkdir(log, 0755));
	assert_not_prepared(&p, "out/log is a directory now");
	must(rmdir(log));
	put_file(log, "other");
	must(mount(log, log, NULL, MS_BIND, NULL));
	assert_not_prepared(&p, "out/log is a mount point now");
	must(umount(log));
	if (set_immutable(log, true)) {
		assert_not_prepared(&p, "run chattr");
		assert_true(set_immutable(log, false));
	}
	pair_look(&p);
	assert_false(assert_old_or_new(&p, "refused"));
	check(&p.s, restore_quietly(&p, true));
	assert_true(assert_old_or_new(&p, "restored"));
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_files_differ),
		cmocka_unit_test(without_roots),
		cmocka_unit_test(newer_file_stays),
		cmocka_unit_test(directory_is_waited_for),
		cmocka_unit_test(what_cannot_be_replaced),
	};

	umask(0);
	if (own_mounts())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
