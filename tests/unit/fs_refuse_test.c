// SPDX-License-Identifier: GPL-2.0-or-later
/* Refusals of the file side: mounts that came later, sizes, what is no file any more. */
#include <sched.h>
#include <sys/mount.h>

#include "fs/compare.h"
#include "fs/loose.h"
#include "fs/restore.h"
#include "fs_state.h"

static void refused(struct state *s, int rc, const char *says)
{
	assert_int_equal(rc, -1);
	if (s->err.status != CKPT_REFUSED || !strstr(s->err.text, says))
		fail_msg("\"%s\" (status %d) does not say \"%s\"", s->err.text, s->err.status,
			 says);
	ckpt_err_clear(&s->err);
}

static struct ckpt_fs_change change_of(const char *path)
{
	struct stat st;

	must(lstat(path, &st));
	return (struct ckpt_fs_change){
		.dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev), .ino = st.st_ino,
		.mask = CKPT_INODE_DATA,
	};
}

/* A directory with a file, captured; then a file system is mounted over it. */
static struct ckpt_fs_change mount_later(struct state *s, char path[400], bool dir)
{
	struct ckpt_fs_change change;

	start(s);
	snprintf(path, 400, "%s/sub", s->root);
	must(mkdir(path, 0755));
	must(chdir(path));
	put_file("file", "text");
	change = change_of(dir ? "." : "file");
	must(chdir("/"));
	capture_all(s);
	must(mount("none", path, "tmpfs", 0, NULL));
	if (dir)
		change.mask = CKPT_INODE_ENTRIES;
	return change;
}

static void a_mount_over_a_changed_file(void **arg)
{
	struct state s;
	char path[400];
	struct ckpt_fs_change change = mount_later(&s, path, false);

	(void)arg;
	refused(&s, ckpt_fs_changes(s.table, &s.sink, CKPT_FS_FINAL, &change, 1, &s.stats, &s.err),
		"sub is a mount point in root");
	must(umount(path));
	check(&s, ckpt_fs_changes(s.table, &s.sink, CKPT_FS_FINAL, &change, 1, &s.stats, &s.err));
	end(&s);
}

static void a_mount_over_a_changed_directory(void **arg)
{
	struct state s;
	char path[400];
	struct ckpt_fs_change change = mount_later(&s, path, true);

	(void)arg;
	refused(&s, ckpt_fs_changes(s.table, &s.sink, CKPT_FS_FINAL, &change, 1, &s.stats, &s.err),
		"sub is a mount point in root");
	must(umount(path));
	end(&s);
}

/* Found by the comparison, before the restore touches anything. */
static void a_mount_in_a_root_that_is_restored(void **arg)
{
	struct ckpt_fs_compare c;
	struct ckpt_fs_root *root;
	struct state s;
	char path[400];

	(void)arg;
	mount_later(&s, path, false);
	root = &s.table->roots[0];
	root->fd = open(s.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(root->fd);
	check(&s, ckpt_fs_compare_start(&c, s.table, &s.source, &s.stats, &s.err));
	refused(&s, ckpt_fs_compare_root(&c, root, false, &s.err),
		"sub is a mount point inside a root; unmount it first");
	ckpt_fs_compare_done(&c);
	must(umount(path));
	end(&s);
}

/* It comes while the restore gets ready, in a directory that has to go. */
static void a_mount_in_what_a_restore_takes_away(void **arg)
{
	struct ckpt_fs_restore *r = NULL;
	enum ckpt_fs_recovered what;
	struct state s;
	char path[400];

	(void)arg;
	start(&s);
	capture_all(&s);
	snprintf(path, sizeof(path), "%s/new", s.root);
	must(mkdir(path, 0755));
	strcat(path, "/deep");
	must(mkdir(path, 0755));
	check(&s, ckpt_fs_restore_prepare(s.table, NULL, 0, &s.source, &r, &s.stats, &s.err));
	/* nothing in it is younger than the restore */
	must(mount("/usr", path, NULL, MS_BIND, NULL));
	refused(&s, ckpt_fs_restore_commit(r, &s.err),
		"new/deep is a mount point in what the restore");
	ckpt_fs_restore_free(r);
	must(umount(path));
	check(&s, ckpt_fs_recover(s.root, &what, &s.err));
	end(&s);
}

static void misuse(void **arg)
{
	struct ckpt_fs_restore *r = NULL;
	enum ckpt_fs_recovered what;
	struct state s;
	char path[400];

	(void)arg;
	start(&s);
	capture_all(&s);
	snprintf(path, sizeof(path), "%s/new", s.root);
	put_file(path, "");
	assert_int_equal(ckpt_fs_recover("no/slash", &what, &s.err), -1);
	assert_int_equal(s.err.status, CKPT_USAGE);
	assert_non_null(strstr(s.err.text, "root no/slash is not an absolute path"));
	ckpt_err_clear(&s.err);
	assert_int_equal(ckpt_fs_table_del_root(s.table, "/no/such", &s.err), -1);
	assert_int_equal(s.err.status, CKPT_USAGE);
	assert_non_null(strstr(s.err.text, "/no/such is no root of this group"));
	ckpt_err_clear(&s.err);
	check(&s, ckpt_fs_restore_prepare(s.table, NULL, 0, &s.source, &r, &s.stats, &s.err));
	check(&s, ckpt_fs_restore_commit(r, &s.err));
	assert_int_equal(ckpt_fs_restore_rollback(r, &s.err), -1);
	assert_int_equal(s.err.status, CKPT_USAGE);
	assert_non_null(strstr(s.err.text, "a committed restore cannot be undone"));
	ckpt_fs_restore_free(r);
	end(&s);
}

/* tmpfs takes sparse files of any size. */
static void a_file_of_a_size_that_no_image_holds(void **arg)
{
	struct state s;
	char path[400];

	(void)arg;
	start(&s);
	must(mount("none", s.root, "tmpfs", 0, NULL));
	snprintf(path, sizeof(path), "%s/huge", s.root);
	put_file(path, "x");
	must(truncate(path, (CKPT_PAGE_MAX << 12) + 4096));
	refused(&s, ckpt_fs_scan(s.table, &s.sink, 0, NULL, 0, &s.stats, &s.err),
		"huge is larger than an image can hold");
	must(umount(s.root));
	end(&s);
}

static void a_directory_that_is_gone(void **arg)
{
	struct state s;
	const char *name;
	char path[400];

	(void)arg;
	start(&s);
	snprintf(path, sizeof(path), "%s/gone/file", s.root);
	refused(&s, ckpt_fs_loose_dir(path, &name, &s.err), "there is no directory for");
	snprintf(path, sizeof(path), "%s/file", s.root);
	put_file(path, "");
	snprintf(path, sizeof(path), "%s/file/file", s.root);
	refused(&s, ckpt_fs_loose_dir(path, &name, &s.err), "there is no directory for");
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_over_a_changed_file),
		cmocka_unit_test(a_mount_over_a_changed_directory),
		cmocka_unit_test(a_mount_in_a_root_that_is_restored),
		cmocka_unit_test(a_mount_in_what_a_restore_takes_away),
		cmocka_unit_test(misuse),
		cmocka_unit_test(a_file_of_a_size_that_no_image_holds),
		cmocka_unit_test(a_directory_that_is_gone),
	};

	umask(0);
	/* Mounts of the tests stay with the tests. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("private mount namespace");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
