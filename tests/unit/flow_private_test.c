// SPDX-License-Identifier: GPL-2.0-or-later
/* The private directory of a group: what others have put there is not used. As root. */
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

#include "base/cleanup.h"
#include "flow/private.h"

static char top[64], path[128];

static const char *at(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s", path);
}

static int fresh(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "%s/ckpt-private-XXXXXX", getenv("TMPDIR") ?: "/tmp");
	/* as /var/tmp is: everybody may make something there */
	return mkdtemp(top) && !chmod(top, 01777) ? 0 : -1;
}

static int clean(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static void takes(void)
{
	cleanup_close int dir = -1, log = -1;
	cleanup_free char *real = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	if (ckpt_private_make(top, "agent", &real, &dir, &err))
		fail_msg("%s", err.text);
	log = ckpt_private_log(dir, real, &err);
	if (log < 0)
		fail_msg("%s", err.text);
	assert_int_equal(write(log, "x", 1), 1);
}

static void refuses(const char *says)
{
	cleanup_close int dir = -1, log = -1;
	cleanup_free char *real = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	if (!ckpt_private_make(top, "agent", &real, &dir, &err)) {
		log = ckpt_private_log(dir, real, &err);
		assert_int_equal(log, -1);
	}
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void makes_and_takes_its_own(void **state)
{
	struct stat st;

	(void)state;
	takes();
	takes();
	must(stat(at("agent/log"), &st));
	assert_int_equal(st.st_size, 2);
	assert_int_equal(st.st_mode & 0777, 0600);
	must(stat(at("agent"), &st));
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void refuses_what_others_made(void **state)
{
	(void)state;
	must(mkdir(at("agent"), 0755));
	must(chown(at("agent"), 1234, 1234));
	refuses("agent belongs to others");
	must(chown(at("agent"), 0, 0));
	must(chmod(at("agent"), 0777));
	refuses("agent belongs to others or can be written by them");
	must(chmod(at("agent"), 0755));
	takes();
	must(chmod(top, 0777));
	refuses("belongs to others or can be written by them");
}

static void follows_no_link(void **state)
{
	char real[80];

	(void)state;
	snprintf(real, sizeof(real), "%s/real", top);
	must(mkdir(real, 0755));
	must(symlink(real, at("agent")));
	refuses("agent is no directory");
	must(unlink(at("agent")));
	must(mkdir(at("agent"), 0755));
	must(symlink("/etc/passwd", at("agent/log")));
	refuses("cannot open");
	must(unlink(at("agent/log")));
	must(mkfifo(at("agent/log"), 0600));
	must(open(at("agent/log"), O_RDWR | O_CLOEXEC));
	refuses("log is no file of our own");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(makes_and_takes_its_own, fresh, clean),
		cmocka_unit_test_setup_teardown(refuses_what_others_made, fresh, clean),
		cmocka_unit_test_setup_teardown(follows_no_link, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
