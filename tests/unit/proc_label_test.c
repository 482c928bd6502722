// SPDX-License-Identifier: GPL-2.0-or-later
/* Security labels, in a folder that looks like one of /proc: few machines have a module. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "proc/image.h"
#include "proc/label.h"
#include "proc/read.h"

static const char *const names[] = { "current", "exec", "fscreate", "keycreate", "sockcreate" };

static char dir[256];

static void put(const char *name, const char *text, size_t len)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

/* The attributes of threads 7 and 8, all empty, as of a module that has set none. */
static int setup(void **state)
{
	const char *base = getenv("TMPDIR");
	char path[64];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/label", base ? base : "/tmp");
	mkdir(dir, 0700);
	for (int tid = 7; tid <= 8; tid++) {
		char at[300];

		snprintf(at, sizeof(at), "%s/task", dir);
		mkdir(at, 0700);
		snprintf(at, sizeof(at), "%s/task/%d", dir, tid);
		mkdir(at, 0700);
		snprintf(at, sizeof(at), "%s/task/%d/attr", dir, tid);
		mkdir(at, 0700);
		snprintf(path, sizeof(path), "task/%d/stat", tid);
		put(path, "", 0);
		for (size_t i = 0; i < 5; i++) {
			snprintf(path, sizeof(path), "task/%d/attr/%s", tid, names[i]);
			put(path, "", 0);
		}
	}
	return 0;
}

static int check(const struct ckpt_labels *own, struct ckpt_err *err)
{
	struct ckpt_held_thread threads[2] = { { .tid = 7 }, { .tid = 8 } };
	struct ckpt_held_proc p = { .pid = 7, .comm = "agent", .threads = threads,
				    .n_threads = 2 };
	int ret;

	p.dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret = ckpt_labels_check(&p, own, err);
	close(p.dir);
	return ret;
}

static void refused(const struct ckpt_labels *own, const char *text)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(check(own, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void accepted(const struct ckpt_labels *own)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	if (check(own, &err))
		fail_msg("%s", err.text);
}

#define SELINUX "system_u:system_r:agent_t:s0"

static void another_label_is_refused(void **state)
{
	const struct ckpt_labels none = { .module = true };
	const struct ckpt_labels own = { .text = { SELINUX }, .module = true };

	(void)state;
	accepted(&none);
	/* SELinux ends it with a NUL byte, AppArmor with a newline */
	put("task/7/attr/current", SELINUX, sizeof(SELINUX));
	put("task/8/attr/current", SELINUX, sizeof(SELINUX));
	accepted(&own);
	refused(&none, "pid 7 (agent) has the security label " SELINUX " (thread 7), ckpt-tool "
		"has none");
	put("task/8/attr/current", "/usr/bin/man (enforce)\n", 23);
	refused(&own, "has the security label /usr/bin/man (enforce) (thread 8), ckpt-tool has "
		SELINUX);
}

static void unconfined_is_none(void **state)
{
	const struct ckpt_labels none = { .module = true };
	const struct ckpt_labels own = { .text = { "agent (enforce)" }, .module = true };

	(void)state;
	put("task/7/attr/current", "unconfined\n", 11);
	put("task/8/attr/current", "unconfined\n", 11);
	accepted(&none);
	refused(&own, "has the security label none (thread 7), ckpt-tool has agent (enforce)");
}

static void what_was_asked_for_is_refused(void **state)
{
	static const char *const says[] = {
		NULL, "for its next exec", "for new files", "for new keys", "for new sockets",
	};
	const struct ckpt_labels none = { .module = true };
	char path[64];

	(void)state;
	for (size_t i = 1; i < 5; i++) {
		snprintf(path, sizeof(path), "task/8/attr/%s", names[i]);
		put(path, SELINUX, sizeof(SELINUX));
		refused(&none, says[i]);
		put(path, "", 0);
	}
	accepted(&none);
}

/* Threads that end, and a machine without a module, where nothing is looked at. */
static void what_is_not_there_is_fine(void **state)
{
	const struct ckpt_labels own = { .text = { SELINUX }, .module = true };
	const struct ckpt_labels nothing = { 0 };
	char path[300];

	(void)state;
	put("task/7/attr/current", SELINUX, sizeof(SELINUX));
	accepted(&nothing);
	refused(&own, "(thread 8)");
	snprintf(path, sizeof(path), "%s/task/8/stat", dir);
	assert_int_equal(unlink(path), 0);
	accepted(&own);
}

static void reads_itself(void **state)
{
	int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct ckpt_labels l = { 0 };

	(void)state;
	assert_int_equal(ckpt_labels_read(self, &l), 0);
	print_message("# %s\n", !l.module ? "no module" : l.text[0] ? l.text[0] : "unconfined");
	ckpt_labels_done(&l);
	close(self);
}

static void another_at_restore_is_refused(void **state)
{
	struct ckpt_image image = { .label = "agent (enforce)" };
	const struct ckpt_labels own = { .text = { "agent (enforce)" }, .module = true };
	const struct ckpt_labels none = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	assert_int_equal(ckpt_labels_fit(&image, &own, &err), 0);
	assert_int_equal(ckpt_labels_fit(&image, &none, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "the tree had the security label agent (enforce)"));
	/* an older image without one does not say that it had none */
	image.label = NULL;
	assert_int_equal(ckpt_labels_fit(&image, &none, &err), 0);
	assert_int_equal(ckpt_labels_fit(&image, &own, &err), 0);
	image.label_known = true;
	assert_int_equal(ckpt_labels_fit(&image, &none, &err), 0);
	assert_int_equal(ckpt_labels_fit(&image, &own, &err), -1);
	assert_non_null(strstr(err.text, "the tree had the security label none, ckpt-tool has "
			       "agent (enforce)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(another_label_is_refused, setup),
		cmocka_unit_test_setup(unconfined_is_none, setup),
		cmocka_unit_test_setup(what_was_asked_for_is_refused, setup),
		cmocka_unit_test_setup(what_is_not_there_is_fine, setup),
		cmocka_unit_test(reads_itself),
		cmocka_unit_test(another_at_restore_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
