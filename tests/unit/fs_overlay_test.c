// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A root on overlayfs: directories of the lower layer are removed where they are
 *
 * The checkpoint has a file alone; the root got a directory since, of the lower layer.
 */
#define _XOPEN_SOURCE 700
#include <ftw.h>

#include "fs_pair.h"

#define DEPTH 70

/**
 * struct layers - a root in an overlay
 * @top: tmpfs with all layers
 * @want: text of the root as the checkpoint has it
 */
struct layers {
	struct state s;
	char top[300], reached[400];
	char *want;
};

static void lay(struct layers *l)
{
	char options[1024];

	must(chdir(l->top));
	must(mkdir("upper", 0755));
	must(mkdir("work", 0755));
	snprintf(options, sizeof(options),
		 "lowerdir=lower,upperdir=upper,workdir=work,redirect_dir=off");
	must(mount("overlay", "merged", "overlay", 0, options));
	must(chdir("/"));
}

static void unlay(struct layers *l)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/merged", l->top);
	must(umount(path));
	snprintf(path, sizeof(path), "%s/upper", l->top);
	tree_remove(path);
	snprintf(path, sizeof(path), "%s/work", l->top);
	tree_remove(path);
}

/* In the lower layer: what the checkpoint does not have. */
static void make_extra(const char *top)
{
	must(chdir(top));
	must(chdir("lower/root"));
	must(mkdir("d", 0755));
	must(chdir("d"));
	for (int i = 0; i < 4; i++) {
		char name[32];

		snprintf(name, sizeof(name), "file%d", i);
		put_file(name, name);
		snprintf(name, sizeof(name), "sub%d", i);
		must(mkdir(name, 0750));
		must(chdir(name));
		put_file("one", "1");
		must(link("one", "two"));
		must(symlink("one", "three"));
		must(mkdir("empty", 0700));
		must(chdir(".."));
	}
	for (int i = 0; i < DEPTH; i++) {
		must(mkdir("deep", 0755));
		must(chdir("deep"));
	}
	put_file("down", "here");
	must(chdir("/"));
}

static void layers_start(struct layers *l)
{
	struct state *s = &l->s;

	*l = (struct layers){ 0 };
	start(s);
	must(mount("none", s->root, "tmpfs", 0, NULL));
	snprintf(l->top, sizeof(l->top), "%s", s->root);
	snprintf(l->reached, sizeof(l->reached), "%s/reached", l->top);
	strcat(s->root, "/merged/root");
	must(chdir(l->top));
	must(mkdir("lower", 0755));
	must(mkdir("lower/root", 0755));
	must(mkdir("merged", 0755));
	put_file("lower/root/keep", "as it was");
	lay(l);
	ckpt_fs_table_free(s->table);
	check(s, ckpt_fs_table_new(&s->table, &s->err));
	check(s, ckpt_fs_table_add_root(s->table, s->root, &s->err));
	capture_all(s);
	l->want = disk_text(s->root);
	unlay(l);
	make_extra(l->top);
}

static void layers_end(struct layers *l)
{
	must(umount(l->top));
	*strstr(l->s.root, "/merged") = 0;
	free(l->want);
	end(&l->s);
}

