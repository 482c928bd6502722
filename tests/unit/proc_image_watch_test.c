// SPDX-License-Identifier: GPL-2.0-or-later
/* What watches: how fdinfo shows it, and images in which it contradicts itself. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proc/image.h"
#include "proc/parse.h"

static void test_pidfd(void **state)
{
	int32_t pid = 0;

	(void)state;
	assert_int_equal(ckpt_parse_pidfd("pos:\t0\nflags:\t02000002\nPid:\t4711\nNSpid:\t4711\t5\n",
					  &pid), 0);
	assert_int_equal(pid, 4711);
	assert_int_equal(ckpt_parse_pidfd("pos:\t0\nPid:\t-1\nNSpid:\t-1\n", &pid), 0);
	assert_int_equal(pid, -1);
	assert_int_equal(ckpt_parse_pidfd("pos:\t0\nNSpid:\t5\n", &pid), -1);
	assert_int_equal(ckpt_parse_pidfd("pos:\t0\nPid:\tx\n", &pid), -1);
}

/* A task 10 with a thread 11, and a descriptor of each that watches. */
static struct ckpt_image make_image(void)
{
	struct ckpt_image image = {
		.n_tasks = 1, .n_mms = 1, .n_fdtables = 1, .n_files = 3, .n_pidfds = 2,
	};

	image.files = calloc(image.n_files, sizeof(*image.files));
	image.files[0].path = strdup("/exe");
	for (size_t i = 1; i < image.n_files; i++)
		image.files[i] = (struct ckpt_file){ .kind = CKPT_FILE_PIDFD, .object = i - 1 };
	image.pidfds = calloc(image.n_pidfds, sizeof(*image.pidfds));
	image.pidfds[0].pid = 10;
	image.pidfds[1].exit_code = 7 << 8;
	image.mms = calloc(1, sizeof(*image.mms));
	image.fdtables = calloc(1, sizeof(*image.fdtables));
	image.tasks = calloc(1, sizeof(*image.tasks));
	image.tasks->pid = image.tasks->pgid = image.tasks->sid = 10;
	image.tasks->root = CKPT_NONE;
	image.tasks->n_threads = 2;
	image.tasks->threads = calloc(2, sizeof(*image.tasks->threads));
	for (int i = 0; i < 2; i++) {
		image.tasks->threads[i].tid = 10 + i;
		image.tasks->threads[i].xstate_len = 576;
		image.tasks->threads[i].xstate = calloc(1, 576);
	}
	return image;
}

static enum ckpt_status decoded(void (*spoil)(struct ckpt_image *))
{
	struct ckpt_image image = make_image(), back;
	struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;

	spoil(&image);
	assert_int_equal(ckpt_image_encode(&image, &b, &err), 0);
	if (!ckpt_image_decode(b.data, b.len, &back, &err))
		ckpt_image_done(&back);
	ckpt_buf_done(&b);
	ckpt_image_done(&image);
	return err.status;
}

#define SOUND(name, change) \
	static void make_##name(struct ckpt_image *i) { change; } \
	static void test_##name(void **state) \
	{ (void)state; assert_int_equal(decoded(make_##name), CKPT_OK); }
#define SPOIL(name, change) \
	static void make_##name(struct ckpt_image *i) { change; } \
	static void test_##name(void **state) \
	{ (void)state; assert_int_equal(decoded(make_##name), CKPT_DAMAGED); }

SOUND(sound, (void)i)
SOUND(thread, (i->pidfds[0].pid = 11, i->files[1].flags = O_EXCL))
SOUND(killed, i->pidfds[1].exit_code = SIGKILL)
SPOIL(of_nothing, i->files[1].object = 2)
SPOIL(of_nobody, i->pidfds[0].pid = 12)
SPOIL(of_negative, i->pidfds[0].pid = -1)
SPOIL(of_thread, i->pidfds[0].pid = 11)
SPOIL(end_of_live, i->pidfds[0].exit_code = 9)
SPOIL(no_end, i->pidfds[1].exit_code = SIGCHLD)
SPOIL(core, i->pidfds[1].exit_code = SIGSEGV | 0x80)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pidfd),
		cmocka_unit_test(test_sound), cmocka_unit_test(test_thread),
		cmocka_unit_test(test_killed), cmocka_unit_test(test_of_nothing),
		cmocka_unit_test(test_of_nobody), cmocka_unit_test(test_of_negative),
		cmocka_unit_test(test_of_thread), cmocka_unit_test(test_end_of_live),
		cmocka_unit_test(test_no_end), cmocka_unit_test(test_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
