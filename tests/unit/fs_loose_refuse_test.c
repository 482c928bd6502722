// SPDX-License-Identifier: GPL-2.0-or-later
/* Files outside the roots that cannot be put back as they were, or are found twice. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "fs_pair.h"

static struct ckpt_fs_restore *prepare(struct pair *p, const struct ckpt_fs_loose *list, size_t n,
				       const char *refusal)
{
	struct ckpt_fs_restore *r = NULL;
	int rc = ckpt_fs_restore_prepare(p->s.table, list, n, &p->s.source, &r, &p->s.stats,
					 &p->s.err);

	if (refusal)
		assert_refused(p, rc, refusal);
	else
		check(&p->s, rc);
	return r;
}

static void commit(struct pair *p, struct ckpt_fs_restore *r)
{
	check(&p->s, ckpt_fs_restore_commit(r, &p->s.err));
	ckpt_fs_restore_free(r);
}

/* Return: whether the file system knows the flag. */
static bool set_append_only(const char *path, bool on)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;
	bool done;

	must(fd);
	done = !ioctl(fd, FS_IOC_GETFLAGS, &flags);
	flags = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
	done = done && !ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
	return done;
}

static void directory_that_only_grows(void **arg)
{
	struct pair p = { 0 };

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	if (set_append_only(p.out, true)) {
		prepare(&p, p.loose, N_LOOSE, "run chattr -i -a on its directory");
		assert_true(set_append_only(p.out, false));
	}
	assert_false(assert_old_or_new(&p, "refused"));
	pair_end(&p);
}

static void other_names(void **arg)
{
	struct pair p = { 0 };
	char log[500], other[500];

	(void)arg;
	pair_start(&p);
	snprintf(log, sizeof(log), "%s/log", p.out);
	snprintf(other, sizeof(other), "%s/other", p.out);
	must(link(log, other));
	ckpt_fs_restore_free(prepare(&p, p.loose, 1, NULL));
	put_file(log, "changed");
	prepare(&p, p.loose, 1, "out/log has other names (hard links)");
	must(unlink(other));
	commit(&p, prepare(&p, p.loose, 1, NULL));
	pair_end(&p);
}

/* One directory that is mounted twice. */
static void one_file_by_two_paths(void **arg)
{
	char bind[500], path[2][520];
	struct ckpt_fs_loose list[2];
	struct pair p = { 0 };

	(void)arg;
	pair_start(&p);
	snprintf(bind, sizeof(bind), "%s-bind", p.out);
	must(mkdir(bind, 0755));
	must(mount(p.out, bind, NULL, MS_BIND, NULL));
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/log", i ? bind : p.out);
		list[i] = p.loose[0];
		list[i].path = path[i];
	}
	put_file(path[0], "changed");
	commit(&p, prepare(&p, list, 2, NULL));
	must(umount(bind));
	pair_end(&p);
}

/* Names too long for a stage's name, and the same but for their ends. */
static void long_names(void **arg)
{
	struct ckpt_fs_loose list[2];
	struct pair p = { 0 };
	char path[2][800];

	(void)arg;
	pair_start(&p);
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%0250d", p.out, i);
		put_file(path[i], "changed");
		list[i] = p.loose[0];
		list[i].path = path[i];
	}
	commit(&p, prepare(&p, list, 2, NULL));
	pair_end(&p);
}

static void something_in_the_place_of_a_stage(void **arg)
{
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };
	char stage[500];

	(void)arg;
	pair_start(&p);
	snprintf(stage, sizeof(stage), "%s/.log.ckpt-stage", p.out);
	put_file(stage, "x");
	for (int i = 0; i < 2; i++) {
		assert_refused(&p, ckpt_fs_recover_file(p.loose[0].path, &what, &p.s.err),
			       "is no directory; remove .log.ckpt-stage");
		must(unlink(stage));
		must(symlink("/etc", stage));
	}
	pair_end(&p);
}

/* A stage that came along with what it is beside says nothing of the file there. */
static void stage_of_another_path(void **arg)
{
	char moved[500], path[520];
	enum ckpt_fs_recovered what;
	struct pair p = { 0 };

	(void)arg;
	pair_start(&p);
	pair_damage(&p);
	assert_true(killed_at(&p, COMMIT, "fs.committed"));
	snprintf(moved, sizeof(moved), "%s-moved", p.out);
	must(rename(p.out, moved));
	snprintf(path, sizeof(path), "%s/log", moved);
	assert_refused(&p, ckpt_fs_recover_file(path, &what, &p.s.err),
		       "belongs to an interrupted restore");
	must(rename(moved, p.out));
	check(&p.s, recover_quietly(&p));
	assert_true(assert_old_or_new(&p, "moved back"));
	pair_end(&p);
}

/* More files than descriptors, softly and hard. */
static void many_files(void **arg)
{
	enum { N = 60 };
	struct rlimit was, few = { .rlim_cur = 80, .rlim_max = 300 };
	struct ckpt_fs_loose list[N];
	struct pair p = { 0 };
	char path[N][500];
	pid_t pid;
	int status;

	(void)arg;
	pair_start(&p);
	for (int i = 0; i < N; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/log%d", p.out, i);
		put_file(path[i], "changed");
		list[i] = p.loose[0];
		list[i].path = path[i];
	}
	pid = fork();
	must(pid);
	if (!pid) {
		struct ckpt_fs_restore *r = NULL;

		must(setrlimit(RLIMIT_NOFILE, &few));
		r = prepare(&p, list, N, NULL);
		check(&p.s, ckpt_fs_restore_rollback(r, &p.s.err));
		ckpt_fs_restore_free(r);
		must(getrlimit(RLIMIT_NOFILE, &was));
		assert_int_equal(was.rlim_cur, few.rlim_cur);
		few.rlim_max = 150;
		must(setrlimit(RLIMIT_NOFILE, &few));
		prepare(&p, list, N, "more files outside the roots differ than can be open");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directory_that_only_grows),
		cmocka_unit_test(other_names),
		cmocka_unit_test(one_file_by_two_paths),
		cmocka_unit_test(long_names),
		cmocka_unit_test(something_in_the_place_of_a_stage),
		cmocka_unit_test(stage_of_another_path),
		cmocka_unit_test(many_files),
	};

	umask(0);
	if (own_mounts())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
