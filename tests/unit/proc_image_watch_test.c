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
#include <sys/inotify.h>

#include "proc/image.h"
#include "proc/parse.h"

static void test_pidfd(void **state)
{
	static const char live[] = "pos:\t0\nflags:\t02000002\nPid:\t4711\nNSpid:\t4711\t5\n";
	int32_t pid = 0;

	(void)state;
	assert_int_equal(ckpt_parse_pidfd(live, &pid), 0);
	assert_int_equal(pid, 4711);
	assert_int_equal(ckpt_parse_pidfd("pos:\t0\nPid:\t-1\nNSpid:\t-1\n", &pid), 0);
	assert_int_equal(pid, -1);
	assert_int_equal(ckpt_parse_pidfd("pos:\t0\nNSpid:\t5\n", &pid), -1);
	assert_int_equal(ckpt_parse_pidfd("pos:\t0\nPid:\tx\n", &pid), -1);
}

static void test_watches(void **state)
{
	static const char text[] = "pos:\t0\nflags:\t04000\nmnt_id:\t17\nino:\t1038\n"
		"inotify wd:4e ino:26c sdev:15 mask:2 ignored_mask:0 fhandle-bytes:c "
		"fhandle-type:81 f_handle:6c02000000000000000000ff\n"
		"inotify wd:2 ino:a7c129 sdev:fe00000 mask:84000fff ignored_mask:0 \n";
	struct ckpt_proc_watch w;
	const char *at = text;

	(void)state;
	assert_int_equal(ckpt_parse_watch_line(&at, &w), 1);
	assert_int_equal(w.wd, 0x4e);
	assert_int_equal(w.ino, 0x26c);
	assert_int_equal(w.handle_len, 12);
	assert_int_equal(w.handle_type, 0x81);
	assert_int_equal(w.handle[0], 0x6c);
	assert_int_equal(w.handle[11], 0xff);
	assert_int_equal(ckpt_parse_watch_line(&at, &w), 1);
	assert_int_equal(w.wd, 2);
	assert_int_equal(w.mask, 0x84000fff);
	assert_int_equal(w.dev, 0xfe00000);
	assert_int_equal(w.handle_len, 0);
	assert_int_equal(ckpt_parse_watch_line(&at, &w), 0);
}

static void test_odd_watches(void **state)
{
	static const char *const lines[] = {
		"inotify wd:1 ino:2 sdev:3\n",
		"inotify wd:1 ino:2 sdev:3 mask:4 ignored_mask:0 fhandle-bytes:8",
		"inotify wd:1 ino:2 sdev:3 mask:4 ignored_mask:0 fhandle-bytes:2 fhandle-type:1 "
		"f_handle:12\n",
		"inotify wd:1 ino:2 sdev:3 mask:4 ignored_mask:0 fhandle-bytes:81 fhandle-type:1 "
		"f_handle:12\n",
		"inotify wd:ffffffff ino:2 sdev:3 mask:4 ignored_mask:0 \n",
	};
	struct ckpt_proc_watch w;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *at = lines[i];

		assert_int_equal(ckpt_parse_watch_line(&at, &w), -1);
	}
}

/* A task 10 with a thread 11, and a descriptor of each that watches. */
static struct ckpt_image make_image(void)
{
	struct ckpt_image image = {
		.n_tasks = 1, .n_mms = 1, .n_fdtables = 1, .n_files = 4, .n_pidfds = 2,
		.n_inotifies = 1,
	};

	image.files = calloc(image.n_files, sizeof(*image.files));
	image.files[0].path = strdup("/exe");
	for (size_t i = 1; i < 3; i++)
		image.files[i] = (struct ckpt_file){ .kind = CKPT_FILE_PIDFD, .object = i - 1 };
	image.files[3].kind = CKPT_FILE_INOTIFY;
	image.inotifies = calloc(1, sizeof(*image.inotifies));
	image.inotifies->n_watches = 2;
	image.inotifies->watches = calloc(2, sizeof(*image.inotifies->watches));
	image.inotifies->watches[0] = (struct ckpt_watch){ 1, IN_OPEN, strdup("/a"), true };
	image.inotifies->watches[1] = (struct ckpt_watch){ 7, IN_ATTRIB | IN_ONESHOT, strdup("/b"),
							   false };
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
SPOIL(inotify, i->files[3].object = 1)
SPOIL(number, i->inotifies->watches[0].wd = 0)
SPOIL(order, i->inotifies->watches[1].wd = 1)
SPOIL(path, *i->inotifies->watches[0].path = 'a')
SPOIL(no_path, (free(i->inotifies->watches[0].path), i->inotifies->watches[0].path = NULL))
SPOIL(no_event, i->inotifies->watches[0].mask = IN_ONESHOT)
SPOIL(odd_event, i->inotifies->watches[0].mask |= IN_MASK_ADD)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pidfd),
		cmocka_unit_test(test_sound), cmocka_unit_test(test_thread),
		cmocka_unit_test(test_killed), cmocka_unit_test(test_of_nothing),
		cmocka_unit_test(test_of_nobody), cmocka_unit_test(test_of_negative),
		cmocka_unit_test(test_of_thread), cmocka_unit_test(test_end_of_live),
		cmocka_unit_test(test_no_end), cmocka_unit_test(test_core),
		cmocka_unit_test(test_watches), cmocka_unit_test(test_odd_watches),
		cmocka_unit_test(test_inotify), cmocka_unit_test(test_number),
		cmocka_unit_test(test_order), cmocka_unit_test(test_path),
		cmocka_unit_test(test_no_path), cmocka_unit_test(test_no_event),
		cmocka_unit_test(test_odd_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
