// SPDX-License-Identifier: GPL-2.0-or-later
/* A tree in an ipc namespace of its own over a restore. Natively as root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"
#include "proc/build.h"
#include "proc/image-check.h"
#include "proc/ipc.h"

#define NEXT_ID "/proc/sys/kernel/shm_next_id"

/* Below what the segments of the program need, which are there already. */
static struct ckpt_ipc_setting low[] = {
	{ (char *)"kernel/shmmax", (char *)"4096" },
	{ (char *)"kernel/shmmni", (char *)"1" },
	{ (char *)"kernel/shm_rmid_forced", (char *)"0" },
	{ (char *)"kernel/sem", (char *)"250\t32000\t32\t128" },
	{ (char *)"fs/mqueue/msg_default", (char *)"3" },
};

static struct ckpt_ipc limits = { .settings = low, .n_settings = sizeof(low) / sizeof(low[0]) };

static int set_limits(void *arg, struct ckpt_err *err)
{
	return ckpt_ipc_set(arg, err);
}

/* By somebody who is in there for a moment, once all segments are made. */
static void limit(void)
{
	cycle_inside("ipc", set_limits, &limits);
}

static void save(bool private, struct saved *s)
{
	cleanup_free char *program = cycle_program("shared_memory");
	char *argv[] = { "unshare", "-i", program, NULL };

	cycle_while_stopped = limit;
	cycle_start_and_save(argv, private, "ready", s);
	cycle_while_stopped = NULL;
}

static const char *setting(const struct ckpt_image *image, const char *name)
{
	for (size_t i = 0; i < image->ipc->n_settings; i++) {
		if (!strcmp(image->ipc->settings[i].name, name))
			return image->ipc->settings[i].value;
	}
	return "none";
}

static const struct ckpt_shm *segment_with_key(const struct ckpt_image *image)
{
	const struct ckpt_shm *s = image->shms;

	while (s->kind != CKPT_SHM_SYSV || !s->key || s->doomed)
		s++;
	return s;
}

static void check_image(const struct ckpt_image *image)
{
	size_t n = 0;

	assert_int_equal(image->n_ipc, 1);
	for (size_t i = 0; i < limits.n_settings; i++)
		assert_string_equal(setting(image, low[i].name), low[i].value);
	assert_string_equal(setting(image, "kernel/msgmax"), "8192");
	for (size_t i = 0; i < image->n_shms; i++)
		n += image->shms[i].kind == CKPT_SHM_SYSV;
	assert_int_equal(n, 3);
}

/* In our namespace, with id and key of one of the tree. */
static int make_alike(const struct ckpt_image *image)
{
	const struct ckpt_shm *s = segment_with_key(image);
	FILE *f = fopen(NEXT_ID, "we");
	int id;

	assert_non_null(f);
	fprintf(f, "%d", s->id);
	fclose(f);
	id = shmget(s->key, 100, IPC_CREAT | IPC_EXCL | 0600);
	assert_int_equal(id, s->id);
	return id;
}

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };
	struct ckpt_ipc before = { 0 }, after = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	int id;

	cycle_check(ckpt_ipc_get(&before, &err), &err);
	save(private, &first);
	check_image(&first.image);
	id = make_alike(&first.image);
	cycle_restore_and_save(&first, 0, &second);
	check_image(&second.image);
	cycle_go_on(&second);
	assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
	cycle_check(ckpt_ipc_get(&after, &err), &err);
	assert_int_equal(before.n_settings, after.n_settings);
	for (size_t i = 0; i < before.n_settings; i++) {
		assert_string_equal(before.settings[i].value, after.settings[i].value);
		free(before.settings[i].name);
		free(before.settings[i].value);
		free(after.settings[i].name);
		free(after.settings[i].value);
	}
	free(before.settings);
	free(after.settings);
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

/* Each segment goes with who has it attached last, and stays as long as there is one. */
static void test_forced(void **state)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	(void)state;
	low[2].value = (char *)"1";
	save(true, &first);
	check_image(&first.image);
	cycle_restore_and_save(&first, 0, &second);
	check_image(&second.image);
	low[2].value = (char *)"0";
}

/* One that has failed takes nothing of ours along. */
static void test_verified(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .image = &s.image, .source = &s.source,
					      .cgroup = cycle_cgroup_dir, .stdio = { 0, 1, 2 } };
	struct ckpt_ipc_setting one = { (char *)"kernel/msgmni", (char *)"7" };
	struct ckpt_ipc other = { .settings = &one, .n_settings = 1 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;
	struct shmid_ds ds;
	int id;

	(void)state;
	save(true, &s);
	id = make_alike(&s.image);
	cycle_check(ckpt_restore_build(&params, &r, &err) || ckpt_restore_verify(r, &err) ||
		    ckpt_build_inside(r, "ipc", set_limits, &other, &err), &err);
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	assert_non_null(strstr(err.text, "kernel/msgmni of its ipc namespace is 7"));
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
	assert_int_equal(shmctl(id, IPC_STAT, &ds), 0);
	assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
	cycle_go_on(&s);
}

