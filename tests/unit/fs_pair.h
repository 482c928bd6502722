/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two roots and files outside them, restored by a child that is killed on the way. */
#ifndef CKPT_TESTS_FS_PAIR_H
#define CKPT_TESTS_FS_PAIR_H

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "fs/restore.h"
#include "fs_state.h"

/* Files outside the roots: one differs, one is gone, one has another mode; one is opened twice. */
static const char *const loose_names[] = { "log", "gone", "there", "log" };
#define N_LOOSE 4

/**
 * struct pair - two roots, one of them mounted, both damaged in every way
 * @out: directory of the files outside
 * @old, @new: texts of the roots and of @out
 */
struct pair {
	struct state s;
	char two[400], out[400], reached[400];
	struct ckpt_fs_loose loose[N_LOOSE];
	char *old[3], *new[3];
};

static inline void damage(const char *root)
{
	static const char *const gone[] = { "sub/text-three", "sub/symlink", "text", "symlink-too",
					    "null" };
	struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 6 } };

	must(chdir(root));
	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
		must(unlink(gone[i]));
	must(rmdir("sub"));
	must(mkdir("sub", 0700));
	put_file("sub/other", "");
	must(mkdir("text", 0755));
	put_file("empty", "more");
	must(chmod("fifo", 0600));
	must(link("ping", "extra"));
	must(utimensat(AT_FDCWD, "acl", times, 0));
	put_file("null", "a file");
	must(mkdir("e", 0755));
	must(mkdir("e/f", 0755));
	put_file("e/f/g", "");
	must(chdir("/"));
}

static inline void damage_loose(const char *out)
{
	must(chdir(out));
	put_file("log", "newer and longer\n");
	if (access("gone", F_OK) == 0)
		must(unlink("gone"));
	must(chmod("there", 0600));
	must(chdir("/"));
}

static inline void loose_start(struct pair *p)
{
	char path[500];

	must(mkdir(p->out, 0755));
	for (size_t i = 0; i < N_LOOSE; i++) {
		struct ckpt_fs_loose *f = &p->loose[i];

		snprintf(path, sizeof(path), "%s/%s", p->out, loose_names[i]);
		if (i < 3)
			put_file(path, loose_names[i]);
		f->path = strdup(path);
		check(&p->s, ckpt_fs_loose_capture(path, true, &p->s.sink, &f->space, &f->meta,
						   &p->s.stats, &p->s.err));
	}
}

/* What is outside the roots, but for the directory's own times. */
static inline char *loose_text(struct pair *p)
{
	char *all = disk_text(p->out), *text = strdup(strchr(all, '\n') + 1);

	free(all);
	return text;
}

static inline void pair_start(struct pair *p)
{
	struct state *s = &p->s;

	start(s);
	/* In memory: no disk is waited for at each of many interruptions. */
	must(mount("none", s->root, "tmpfs", 0, NULL));
	snprintf(p->two, sizeof(p->two), "%s/mounted", s->root);
	snprintf(p->reached, sizeof(p->reached), "%s/reached", s->root);
	snprintf(p->out, sizeof(p->out), "%s/out", s->root);
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
	loose_start(p);
	p->new[0] = disk_text(s->root);
	p->new[1] = disk_text(p->two);
	p->new[2] = loose_text(p);
}

static inline void pair_look(struct pair *p)
{
	for (int i = 0; i < 3; i++)
		free(p->old[i]);
	p->old[0] = disk_text(p->s.root);
	p->old[1] = disk_text(p->two);
	p->old[2] = loose_text(p);
}

static inline void pair_damage(struct pair *p)
{
	damage(p->s.root);
	damage(p->two);
	damage_loose(p->out);
	pair_look(p);
}

static inline void pair_end(struct pair *p)
{
	must(umount(p->two));
	*strrchr(p->s.root, '/') = 0;
	must(umount(p->s.root));
	for (int i = 0; i < 3; i++) {
		free(p->old[i]);
		free(p->new[i]);
	}
	for (size_t i = 0; i < N_LOOSE; i++) {
		free(p->loose[i].path);
		ckpt_fs_meta_done(&p->loose[i].meta);
	}
	end(&p->s);
}

static inline int recover_quietly(struct pair *p)
{
	enum ckpt_fs_recovered what;

	return ckpt_fs_recover(p->two, &what, &p->s.err) ||
	       ckpt_fs_recover(p->s.root, &what, &p->s.err);
}

static inline int restore_quietly(struct pair *p, bool commit)
{
	struct ckpt_fs_restore *r = NULL;
	int rc;

	if (ckpt_fs_restore_prepare(p->s.table, p->loose, N_LOOSE, &p->s.source, &r,
				    &p->s.stats, &p->s.err))
		return 1;
	rc = commit ? ckpt_fs_restore_commit(r, &p->s.err) : ckpt_fs_restore_rollback(r, &p->s.err);
	/* A failed commit can be recovered from at once. */
	if (rc && commit && recover_quietly(p))
		_exit(2);
	ckpt_fs_restore_free(r);
	return !!rc;
}

enum job { COMMIT, ROLLBACK, RECOVER };

/* Do a job in a child that dies at a fault point. Return: whether it was reached. */
static inline bool killed_at(struct pair *p, enum job what, const char *point)
{
	pid_t pid;
	int status;

	unlink(p->reached);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setenv("CKPT_FAULT", point, 1);
		setenv("CKPT_FAULT_REACHED", p->reached, 1);
		_exit(what == RECOVER ? recover_quietly(p) : restore_quietly(p, what == COMMIT));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (access(p->reached, F_OK)) {
		assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
		return false;
	}
	assert_true(strstr(point, "=fail") ? WIFEXITED(status) && WEXITSTATUS(status) == 1 :
		    WIFSIGNALED(status));
	return true;
}

static inline void assert_refused(struct pair *p, int rc, const char *why)
{
	assert_int_equal(rc, -1);
	assert_int_equal(p->s.err.status, CKPT_REFUSED);
	if (!strstr(p->s.err.text, why))
		fail_msg("'%s' is not in: %s", why, p->s.err.text);
	ckpt_err_clear(&p->s.err);
}

/* All old or all new. Return: whether they are new. */
static inline bool assert_old_or_new(struct pair *p, const char *point)
{
	char *one = disk_text(p->s.root), *two = disk_text(p->two), *out = loose_text(p);
	bool new = !strcmp(one, p->new[0]);

	if (strcmp(one, new ? p->new[0] : p->old[0]))
		fail_msg("%s: first root is a mixture:\n%s", point, one);
	if (strcmp(two, new ? p->new[1] : p->old[1]))
		fail_msg("%s: second root is not %s:\n%s", point, new ? "new" : "old", two);
	if (strcmp(out, new ? p->new[2] : p->old[2]))
		fail_msg("%s: files outside are not %s:\n%s", point, new ? "new" : "old", out);
	assert_no_stage(p->s.root);
	assert_no_stage(p->two);
	free(one);
	free(two);
	free(out);
	return new;
}

/* Mounts of the tests stay with the tests. */
static inline int own_mounts(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("private mount namespace");
		return 1;
	}
	return 0;
}

/* Times come in ticks: what happens from here on is newer than what was. */
static inline void next_tick(void)
{
	usleep(20000);
}

#endif