/* Return: whether the point was reached. */
static bool restore_killed_at(struct layers *l, const char *point)
{
	struct ckpt_fs_restore *r = NULL;
	struct state *s = &l->s;
	int status;
	pid_t pid;

	unlink(l->reached);
	pid = fork();
	must(pid);
	if (!pid) {
		setenv("CKPT_FAULT", point, 1);
		setenv("CKPT_FAULT_REACHED", l->reached, 1);
		if (ckpt_fs_restore_prepare(s->table, NULL, 0, &s->source, &r, &s->stats, &s->err))
			_exit(2);
		_exit(!!ckpt_fs_restore_commit(r, &s->err));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (access(l->reached, F_OK)) {
		assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
		return false;
	}
	assert_true(WIFSIGNALED(status));
	return true;
}

static void assert_restored(struct layers *l)
{
	enum ckpt_fs_recovered what;

	check(&l->s, ckpt_fs_recover(l->s.root, &what, &l->s.err));
	assert_text(l->s.root, l->want);
	assert_no_stage(l->s.root);
}

/* Killed at each removal, it is finished by the next call. */
static void killed_removal_is_finished(void **arg)
{
	struct layers l;
	int n = 0;

	(void)arg;
	layers_start(&l);
	for (bool reached = true; reached; n++) {
		char point[32];

		lay(&l);
		snprintf(point, sizeof(point), "fs.unlink:%d", n * 7 + 1);
		reached = restore_killed_at(&l, point);
		assert_restored(&l);
		unlay(&l);
	}
	assert_true(n > 10);
	layers_end(&l);
}

/* Deep directories of the upper layer are moved out of the way: they are not left in the root. */
static void deep_directories_of_the_upper_layer(void **arg)
{
	bool reached = true;
	struct layers l;
	int n = 0;

	(void)arg;
	layers_start(&l);
	for (; reached; n++) {
		char point[32];

		lay(&l);
		must(chdir(l.s.root));
		must(chdir("d"));
		for (int i = 0; i < 2 * DEPTH; i++) {
			must(mkdir("up", 0755));
			must(chdir("up"));
		}
		put_file("x", "x");
		must(chdir("/"));
		snprintf(point, sizeof(point), "fs.unlink:%d", n * 17 + 1);
		reached = restore_killed_at(&l, point);
		assert_restored(&l);
		unlay(&l);
	}
	assert_true(n > 7);
	layers_end(&l);
}

/* An older version wrote no list of what it removed: then nobody can tell what is newer. */
static void a_removal_of_an_older_version(void **arg)
{
	enum ckpt_fs_recovered what;
	struct layers l;
	char list[400], part[400], d[400];

	(void)arg;
	layers_start(&l);
	lay(&l);
	assert_true(restore_killed_at(&l, "fs.unlink:9"));
	snprintf(list, sizeof(list), "%s/merged/.root.ckpt-stage/trash/0.list", l.top);
	snprintf(part, sizeof(part), "%s/merged/.root.ckpt-stage/trash/0.part", l.top);
	snprintf(d, sizeof(d), "%s/d", l.s.root);
	must(unlink(list));
	must(mkdir(part, 0700));
	assert_int_equal(ckpt_fs_recover(l.s.root, &what, &l.s.err), -1);
	assert_int_equal(l.s.err.status, CKPT_REFUSED);
	assert_non_null(strstr(l.s.err.text, "/root/d is half removed by an older version"));
	ckpt_err_clear(&l.s.err);
	tree_remove(d);
	assert_restored(&l);
	unlay(&l);
	layers_end(&l);
}

/* The removal is over and its mark is not made yet: what is there then is newer. */
static void what_comes_after_the_removal_stays(void **arg)
{
	enum ckpt_fs_recovered what;
	struct layers l;
	char path[400];

	(void)arg;
	layers_start(&l);
	lay(&l);
	snprintf(path, sizeof(path), "%s/d", l.s.root);
	assert_true(restore_killed_at(&l, "fs.unlink:3"));
	tree_remove(path);
	put_file(path, "somebody's");
	assert_int_equal(ckpt_fs_recover(l.s.root, &what, &l.s.err), -1);
	assert_int_equal(l.s.err.status, CKPT_REFUSED);
	assert_non_null(strstr(l.s.err.text, "/root/d has changed since"));
	ckpt_err_clear(&l.s.err);
	must(unlink(path));
	assert_restored(&l);
	unlay(&l);
	layers_end(&l);
}

static char left_file[500], left_dir[500];

static int remember(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	if (kind == FTW_F && S_ISREG(st->st_mode))
		snprintf(left_file, sizeof(left_file), "%s", path);
	if (kind == FTW_D && where->level)
		snprintf(left_dir, sizeof(left_dir), "%s", path);
	return 0;
}

enum deed { NEW_FILE, NEW_DIR, NEW_NAME, WRITTEN, OTHER_MODE, DIR_MODE, N_WORK };

static void work_in(const char *d, enum deed kind, char path[600])
{
	assert_int_equal(nftw(d, remember, 16, FTW_PHYS), 0);
	snprintf(path, 600, "%s/new", left_dir);
	switch (kind) {
	case NEW_FILE:
		put_file(path, "new");
		break;
	case NEW_DIR:
		must(mkdir(path, 0755));
		break;
	case NEW_NAME:
		must(link(left_file, path));
		break;
	case WRITTEN:
		snprintf(path, 600, "%s", left_file);
		put_file(path, "other");
		break;
	case OTHER_MODE:
		snprintf(path, 600, "%s", left_file);
		must(chmod(path, 0604));
		break;
	default:
		snprintf(path, 600, "%s", left_dir);
		must(chmod(path, 0701));
	}
}

/* What somebody did in a directory that is half gone is not removed with it. */
static void newer_work_in_remains_stays(void **arg)
{
	enum ckpt_fs_recovered what;
	struct layers l;
	char d[400];

	(void)arg;
	layers_start(&l);
	snprintf(d, sizeof(d), "%s/d", l.s.root);
	for (int kind = 0; kind < N_WORK; kind++) {
		char path[600], *before, *after;

		lay(&l);
		assert_true(restore_killed_at(&l, "fs.unlink:5"));
		next_tick();
		work_in(d, kind, path);
		before = disk_text(l.s.root);
		for (int again = 0; again < 2; again++) {
			if (ckpt_fs_recover(l.s.root, &what, &l.s.err) != -1)
				fail_msg("newer work of kind %d is gone", kind);
			assert_int_equal(l.s.err.status, CKPT_REFUSED);
			assert_non_null(strstr(l.s.err.text, "/d has changed since"));
			/* a link makes the change time of the other name newer as well */
			if (kind != NEW_NAME)
				assert_non_null(strstr(l.s.err.text, path + strlen(d) + 1));
			ckpt_err_clear(&l.s.err);
		}
		after = disk_text(l.s.root);
		assert_string_equal(before, after);
		free(before);
		free(after);
		tree_remove(d);
		assert_restored(&l);
		unlay(&l);
	}
	layers_end(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_removal_is_finished),
		cmocka_unit_test(deep_directories_of_the_upper_layer),
		cmocka_unit_test(a_removal_of_an_older_version),
		cmocka_unit_test(what_comes_after_the_removal_stays),
		cmocka_unit_test(newer_work_in_remains_stays),
	};

	umask(0);
	if (own_mounts())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
