// SPDX-License-Identifier: GPL-2.0-or-later
/* Outer files: recorded, checked, captured and put back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flow/outer.h"
#include "fs/restore.h"
#include "memstore.h"

static char dir[] = "/tmp/ckpt-outer-XXXXXX";

static char *write_file(const char *name, const char *text)
{
	char *path;
	FILE *f;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void check_text(const char *path, const char *text)
{
	char got[256] = "";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_true(fread(got, 1, sizeof(got) - 1, f) == strlen(text));
	fclose(f);
	assert_string_equal(got, text);
}

/* A file of this very process, as capture would have found it. */
static struct ckpt_file file_of(char *path, int fd)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (struct ckpt_file){
		.kind = CKPT_FILE_REG, .path = path, .size = st.st_size, .mode = st.st_mode,
		.mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec,
		.ctime_ns = st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec,
		.dev = st.st_dev, .ino = st.st_ino, .capture_pid = getpid(), .capture_fd = fd,
	};
}

/* Hash a file that was not touched shortly before the stop. */
static int hash(struct ckpt_file *f, struct ckpt_outer *outer, struct ckpt_err *err)
{
	struct ckpt_image image = { .files = f, .n_files = 1 };
	struct ckpt_fs_table *table;
	int rc;

	outer->stopped_ns = f->ctime_ns + CKPT_FS_RACY_COARSE_NS;
	assert_int_equal(ckpt_fs_table_new(&table, err), 0);
	rc = ckpt_outer_hash(outer, &image, table, NULL, err);
	ckpt_fs_table_free(table);
	return rc;
}

/* Hash, encode and decode: what a restore would have. */
static void record(struct ckpt_file *f, struct ckpt_outer *ret)
{
	struct ckpt_buf buf = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_outer outer = { 0 }, cut = { 0 };

	assert_int_equal(hash(f, &outer, &err), 0);
	assert_int_equal(ckpt_outer_encode(&outer, &buf, &err), 0);
	assert_int_equal(ckpt_outer_decode(buf.data, buf.len, ret, &err), 0);
	for (size_t n = 1; n < buf.len; n++)
		assert_int_equal(ckpt_outer_decode(buf.data, n, &cut, &err), -1);
	ckpt_buf_done(&buf);
	ckpt_outer_done(&outer);
}

static void assert_hash_refused(struct ckpt_file *f, const char *why)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_outer outer = { 0 };

	assert_int_equal(hash(f, &outer, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, f->path));
	assert_non_null(strstr(err.text, why));
	ckpt_outer_done(&outer);
}

