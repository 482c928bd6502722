// SPDX-License-Identifier: GPL-2.0-or-later
/* Files outside the roots: loose ones captured whole, external ones recorded. */
#include <signal.h>
#include <sys/wait.h>

#include "fs/extern.h"
#include "fs/loose.h"
#include "fs/restore.h"
#include "fs_state.h"

static void deleted_file_through_proc(void **arg)
{
	struct ckpt_fs_meta m = { 0 }, back = { 0 };
	char at[64], path[400], text[8] = "";
	uint32_t space = 0, again = 0;
	struct state s;
	int fd, to;

	(void)arg;
	start(&s);
	snprintf(path, sizeof(path), "%s/f", s.root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	must(pwrite(fd, "far", 3, 5 << 20));
	must(fsetxattr(fd, "user.note", "n", 1, 0));
	must(unlink(path));
	snprintf(at, sizeof(at), "/proc/%d/fd/%d", getpid(), fd);
	check(&s, ckpt_fs_loose_capture(at, true, &s.sink, &space, &m, &s.stats, &s.err));
	assert_true(space > 0);
	assert_int_equal(m.nlink, 0);
	assert_true(s.stats.bytes_read < 100 << 10);
	close(fd);
	to = open(s.root, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	must(pwrite(to, "what was there before", 21, 6 << 20));
	check(&s, ckpt_fs_loose_fill(to, &m, &s.source, space, "f", &s.stats, &s.err));
	must(pread(to, text, 8, 5 << 20));
	assert_string_equal(text, "far");
	snprintf(at, sizeof(at), "/proc/%d/fd/%d", getpid(), to);
	check(&s, ckpt_fs_loose_capture(at, true, &s.sink, &again, &back, &s.stats, &s.err));
	assert_int_equal(back.size, m.size);
	assert_int_equal(back.mtime_ns, m.mtime_ns);
	assert_int_equal(back.mode, m.mode);
	assert_int_equal(back.xattrs.len, m.xattrs.len);
	assert_memory_equal(back.xattrs.data, m.xattrs.data, m.xattrs.len);
	ckpt_fs_meta_done(&m);
	ckpt_fs_meta_done(&back);
	close(to);
	assert_int_equal(ckpt_fs_loose_capture("/dev/null", true, &s.sink, &space, &m, &s.stats,
					       &s.err), -1);
	assert_non_null(strstr(s.err.text, "not a regular file"));
	end(&s);
}

/* A restore without roots. */
static int put_back(struct state *s, const struct ckpt_fs_loose *f)
{
	struct ckpt_fs_restore *r = NULL;
	struct ckpt_fs_table *none;
	int rc;

	check(s, ckpt_fs_table_new(&none, &s->err));
	rc = ckpt_fs_restore_prepare(none, f, 1, &s->source, &r, &s->stats, &s->err);
	if (!rc) {
		check(s, ckpt_fs_restore_commit(r, &s->err));
		ckpt_fs_restore_free(r);
	}
	ckpt_fs_table_free(none);
	return rc;
}

static void capture_file(struct state *s, char *path, struct ckpt_fs_loose *f)
{
	*f = (struct ckpt_fs_loose){ .path = path };
	check(s, ckpt_fs_loose_capture(path, true, &s->sink, &f->space, &f->meta, &s->stats,
				       &s->err));
}

static void file_is_put_back_when_it_differs(void **arg)
{
	struct ckpt_fs_loose f;
	struct stat was, is;
	char path[400], text[8] = "";
	struct state s;
	int fd;

	(void)arg;
	start(&s);
	snprintf(path, sizeof(path), "%s/log", s.root);
	put_file(path, "line 1\n");
	must(stat(path, &was));
	capture_file(&s, path, &f);
	check(&s, put_back(&s, &f));
	must(stat(path, &is));
	assert_int_equal(was.st_ino, is.st_ino);
	assert_int_equal(s.stats.bytes_written, 0);
	put_file(path, "line X\n");
	check(&s, put_back(&s, &f));
	must(stat(path, &is));
	assert_int_equal(was.st_mtim.tv_nsec, is.st_mtim.tv_nsec);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(read(fd, text, 7));
	close(fd);
	assert_string_equal(text, "line 1\n");
	must(unlink(path));
	check(&s, put_back(&s, &f));
	must(stat(path, &is));
	ckpt_fs_meta_done(&f.meta);
	end(&s);
}

/* A link that was put on the way is not followed, and nothing beside the file is touched. */
static void no_link_leads_away(void **arg)
{
	char log[400], away[400], path[440], beside[440];
	struct ckpt_fs_loose f;
	struct state s;
	struct stat st;

	(void)arg;
	start(&s);
	snprintf(log, sizeof(log), "%s/log", s.root);
	snprintf(away, sizeof(away), "%s/away", s.root);
	snprintf(path, sizeof(path), "%s/file", log);
	snprintf(beside, sizeof(beside), "%s/.file.ckpt-stage", log);
	must(mkdir(log, 0755));
	must(mkdir(away, 0755));
	put_file(path, "captured");
	capture_file(&s, path, &f);
	put_file(path, "changed");
	put_file(beside, "somebody's");
	assert_int_equal(put_back(&s, &f), -1);
	assert_int_equal(s.err.status, CKPT_REFUSED);
	assert_non_null(strstr(s.err.text, "has an unfinished restore"));
	ckpt_err_clear(&s.err);
	must(stat(beside, &st));
	must(unlink(beside));
	must(unlink(path));
	must(rmdir(log));
	must(symlink("away", log));
	assert_int_equal(put_back(&s, &f), -1);
	assert_int_equal(s.err.status, CKPT_REFUSED);
	assert_non_null(strstr(s.err.text, "a link leads to the directory"));
	ckpt_err_clear(&s.err);
	must(unlink(log));
	must(rmdir(away));
	ckpt_fs_meta_done(&f.meta);
	end(&s);
}

static void assert_changed(struct state *s, const struct ckpt_fs_extern *f, const char *text)
{
	ckpt_err_clear(&s->err);
	assert_int_equal(ckpt_fs_extern_check(f, &s->err), -1);
	assert_int_equal(s->err.status, CKPT_REFUSED);
	assert_non_null(strstr(s->err.text, text));
	assert_non_null(strstr(s->err.text, f->path));
}

static void changed_library_is_refused(void **arg)
{
	struct ckpt_fs_externs e = { 0 }, back = { 0 }, next = { 0 };
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct ckpt_buf b = CKPT_BUF_INIT;
	char lib[400], other[400];
	struct state s;
	struct stat st;

	(void)arg;
	start(&s);
	snprintf(lib, sizeof(lib), "%s/lib.so", s.root);
	snprintf(other, sizeof(other), "%s/other", s.root);
	put_file(lib, "code");
	put_file(other, "data");
	check(&s, ckpt_fs_extern_add(&e, lib, NULL, NULL, &s.err));
	check(&s, ckpt_fs_extern_add(&e, lib, NULL, NULL, &s.err));
	check(&s, ckpt_fs_extern_add(&e, "/as/seen/inside", other, NULL, &s.err));
	assert_int_equal(e.n, 2);
	check(&s, ckpt_fs_externs_encode(&e, &b, &s.err));
	check(&s, ckpt_fs_externs_decode(b.data, b.len, &back, &s.err));
	assert_int_equal(back.n, 2);
	check(&s, ckpt_fs_extern_check(&back.files[0], &s.err));
	assert_changed(&s, &back.files[1], "not there");
	/* The same content in a new file is the same library. */
	must(unlink(lib));
	put_file(lib, "code");
	check(&s, ckpt_fs_extern_check(&back.files[0], &s.err));
	must(stat(lib, &st));
	put_file(lib, "c0de");
	times[1] = st.st_mtim;
	must(utimensat(AT_FDCWD, lib, times, 0));
	assert_changed(&s, &back.files[0], "has changed");
	put_file(lib, "longer code");
	assert_changed(&s, &back.files[0], "has changed");
	/* A parent's hash is used only for the very same file. */
	check(&s, ckpt_fs_extern_add(&next, lib, NULL, &back, &s.err));
	assert_memory_not_equal(next.files[0].hash, back.files[0].hash, CKPT_FS_HASH_LEN);
	for (size_t cut = 1; cut < b.len; cut++) {
		struct ckpt_fs_externs part = { 0 };

		if (!ckpt_fs_externs_decode(b.data, cut, &part, NULL))
			assert_true(part.n < 2);
		ckpt_fs_externs_done(&part);
	}
	ckpt_fs_externs_done(&e);
	ckpt_fs_externs_done(&back);
	ckpt_fs_externs_done(&next);
	ckpt_buf_done(&b);
	end(&s);
}

/* A file that is written while it is hashed gives no record. */
static void change_while_hashing_is_refused(void **arg)
{
	char path[400], reached[420];
	struct state s;
	int status;
	pid_t pid;

	(void)arg;
	start(&s);
	snprintf(path, sizeof(path), "%s/lib", s.root);
	snprintf(reached, sizeof(reached), "%s/reached", s.root);
	put_file(path, "code");
	usleep(20000);
	pid = fork();
	must(pid);
	if (!pid) {
		struct ckpt_fs_externs e = { 0 };

		setenv("CKPT_FAULT", "extern.hashed=stop", 1);
		setenv("CKPT_FAULT_REACHED", reached, 1);
		_exit(ckpt_fs_extern_add(&e, path, NULL, NULL, &s.err) != -1 ||
		      s.err.status != CKPT_REFUSED || !strstr(s.err.text, "while it was hashed"));
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	put_file(path, "c0de");
	must(kill(pid, SIGCONT));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	end(&s);
}

static void hash_is_sha256(void **arg)
{
	/* SHA-256 of "abc", FIPS 180-2 appendix B.1 */
	static const uint8_t want[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
	struct ckpt_fs_externs e = { 0 };
	struct state s;
	char path[400];

	(void)arg;
	start(&s);
	snprintf(path, sizeof(path), "%s/abc", s.root);
	put_file(path, "abc");
	check(&s, ckpt_fs_extern_add(&e, path, NULL, NULL, &s.err));
	assert_memory_equal(e.files[0].hash, want, sizeof(want));
	assert_true(e.files[0].young);
	ckpt_fs_externs_done(&e);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deleted_file_through_proc),
		cmocka_unit_test(file_is_put_back_when_it_differs),
		cmocka_unit_test(no_link_leads_away),
		cmocka_unit_test(changed_library_is_refused),
		cmocka_unit_test(change_while_hashing_is_refused),
		cmocka_unit_test(hash_is_sha256),
	};

	umask(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
