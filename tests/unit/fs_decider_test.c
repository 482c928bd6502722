// SPDX-License-Identifier: GPL-2.0-or-later
/* Who decides a restore: a place that a reboot leaves alone, and that takes a stage. */
#include <sys/vfs.h>
#include <linux/magic.h>

#include "base/cleanup.h"
#include "fs_pair.h"

static const char boot_id[] = "/proc/sys/kernel/random/boot_id";

/**
 * struct place - a root in memory and one file outside on a disk
 * @memory: where the tmpfs is mounted, and its mount point, which is on a tmpfs as well
 */
struct place {
	struct pair p;
	char memory[420], root[440], disk[300], log[400], boot[420];
	struct ckpt_fs_loose file;
};

static bool is_disk(const char *path)
{
	struct statfs st;

	must(statfs(path, &st));
	return st.f_type != TMPFS_MAGIC && st.f_type != RAMFS_MAGIC;
}

static void place_start(struct place *t)
{
	struct state *s = &t->p.s;

	*t = (struct place){ 0 };
	snprintf(t->disk, sizeof(t->disk), "%s", tree_new());
	snprintf(t->log, sizeof(t->log), "%s/log", t->disk);
	pair_start(&t->p);
	snprintf(t->memory, sizeof(t->memory), "%s-memory", t->p.out);
	snprintf(t->root, sizeof(t->root), "%s/root", t->memory);
	snprintf(t->boot, sizeof(t->boot), "%s-boot", t->p.out);
	must(mkdir(t->memory, 0755));
	must(mount("none", t->memory, "tmpfs", 0, NULL));
	must(mkdir(t->root, 0755));
	put_file(t->log, "captured");
	t->file = (struct ckpt_fs_loose){ .path = t->log };
	check(s, ckpt_fs_loose_capture(t->log, true, &s->sink, &t->file.space, &t->file.meta,
				       &s->stats, &s->err));
	ckpt_fs_table_free(s->table);
	s->table = NULL;
	check(s, ckpt_fs_table_new(&s->table, &s->err));
	check(s, ckpt_fs_table_add_root(s->table, t->root, &s->err));
	scan(s, 0);
	store(s);
	reload(s);
}

static void place_end(struct place *t)
{
	must(umount(t->memory));
	ckpt_fs_meta_done(&t->file.meta);
	tree_remove(t->disk);
	pair_end(&t->p);
}

/* The machine starts again: what was in memory is gone, and the boot has another number. */
static void reboot_now(struct place *t)
{
	must(umount(t->memory));
	must(mount("none", t->memory, "tmpfs", 0, NULL));
	put_file(t->boot, "01234567-89ab-cdef-0123-456789abcdef\n");
	must(mount(t->boot, boot_id, NULL, MS_BIND, NULL));
}

static bool has_text(const char *path, const char *text)
{
	cleanup_fclose FILE *f = fopen(path, "re");
	char found[64] = "";

	return f && fgets(found, sizeof(found), f) && !strcmp(found, text);
}

static int restore_one(struct place *t)
{
	struct ckpt_fs_restore *r = NULL;
	struct state *s = &t->p.s;
	int rc;

	if (ckpt_fs_restore_prepare(s->table, &t->file, 1, &s->source, &r, &s->stats, &s->err))
		return -1;
	rc = ckpt_fs_restore_commit(r, &s->err);
	ckpt_fs_restore_free(r);
	return rc;
}

static bool kill_one(struct place *t, const char *point)
{
	int status;
	pid_t pid = fork();

	must(pid);
	if (!pid) {
		setenv("CKPT_FAULT", point, 1);
		_exit(!!restore_one(t));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status);
}

static const struct {
	const char *point;
	bool new;
} kills[] = { { "fs.stage", false }, { "fs.staged", false }, { "fs.ready:1", false },
	      { "fs.ready:2", false }, { "fs.committed", true }, { "fs.done:1", true },
	      { "fs.done:2", true }, { "fs.removed:1", true } };