/* What is hashed after the release must be what the tree had when it was stopped. */
static void change_after_the_stop_is_refused(void **state)
{
	char *path = write_file("lib", "library text"), *other;
	struct ckpt_file f = file_of(path, -1);
	struct ckpt_image image = { .files = &f, .n_files = 1 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_outer outer = { 0 };
	struct ckpt_fs_table *table;

	(void)state;
	usleep(20000);	/* another tick, another time */
	free(write_file("lib", "librarY text"));
	assert_hash_refused(&f, "after the tree had been stopped");
	f = file_of(path, -1);
	assert_int_equal(hash(&f, &outer, &err), 0);
	ckpt_outer_done(&outer);
	/* only the time of the change tells */
	usleep(20000);
	assert_int_equal(chmod(path, 0600), 0);
	assert_hash_refused(&f, "after the tree had been stopped");
	/* another file under the same name, like it in all but its number */
	f = file_of(path, -1);
	other = write_file("other", "librarY text");
	assert_int_equal(rename(other, path), 0);
	assert_hash_refused(&f, "after the tree had been stopped");
	/* changed in the tick of the stop: a second change would leave no trace */
	f = file_of(path, -1);
	outer.stopped_ns = f.ctime_ns;
	assert_int_equal(ckpt_fs_table_new(&table, &err), 0);
	assert_int_equal(ckpt_outer_hash(&outer, &image, table, NULL, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "just before the tree was stopped"));
	ckpt_fs_table_free(table);
	ckpt_outer_done(&outer);
	assert_int_equal(unlink(path), 0);
	assert_hash_refused(&f, "was removed after the tree had been stopped");
	free(other);
	free(path);
}

static void read_file_must_stay_the_same(void **state)
{
	char *path = write_file("lib", "library text");
	struct ckpt_file f = file_of(path, -1);
	struct ckpt_outer outer = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	(void)state;
	record(&f, &outer);
	assert_int_equal(ckpt_outer_check(&outer, &err), 0);
	/* Other times, same bytes: the same file. */
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(ckpt_outer_check(&outer, &err), 0);
	/* Same size, other bytes, even with the old time put back. */
	free(write_file("lib", "librarY text"));
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(ckpt_outer_check(&outer, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ckpt_outer_check(&outer, &err), -1);
	ckpt_outer_done(&outer);
	free(path);
}

static void written_file_is_put_back(void **state)
{
	char *path = write_file("out", "as it was");
	int fd = open(path, O_RDONLY);
	struct ckpt_file f = file_of(path, fd);
	struct ckpt_image image = { .files = &f, .n_files = 1 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_fs_stats stats = { 0 };
	struct ckpt_outer outer = { 0 }, again = { 0 };
	struct ckpt_buf buf = CKPT_BUF_INIT;
	struct ckpt_fs_restore *restore;
	struct ckpt_fs_table *table;
	struct memstore m = { 0 };
	struct ckpt_sink sink = mem_sink(&m);
	struct ckpt_source source = mem_source(&m);
	uint8_t page[CKPT_PAGE_LEN];
	enum ckpt_page_kind kind;
	struct stat st;

	(void)state;
	f.writable = true;
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(ckpt_fs_table_new(&table, &err), 0);
	assert_int_equal(ckpt_outer_capture(&outer, &image, table, &sink, &stats, &err), 0);
	assert_true(f.space != 0);
	close(fd);
	assert_int_equal(ckpt_outer_encode(&outer, &buf, &err), 0);
	assert_int_equal(ckpt_outer_decode(buf.data, buf.len, &again, &err), 0);
	free(write_file("out", "something else, and longer"));
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(ckpt_fs_restore_prepare(table, again.written, again.n_written, &source,
						 &restore, &stats, &err), 0);
	assert_int_equal(ckpt_fs_restore_commit(restore, &err), 0);
	ckpt_fs_restore_free(restore);
	check_text(path, "as it was");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec == f.mtime_ns);
	/* the next checkpoint has the file in a space of its own */
	assert_int_equal(source.get(source.self, f.space, 0, page, &kind, &err), 0);
	assert_int_equal(kind, CKPT_PAGE_IS_DATA);
	assert_int_equal(ckpt_outer_drop(&image, &sink, &err), 0);
	assert_int_equal(source.get(source.self, f.space, 0, page, &kind, &err), 0);
	assert_int_equal(kind, CKPT_PAGE_IS_ABSENT);
	ckpt_outer_done(&outer);
	ckpt_outer_done(&again);
	ckpt_buf_done(&buf);
	ckpt_fs_table_free(table);
	mem_done(&m);
	unlink(path);
	free(path);
}

/* A restore would put another file in the place of one of the names. */
static void written_file_has_one_name(void **state)
{
	char *path = write_file("out", "as it was"), *other = write_file("other", "");
	int fd = open(path, O_RDONLY);
	struct ckpt_file f = file_of(path, fd);
	struct ckpt_image image = { .files = &f, .n_files = 1 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_fs_stats stats = { 0 };
	struct ckpt_outer outer = { 0 };
	struct ckpt_fs_table *table;
	struct memstore m = { 0 };
	struct ckpt_sink sink = mem_sink(&m);

	(void)state;
	f.writable = true;
	assert_int_equal(unlink(other), 0);
	assert_int_equal(link(path, other), 0);
	assert_int_equal(ckpt_fs_table_new(&table, &err), 0);
	assert_int_equal(ckpt_outer_capture(&outer, &image, table, &sink, &stats, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "has several names (hard links)"));
	close(fd);
	ckpt_outer_done(&outer);
	ckpt_fs_table_free(table);
	mem_done(&m);
	unlink(path);
	unlink(other);
	free(path);
	free(other);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(change_after_the_stop_is_refused),
		cmocka_unit_test(read_file_must_stay_the_same),
		cmocka_unit_test(written_file_is_put_back),
		cmocka_unit_test(written_file_has_one_name),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
