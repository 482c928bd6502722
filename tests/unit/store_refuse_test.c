// SPDX-License-Identifier: GPL-2.0-or-later
/* What a store refuses: one clear sentence, nothing changed. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "store/identity.h"
#include "store_model.h"

static void refused(void *result, const struct ckpt_err *err, enum ckpt_status status,
		    const char *part)
{
	assert_null(result);
	assert_int_equal(err->status, status);
	if (!strstr(err->text, part))
		fail_msg("'%s' does not say '%s'", err->text, part);
}

static void names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "\xc3\xa4", "a\n",
		"0123456789012345678901234567890123456789012345678901234567890123" };
	static const char *const good[] = { "a", "...", "-", "A.b_c-9",
		"012345678901234567890123456789012345678901234567890123456789012" };
	struct ckpt_err err = CKPT_ERR_INIT;
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		refused(ckpt_writer_begin(store, bad[i], 0, &err), &err, CKPT_USAGE,
			"is no name of a group");
		refused(ckpt_reader_open(store, bad[i], 0, &err), &err, CKPT_USAGE,
			"is no name of a group");
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(model_commit(model_begin(store, good[i], 0)), 1);
	ckpt_store_close(store);
	model_remove(path);
}

static void what_is_not_there(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));

	(void)state;
	refused(ckpt_reader_open(store, "agent", 0, &err), &err, CKPT_FAILED,
		"holds no group 'agent'");
	assert_int_equal(model_commit(model_begin(store, "agent", 0)), 1);
	assert_int_equal(model_commit(model_begin(store, "agent", 0)), 2);
	refused(ckpt_reader_open(store, "agent", 3, &err), &err, CKPT_FAILED,
		"has no checkpoint 3");
	refused(ckpt_reader_open(store, "agent", -2, &err), &err, CKPT_FAILED,
		"has 2 checkpoints and none 2 before the newest");
	refused(ckpt_writer_begin(store, "agent", 7, &err), &err, CKPT_FAILED,
		"has no checkpoint 7");
	ckpt_store_close(store);
	model_remove(path);
}

static void what_is_no_store(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char path[200], file[300];

	(void)state;
	model_path(path, sizeof(path));
	refused(ckpt_store_open(path, CKPT_STORE_READ, &err), &err, CKPT_FAILED,
		"cannot open store");
	mkdir(path, 0700);
	refused(ckpt_store_open(path, CKPT_STORE_WRITE, &err), &err, CKPT_REFUSED,
		"is not a store: it has no file 'format'");
	snprintf(file, sizeof(file), "%s/thesis.txt", path);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	refused(ckpt_store_open(path, CKPT_STORE_CREATE, &err), &err, CKPT_REFUSED,
		"is not a store: it holds 'thesis.txt'");
	unlink(file);
	ckpt_store_close(model_open(path));
	model_remove(path);
}

/* A writer that died while it made the store. */
static void a_store_half_made_is_made(void **state)
{
	char path[200];
	int status;
	pid_t pid;

	(void)state;
	model_path(path, sizeof(path));
	pid = fork();
	if (!pid) {
		setenv("CKPT_FAULT", "store.format-rename", 1);
		ckpt_store_open(path, CKPT_STORE_CREATE, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	ckpt_store_close(model_open(path));
	model_remove(path);
}

static void write_format(const char *path, const struct ckpt_format *f)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;
	char file[300];
	int fd;

	must(ckpt_format_encode(f, &b, &err));
	snprintf(file, sizeof(file), "%s/format", path);
	fd = open(file, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, b.data, b.len), b.len);
	close(fd);
}

static void newer_formats(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_format f = { .version = 2 };
	struct ckpt_store *store;
	char path[200];

	(void)state;
	ckpt_store_close(model_open(model_path(path, sizeof(path))));
	write_format(path, &f);
	refused(ckpt_store_open(path, CKPT_STORE_READ, &err), &err, CKPT_REFUSED,
		"it has format 2 and this ckpt-tool knows up to 1; use a newer one");
	f = (struct ckpt_format){ .version = 1, .flags.incompat = 4 };
	write_format(path, &f);
	refused(ckpt_store_open(path, CKPT_STORE_READ, &err), &err, CKPT_REFUSED,
		"it needs features 0x4 of a newer ckpt-tool");
	f = (struct ckpt_format){ .version = 1, .flags.ro_compat = 4 };
	write_format(path, &f);
	refused(ckpt_store_open(path, CKPT_STORE_WRITE, &err), &err, CKPT_REFUSED,
		"may only be read by this ckpt-tool");
	store = ckpt_store_open(path, CKPT_STORE_READ, &err);
	assert_non_null(store);
	refused(ckpt_writer_begin(store, "agent", 0, &err), &err, CKPT_USAGE, "opened to be read");
	ckpt_store_close(store);
	f = (struct ckpt_format){ .version = 1, .flags.compat = 4 };
	write_format(path, &f);
	ckpt_store_close(model_open(path));
	model_remove(path);
}

