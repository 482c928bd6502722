// SPDX-License-Identifier: GPL-2.0-or-later
/* A tree in a uts namespace of its own over a restore. Natively as root. */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"
#include "proc/build.h"
#include "proc/image-check.h"
#include "proc/uts.h"

#define NODE "inner.host"
#define DOMAIN "inner.domain"

/* Waits for "go", then says whether its names are those that it has set. */
static char script[] = "cd /proc/sys/kernel && echo " NODE " >hostname && "
	"echo " DOMAIN " >domainname && cd - >/dev/null && echo ready; "
	"while [ ! -e go ]; do sleep 0.05; done; "
	"is() { [ \"$(cat /proc/sys/kernel/$1)\" = $2 ] || echo \"$1 is another\"; }; "
	"is hostname " NODE "; is domainname " DOMAIN "; echo all well";
static char *argv[] = { "unshare", "-u", "sh", "-c", script, NULL };

static void check_names(const struct ckpt_image *image)
{
	assert_int_equal(image->n_uts, 1);
	assert_string_equal(image->uts->node, NODE);
	assert_string_equal(image->uts->domain, DOMAIN);
}

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };
	struct utsname before, after;

	assert_int_equal(uname(&before), 0);
	cycle_start_and_save(argv, private, "ready", &first);
	check_names(&first.image);
	cycle_restore_and_save(&first, 0, &second);
	check_names(&second.image);
	cycle_go_on(&second);
	assert_null(strstr(cycle_read_output(), "is another"));
	assert_int_equal(uname(&after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_beside_us(void **state)
{
	(void)state;
	restored(false);
}

/* Where its pids are taken it moves to another pid namespace, with the same names. */
static void test_moved(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_start_and_save(argv, false, "ready", &s);
	cycle_taken = s.image.tasks[0].pid;
	cycle_go_on(&s);
	cycle_taken = 0;
	assert_null(strstr(cycle_read_output(), "is another"));
}

static void test_shared_with_us(void **state)
{
	char *shared[] = { "sh", "-c", "echo ready; sleep 1000", NULL };
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_start_and_save(shared, true, "ready", &s);
	assert_int_equal(s.image.n_uts, 0);
}

static int rename_it(void *arg, struct ckpt_err *err)
{
	(void)err;
	return ckpt_uts_set(arg);
}

static void test_verified(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .image = &s.image, .source = &s.source,
					      .cgroup = cycle_cgroup_dir, .stdio = { 0, 1, 2 } };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;
	struct ckpt_uts other;

	(void)state;
	cycle_start_and_save(argv, true, "ready", &s);
	other = *s.image.uts;
	other.domain[3] ^= 1;
	cycle_check(ckpt_restore_build(&params, &r, &err) || ckpt_restore_verify(r, &err) ||
		    ckpt_build_inside(r, "uts", rename_it, &other, &err), &err);
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	assert_non_null(strstr(err.text, "the host or domain name is another one"));
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
}

/* Every byte of the longest names, a NUL within among them. */
static void test_every_byte(void **state)
{
	struct ckpt_uts set = { .node = "a\0b" }, got;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < CKPT_UTS_LEN - 1; i++)
		set.domain[i] = (char)(255 - i);
	pid = fork();
	if (!pid)
		_exit(unshare(CLONE_NEWUTS) || ckpt_uts_set(&set) || ckpt_uts_get(&got, &err) ||
		      memcmp(&set, &got, sizeof(set)));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_needs_rights(void **state)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	struct ckpt_uts uts = { .node = "a" };
	const struct ckpt_image image = { .uts = &uts, .n_uts = 1 };
	struct ckpt_err *err = mmap(NULL, sizeof(*err), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(ckpt_namespaces_machine(&image, err) || syscall(SYS_capset, &head, none) ||
		      ckpt_namespaces_machine(&image, err) != -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(err->status, CKPT_REFUSED);
	assert_int_equal(err->os, EPERM);
	assert_non_null(strstr(err->text, "uts namespace of its own, which ckpt-tool cannot make"));
	munmap(err, sizeof(*err));
}

static void test_contradictions(void **state)
{
	struct ckpt_uts uts[2] = { { .node = "a" }, { .node = "a" } };
	struct ckpt_image image = { .uts = uts, .n_uts = 1 };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	assert_int_equal(ckpt_namespaces_check(&image, &err), 0);
	image.n_uts = 2;
	assert_int_equal(ckpt_namespaces_check(&image, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	image.n_uts = 1;
	for (int i = 0; i < 2; i++) {
		char *end = (i ? uts->node : uts->domain) + CKPT_UTS_LEN - 1;

		err = (struct ckpt_err)CKPT_ERR_INIT;
		*end = 'a';
		assert_int_equal(ckpt_namespaces_check(&image, &err), -1);
		assert_int_equal(err.status, CKPT_DAMAGED);
		*end = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside_us),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_shared_with_us),
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_needs_rights),
		cmocka_unit_test(test_contradictions),
	};

	return cmocka_run_group_tests_name("proc uts", tests, cycle_setup, cycle_teardown);
}
