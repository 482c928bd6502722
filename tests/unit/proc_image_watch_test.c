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
#include "proc/inotify.h"
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

/* Of a directory, a file, and of two files that nobody watches any more. */
static const struct ckpt_watch_event events[] = {
	{ 1, IN_CREATE, 0, "new" },
	{ 1, IN_MOVED_FROM, 8, "new" },
	{ 1, IN_MOVED_TO, 8, "newer" },
	{ 1, IN_MOVED_FROM, 9, "newer" },
	{ 1, IN_OPEN | IN_ISDIR, 0, NULL },
	{ 1, IN_MOVE_SELF, 0, NULL },
	{ 3, IN_ATTRIB, 0, NULL },
	{ 3, IN_DELETE_SELF, 0, NULL },
	{ 3, IN_IGNORED, 0, NULL },
	{ 4, IN_IGNORED, 0, NULL },
	{ 7, IN_CLOSE_WRITE, 0, NULL },
	{ 1, IN_MOVED_TO | IN_ISDIR, 10, "from outside" },
};

#define N_EVENTS (sizeof(events) / sizeof(events[0]))

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
	image.inotifies->n_events = N_EVENTS;
	image.inotifies->events = calloc(N_EVENTS, sizeof(*image.inotifies->events));
	for (size_t i = 0; i < N_EVENTS; i++) {
		image.inotifies->events[i] = events[i];
		if (events[i].name)
			image.inotifies->events[i].name = strdup(events[i].name);
	}
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

static struct ckpt_watch_event *event(struct ckpt_image *image, size_t i)
{
	return &image->inotifies->events[i];
}

static void rename_event(struct ckpt_image *image, size_t i, const char *name)
{
	free(event(image, i)->name);
	event(image, i)->name = name ? strdup(name) : NULL;
}

/* As long as a name gets, and longer. */
static void rename_long(struct ckpt_image *image, size_t len)
{
	char name[300];

	memset(name, 'n', len);
	name[len] = 0;
	rename_event(image, 0, name);
}

static void add_events(struct ckpt_image *image, size_t n)
{
	struct ckpt_inotify *in = image->inotifies;

	in->events = realloc(in->events, n * sizeof(*in->events));
	for (size_t i = in->n_events; i < n; i++)
		in->events[i] = (struct ckpt_watch_event){ 7, i % 2 ? IN_MODIFY : IN_ATTRIB, 0,
							   NULL };
	in->n_events = n;
}

SOUND(longest, rename_long(i, 255))
SOUND(deepest, add_events(i, 1024))
SOUND(ended_alike, event(i, 9)->wd = 5)
SOUND(alone, event(i, 2)->cookie = 11)
SPOIL(too_deep, add_events(i, 1025))
SPOIL(event_number, event(i, 9)->wd = 0)
SPOIL(event_nowhere, event(i, 0)->wd = 2)
SPOIL(event_unended, event(i, 9)->mask = IN_MODIFY)
SPOIL(event_of_none, event(i, 10)->mask = 0)
SPOIL(event_two, event(i, 10)->mask |= IN_MODIFY)
SPOIL(event_odd, event(i, 10)->mask = IN_ONESHOT)
SPOIL(event_lost, event(i, 10)->mask = IN_Q_OVERFLOW)
SPOIL(event_unmount, event(i, 10)->mask = IN_UNMOUNT)
SPOIL(event_written, event(i, 4)->mask = IN_CLOSE_WRITE | IN_ISDIR)
SPOIL(event_mixed, event(i, 4)->mask = IN_OPEN)
SPOIL(event_self_dir, event(i, 5)->mask |= IN_ISDIR)
SPOIL(event_self_name, rename_event(i, 5, "name"))
SPOIL(event_no_name, event(i, 10)->mask = IN_CREATE)
SPOIL(event_empty, rename_event(i, 0, ""))
SPOIL(event_path, rename_event(i, 0, "a/b"))
SPOIL(event_dots, rename_event(i, 0, ".."))
SPOIL(event_long, rename_long(i, 256))
SPOIL(event_cookie, event(i, 0)->cookie = 1)
SPOIL(event_no_cookie, event(i, 3)->cookie = 0)
SPOIL(event_apart, event(i, 11)->cookie = 8)
SPOIL(event_to_itself, rename_event(i, 2, "new"))
SPOIL(event_becomes, event(i, 2)->mask |= IN_ISDIR)
SPOIL(event_half, i->inotifies->watches[0].mask |= IN_MOVED_FROM)
SPOIL(event_of_two_moves, (event(i, 11)->mask = IN_CREATE, event(i, 11)->cookie = 0,
			   i->inotifies->watches[0].mask |= IN_MOVED_FROM,
			   event(i, 2)->cookie = 11))