/* The power goes: the file is old or new, and nothing is left beside it. */
static void a_reboot_forgets_the_root(void **arg)
{
	enum ckpt_fs_recovered what;

	(void)arg;
	for (size_t i = 0; i < sizeof(kills) / sizeof(*kills); i++) {
		struct place t;

		place_start(&t);
		if (!is_disk(t.disk)) {
			place_end(&t);
			skip();
		}
		put_file(t.log, "of today");
		assert_true(kill_one(&t, kills[i].point));
		reboot_now(&t);
		check(&t.p.s, ckpt_fs_recover(t.root, &what, &t.p.s.err));
		check(&t.p.s, ckpt_fs_recover_file(t.log, &what, &t.p.s.err));
		if (!has_text(t.log, kills[i].new ? "captured" : "of today"))
			fail_msg("%s: not as decided", kills[i].point);
		assert_no_stage(t.log);
		must(umount(boot_id));
		place_end(&t);
	}
}

/* Without a reboot the root finds them all. */
static void the_root_is_asked(void **arg)
{
	enum ckpt_fs_recovered what;
	struct place t;

	(void)arg;
	place_start(&t);
	for (size_t i = 0; i < sizeof(kills) / sizeof(*kills); i++) {
		bool pending = true, half = kills[i].new && strcmp(kills[i].point, "fs.removed:1");

		put_file(t.log, "of today");
		assert_true(kill_one(&t, kills[i].point));
		check(&t.p.s, ckpt_fs_pending(t.root, &pending, &t.p.s.err));
		if (strcmp(kills[i].point, "fs.done:2"))
			assert_int_equal(pending, half);
		check(&t.p.s, ckpt_fs_recover(t.root, &what, &t.p.s.err));
		if (!has_text(t.log, kills[i].new ? "captured" : "of today"))
			fail_msg("%s: not as decided", kills[i].point);
		assert_no_stage(t.root);
		check(&t.p.s, ckpt_fs_recover_file(t.log, &what, &t.p.s.err));
		assert_no_stage(t.log);
	}
	place_end(&t);
}

/* A decision that is lost all the same: what was begun is not undone. */
static void what_was_begun_is_not_undone(void **arg)
{
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };
	char path[500], ready[520];

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	assert_true(killed_at(&p, COMMIT, "fs.put:2"));
	snprintf(path, sizeof(path), "%.*s.one.ckpt-stage/commit",
		 (int)(strrchr(p.s.root, '/') + 1 - p.s.root), p.s.root);
	snprintf(ready, sizeof(ready), "%.*sready", (int)(strrchr(path, '/') + 1 - path), path);
	must(rename(path, ready));
	assert_refused(&p, ckpt_fs_recover(p.s.root, &what, &p.s.err),
		       "the decision to finish it is lost");
	assert_refused(&p, ckpt_fs_recover(p.two, &what, &p.s.err),
		       "the decision to finish it is lost");
	must(rename(ready, path));
	check(&p.s, recover_quietly(&p));
	assert_true(assert_old_or_new(&p, "decided"));
	pair_end(&p);
}

/* A root that cannot be written, and need not, is in nobody's way. */
static void a_root_that_is_read_only(void **arg)
{
	struct place t;

	(void)arg;
	place_start(&t);
	must(mount("none", t.memory, NULL, MS_REMOUNT | MS_RDONLY, NULL));
	check(&t.p.s, restore_one(&t));
	put_file(t.log, "of today");
	check(&t.p.s, restore_one(&t));
	assert_true(has_text(t.log, "captured"));
	assert_no_stage(t.log);
	place_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reboot_forgets_the_root),
		cmocka_unit_test(the_root_is_asked),
		cmocka_unit_test(what_was_begun_is_not_undone),
		cmocka_unit_test(a_root_that_is_read_only),
	};

	umask(0);
	if (own_mounts())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