static void a_second_writer(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char path[200], line[100];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	struct ckpt_store *again = model_open(path);
	struct ckpt_writer *w = model_begin(store, "agent", 0), *other;
	int ready[2], status;
	char byte;
	pid_t pid;

	(void)state;
	snprintf(line, sizeof(line), "group 'agent' is being written by another ckpt-tool (pid %d)",
		 getpid());
	refused(ckpt_writer_begin(again, "agent", 0, &err), &err, CKPT_FAILED, line);
	assert_int_equal(ckpt_log_remove(again, "agent", 1, &err), -1);
	/* Another group is free, and so are readers. */
	other = model_begin(again, "other", 0);
	assert_int_equal(model_commit(other), 1);
	assert_int_equal(model_commit(w), 1);
	/* The lock goes with its owner. */
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		w = model_begin(again, "agent", 1);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(!w);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	refused(ckpt_writer_begin(store, "agent", 1, &err), &err, CKPT_FAILED, "is being written");
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(model_commit(model_begin(store, "agent", 1)), 2);
	close(ready[0]);
	close(ready[1]);
	ckpt_store_close(store);
	ckpt_store_close(again);
	model_remove(path);
}

static void misuse_of_a_writer(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char path[200];
	struct ckpt_store *store = model_open(model_path(path, sizeof(path)));
	struct ckpt_writer *w = model_begin(store, "agent", 0);
	struct ckpt_sink sink = ckpt_writer_sink(w);
	uint8_t data[CKPT_PAGE_LEN] = { 1 };
	enum ckpt_page_kind kind;
	struct ckpt_source source;
	struct ckpt_reader *r;
	uint64_t id = 0;
	uint32_t space;

	(void)state;
	assert_int_equal(sink.put(sink.self, 0, 0, data, 1, &err), -1);
	must(sink.space_new(sink.self, &space, &err));
	assert_int_equal(sink.put(sink.self, 0, 0, data, 1, &err), -1);
	assert_int_equal(sink.put(sink.self, space, CKPT_PAGE_MAX + 1, data, 1, &err), -1);
	assert_int_equal(sink.put(sink.self, space, CKPT_PAGE_MAX, data, 2, &err), -1);
	assert_int_equal(sink.drop(sink.self, space, 1, CKPT_PAGE_MAX + 1, &err), -1);
	must(sink.drop(sink.self, space, 0, CKPT_PAGE_MAX + 1, &err));
	ckpt_writer_manifest(w)->kind = CKPT_KIND_INCREMENTAL;
	assert_int_equal(ckpt_writer_commit(w, &id, &err), -1);
	ckpt_writer_manifest(w)->kind = CKPT_KIND_FULL;
	must(ckpt_manifest_set_blob(ckpt_writer_manifest(w), "tasks", 9, 1, &err));
	assert_int_equal(ckpt_writer_commit(w, &id, &err), -1);
	must(ckpt_manifest_set_blob(ckpt_writer_manifest(w), "tasks", space, 0, &err));
	must(ckpt_writer_commit(w, &id, &err));
	assert_int_equal(id, 1);
	assert_int_equal(ckpt_writer_commit(w, &id, &err), -1);
	ckpt_err_clear(&err);
	assert_int_equal(sink.put(sink.self, space, 0, data, 1, &err), -1);
	refused(NULL, &err, CKPT_USAGE, "the checkpoint of 'agent' is over");
	ckpt_writer_free(w);
	r = ckpt_reader_open(store, "agent", 1, &err);
	source = ckpt_reader_source(r);
	assert_int_equal(source.get(source.self, space, CKPT_PAGE_MAX + 1, data, &kind, &err), -1);
	refused(NULL, &err, CKPT_USAGE, "there is no page");
	ckpt_reader_close(r);
	ckpt_store_close(store);
	model_remove(path);
}

/* 512 random pages into @store. Return: as commit. */
static int write_random(struct ckpt_store *store, uint64_t parent, uint64_t seed,
			struct ckpt_err *ret_err)
{
	struct ckpt_writer *w = model_begin(store, "agent", parent);
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_sink sink = ckpt_writer_sink(w);
	uint8_t data[CKPT_PAGE_LEN];
	uint32_t space;
	uint64_t id = 0;
	int rc;