SPOIL(event_behind_end, event(i, 10)->wd = 3)
SPOIL(event_of_ended, event(i, 9)->wd = 7)
SPOIL(event_not_ended, (event(i, 8)->wd = 4, event(i, 9)->wd = 3))
SPOIL(event_alike, (event(i, 5)->mask = IN_OPEN | IN_ISDIR))

/* Cookies may be others, but two that were the same are. */
static void test_same(void **state)
{
	struct ckpt_watch_event copy[N_EVENTS], wanted[N_EVENTS];
	const struct ckpt_inotify a = { .events = wanted, .n_events = N_EVENTS };
	struct ckpt_inotify b = { .events = copy, .n_events = N_EVENTS };

	(void)state;
	memcpy(wanted, events, sizeof(events));
	memcpy(copy, events, sizeof(events));
	copy[1].cookie = copy[2].cookie = 100;
	copy[3].cookie = 101;
	assert_true(ckpt_events_same(&a, &b));
	copy[2].cookie = 102;
	assert_false(ckpt_events_same(&a, &b));
	copy[2].cookie = 100;
	copy[11].cookie = 0;
	assert_false(ckpt_events_same(&a, &b));
	copy[11].cookie = 10;
	copy[11].name = "from";
	assert_false(ckpt_events_same(&a, &b));
	copy[11].name = NULL;
	assert_false(ckpt_events_same(&a, &b));
	copy[11].name = wanted[11].name;
	b.n_events--;
	assert_false(ckpt_events_same(&a, &b));
}

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
		cmocka_unit_test(test_longest), cmocka_unit_test(test_deepest),
		cmocka_unit_test(test_ended_alike), cmocka_unit_test(test_alone),
		cmocka_unit_test(test_too_deep), cmocka_unit_test(test_event_number),
		cmocka_unit_test(test_event_nowhere), cmocka_unit_test(test_event_unended),
		cmocka_unit_test(test_event_of_none), cmocka_unit_test(test_event_two),
		cmocka_unit_test(test_event_odd), cmocka_unit_test(test_event_lost),
		cmocka_unit_test(test_event_unmount), cmocka_unit_test(test_event_written),
		cmocka_unit_test(test_event_mixed), cmocka_unit_test(test_event_self_dir),
		cmocka_unit_test(test_event_self_name), cmocka_unit_test(test_event_no_name),
		cmocka_unit_test(test_event_empty), cmocka_unit_test(test_event_path),
		cmocka_unit_test(test_event_dots), cmocka_unit_test(test_event_long),
		cmocka_unit_test(test_event_cookie), cmocka_unit_test(test_event_no_cookie),
		cmocka_unit_test(test_event_apart), cmocka_unit_test(test_event_to_itself),
		cmocka_unit_test(test_event_becomes), cmocka_unit_test(test_event_half),
		cmocka_unit_test(test_event_of_two_moves), cmocka_unit_test(test_same),
		cmocka_unit_test(test_event_behind_end), cmocka_unit_test(test_event_of_ended),
		cmocka_unit_test(test_event_not_ended), cmocka_unit_test(test_event_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