/* What the trial says of @ipc, by a process with all capabilities or none. */
static void expect_machine(struct ckpt_ipc *ipc, bool able, const char *says)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	const struct ckpt_image image = { .ipc = ipc, .n_ipc = 1 };
	struct ckpt_err *err = mmap(NULL, sizeof(*err), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit((!able && syscall(SYS_capset, &head, none)) ||
		      ckpt_namespaces_machine(&image, err) != (says ? -1 : 0));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (says && (err->status != CKPT_REFUSED || !strstr(err->text, says)))
		fail_msg("\"%s\" does not say \"%s\"", err->text, says);
	munmap(err, sizeof(*err));
}

static void test_tried(void **state)
{
	struct ckpt_ipc_setting one = { (char *)"kernel/shm_rmid_forced", (char *)"2" };
	struct ckpt_ipc bad = { .settings = &one, .n_settings = 1 };

	(void)state;
	expect_machine(&limits, true, NULL);
	expect_machine(&limits, false, "ipc namespace of its own, which ckpt-tool cannot make");
	expect_machine(&bad, true, "has '2' in its /proc/sys/kernel/shm_rmid_forced, which cannot");
	one = (struct ckpt_ipc_setting){ (char *)"kernel/msgmax", (char *)"1\t2" };
	expect_machine(&bad, true, "has '1\t2' in its /proc/sys/kernel/msgmax, ");
}

static void test_too_many(void **state)
{
	static struct ckpt_shm many[CKPT_IPC_SEGMENTS + 1];
	struct ckpt_image image = { .ipc = &limits, .n_ipc = 1, .shms = many };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	for (size_t i = 0; i <= CKPT_IPC_SEGMENTS; i++)
		many[i] = (struct ckpt_shm){ .kind = CKPT_SHM_SYSV, .size = 1, .id = i };
	image.n_shms = CKPT_IPC_SEGMENTS;
	assert_int_equal(ckpt_segment_machine(&image, ~0ull, &err), 0);
	image.n_shms++;
	assert_int_equal(ckpt_segment_machine(&image, ~0ull, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "4097 System V segments"));
}

static void expect_bad(struct ckpt_ipc_setting a, struct ckpt_ipc_setting b, bool bad)
{
	struct ckpt_ipc_setting both[] = { a, b };
	struct ckpt_ipc ipc = { .settings = both, .n_settings = 2 };
	const struct ckpt_image image = { .ipc = &ipc, .n_ipc = 1 };
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_namespaces_check(&image, &err), bad ? -1 : 0);
	assert_int_equal(err.status, bad ? CKPT_DAMAGED : CKPT_OK);
}

#define SETTING(a, b) ((struct ckpt_ipc_setting){ (char *)(a), (char *)(b) })

static void test_contradictions(void **state)
{
	struct ckpt_ipc_setting good = SETTING("kernel/shmmax", "1");
	struct ckpt_ipc two[2] = { { 0 } };
	const struct ckpt_image image = { .ipc = two, .n_ipc = 2 };
	struct ckpt_err err = CKPT_ERR_INIT;
	char longest[CKPT_IPC_VALUE_MAX + 2];

	(void)state;
	memset(longest, '1', sizeof(longest));
	longest[CKPT_IPC_VALUE_MAX + 1] = 0;
	expect_bad(good, SETTING("kernel/sem", "1\t2"), false);
	expect_bad(good, SETTING("kernel/hostname", "1"), true);
	expect_bad(good, SETTING("kernel/../vm/swappiness", "1"), true);
	expect_bad(good, SETTING(NULL, "1"), true);
	expect_bad(good, SETTING("kernel/sem", NULL), true);
	expect_bad(good, SETTING("kernel/sem", ""), true);
	expect_bad(good, SETTING("kernel/sem", "-1"), true);
	expect_bad(good, SETTING("kernel/sem", longest), true);
	expect_bad(good, good, true);
	expect_bad(SETTING("kernel/sem", "1"), good, true);
	assert_int_equal(ckpt_namespaces_check(&image, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
}

/* In a namespace in which every id is free; the trees have others. */
static int set_up(void **state)
{
	return unshare(CLONE_NEWIPC) ? -1 : cycle_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside_us),
		cmocka_unit_test(test_forced),
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_tried),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_contradictions),
	};

	return cmocka_run_group_tests_name("proc ipc", tests, set_up, cycle_teardown);
}