	must(sink.space_new(sink.self, &space, &err));
	for (uint32_t p = 0; p < 512; p++) {
		model_fill(2 * (seed + p) + 2, data);
		must(sink.put(sink.self, space, p, data, 1, &err));
	}
	rc = ckpt_writer_commit(w, &id, ret_err);
	ckpt_writer_free(w);
	return rc ? -1 : (int)id;
}

static int in_a_small_file_system(const char *path)
{
	char store_path[250], ballast[300], data[65536] = { 1 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_store *store;
	int fd;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", path, "tmpfs", 0, "size=6m"))
		return 10;
	snprintf(store_path, sizeof(store_path), "%s/s", path);
	snprintf(ballast, sizeof(ballast), "%s/ballast", path);
	store = model_open(store_path);
	if (write_random(store, 0, 1, &err) != 1)
		return 11;
	fd = open(ballast, O_CREAT | O_WRONLY, 0600);
	while (write(fd, data, sizeof(data)) > 0)
		;
	close(fd);
	if (write_random(store, 1, 1000, &err) != -1 || err.status != CKPT_FAILED ||
	    err.os != ENOSPC || !strstr(err.text, "is full: ") ||
	    !strstr(err.text, "; free space and run again"))
		return 12;
	snprintf(ballast, sizeof(ballast), "%s/groups/agent/tmp", store_path);
	/* It can be removed only when it is empty. */
	if (rmdir(ballast))
		return 13;
	snprintf(ballast, sizeof(ballast), "%s/ballast", path);
	unlink(ballast);
	if (write_random(store, 1, 1000, &err) != 2)
		return 14;
	ckpt_store_close(store);
	if (mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL))
		return 15;
	if (ckpt_store_open(store_path, CKPT_STORE_CREATE, &err) || err.status != CKPT_REFUSED ||
	    !strstr(err.text, "is not writable: ") || err.os != EROFS)
		return 16;
	store = ckpt_store_open(store_path, CKPT_STORE_READ, &err);
	for (int64_t id = 1; id <= 2; id++) {
		struct ckpt_report report = { 0 };

		if (ckpt_verify(store, "agent", id, &report, NULL, &err) != 1)
			return 17;
	}
	ckpt_store_close(store);
	return 0;
}

static void too_much_in_one_checkpoint(void **state)
{
	struct ckpt_manifest m = { .name = "agent" };
	struct ckpt_err err = CKPT_ERR_INIT;
	char name[100];

	(void)state;
	for (unsigned int i = 0; i < CKPT_PARTS_MAX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		must(ckpt_manifest_set_blob(&m, name, 1, 1, &err));
		must(ckpt_manifest_set_note(&m, name, name, 1, &err));
	}
	assert_int_equal(ckpt_manifest_set_blob(&m, "one more", 1, 1, &err), -1);
	refused(NULL, &err, CKPT_REFUSED, "has more than 4096 parts or notes");
	assert_int_equal(ckpt_manifest_set_note(&m, "one more", "", 0, &err), -1);
	refused(NULL, &err, CKPT_REFUSED, "has more than 4096 parts or notes");
	must(ckpt_manifest_set_blob(&m, "7", 2, 2, &err));
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = 0;
	assert_int_equal(ckpt_manifest_set_blob(&m, name, 1, 1, &err), -1);
	refused(NULL, &err, CKPT_USAGE, "is no name for a part of a checkpoint");
	ckpt_manifest_done(&m);
}

static void a_manifest_that_is_too_long(void **state)
{
	cleanup_buf struct ckpt_buf out = CKPT_BUF_INIT;
	struct ckpt_manifest m = { .name = "agent" };
	cleanup_free char *value = calloc(1, CKPT_MANIFEST_LEN_MAX);
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	assert_non_null(value);
	must(ckpt_manifest_set_note(&m, "long", value, CKPT_MANIFEST_LEN_MAX, &err));
	assert_int_equal(ckpt_manifest_encode(&m, &out, &err), -1);
	refused(NULL, &err, CKPT_REFUSED, "manifest of 'agent' would be longer than");
	ckpt_manifest_done(&m);
}

static void a_full_and_a_read_only_disk(void **state)
{
	char path[200];
	int status;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	mkdir(model_path(path, sizeof(path)), 0700);
	pid = fork();
	if (!pid)
		_exit(in_a_small_file_system(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	model_remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(what_is_no_store),
		cmocka_unit_test(a_store_half_made_is_made),
		cmocka_unit_test(newer_formats),
		cmocka_unit_test(a_second_writer),
		cmocka_unit_test(misuse_of_a_writer),
		cmocka_unit_test(too_much_in_one_checkpoint),
		cmocka_unit_test(a_manifest_that_is_too_long),
		cmocka_unit_test(a_full_and_a_read_only_disk),
	};

	return cmocka_run_group_tests_name("store_refuse", tests, NULL, NULL);
}
