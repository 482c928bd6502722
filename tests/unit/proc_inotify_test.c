// SPDX-License-Identifier: GPL-2.0-or-later
/* Inotifies over a restore and over a stop, and those that are refused. Natively as root. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "lib/scratch.h"

#define PROGRAM "watchers"
#define DIR scratch("watched")
#define FILE_IN scratch("watched/file")
#define MOUNT scratch("watched/a mount")
#define BELOW scratch("watched/a mount/below")

/* Twice: what was restored is as good as what was there. */
static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	cycle_save_program(PROGRAM, NULL, private, &first);
	assert_int_equal(first.image.n_inotifies, 6);
	cycle_restore_and_save(&first, 0, &second);
	assert_int_equal(second.image.n_inotifies, 6);
	cycle_go_on(&second);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_in_place(void **state)
{
	(void)state;
	restored(false);
}

static void make_dir(void)
{
	if (scratch_mkdir("watched") || scratch_touch("watched/file"))
		_exit(1);
}

static int watch_dir(uint32_t mask)
{
	int fd = inotify_init1(IN_NONBLOCK);

	make_dir();
	if (inotify_add_watch(fd, DIR, mask) < 0 || inotify_add_watch(fd, FILE_IN, mask) < 0)
		_exit(1);
	return fd;
}

static void *read_later(void *arg)
{
	char data[4096];

	/* the first stop finds what is there; then it is taken away, slowly */
	usleep(300000);
	while (read((int)(intptr_t)arg, data, sizeof(data)) > 0)
		;
	return NULL;
}

/* What cannot be made again: a move of which nobody knows whether its beginning was read. */
static void read_soon(void)
{
	int fd = watch_dir(IN_MOVE);
	pthread_t t;

	if (scratch_touch("from") || rename(scratch("from"), scratch("watched/moved")) ||
	    unlink(scratch("watched/moved")))
		_exit(1);
	pthread_create(&t, NULL, read_later, (void *)(intptr_t)fd);
}

/* Nothing tells of it while the file is open. */
static void watch_unlinked(void)
{
	int fd;

	make_dir();
	fd = open(FILE_IN, O_RDONLY);
	watch_dir(IN_MODIFY);
	if (fd < 0 || unlink(FILE_IN))
		_exit(1);
}

static void watch_procfs(void)
{
	if (inotify_add_watch(inotify_init1(0), "/proc/self", IN_MODIFY) < 0)
		proc_group_lacks(0);
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ watch_unlinked, "to which no path is known" },
		{ watch_procfs, "to which no path is known" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

/* What cannot be restored, and is read in a moment, is waited out. */
static void test_read_meanwhile(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, read_soon) };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	(void)state;
	assert_true(params.pid > 0);
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("%s", err.text);
	assert_int_equal(image.n_inotifies, 1);
	assert_int_equal(image.inotifies->n_watches, 2);
	assert_int_equal(image.inotifies->n_events, 0);
	assert_string_equal(image.inotifies->watches[0].path, DIR);
	assert_true(image.inotifies->watches[0].dir);
	assert_string_equal(image.inotifies->watches[1].path, FILE_IN);
	assert_false(image.inotifies->watches[1].dir);
	ckpt_image_done(&image);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

/* A directory that is told of all that happens to it, below a mount and a name to be escaped. */
static void watch_all(void)
{
	int fd = watch_dir(IN_ALL_EVENTS);

	if (inotify_add_watch(fd, MOUNT, IN_ALL_EVENTS) < 0 ||
	    inotify_add_watch(fd, BELOW, IN_ALL_EVENTS) < 0 || dup2(fd, 50) != 50)
		_exit(1);
}

static int unread(pid_t pid, int fd)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, pid, 0);
	cleanup_close int own = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	int bytes = -1;

	assert_int_equal(ioctl(own, FIONREAD, &bytes), 0);
	return bytes;
}

/* A stop finds all that is watched, and tells nobody that it has looked. */
static void test_no_event(void **state)
{
	struct ckpt_stop_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	(void)state;
	make_dir();
	mkdir(MOUNT, 0755);
	assert_int_equal(mount("none", MOUNT, "tmpfs", 0, NULL), 0);
	assert_int_equal(mkdir(BELOW, 0755), 0);
	params.pid = proc_group_spawn(NULL, watch_all);
	assert_true(params.pid > 0);
	for (int i = 0; i < 3; i++) {
		if (proc_group_cycle(&params, &image, &err))
			fail_msg("%s", err.text);
		assert_int_equal(image.inotifies->n_watches, 4);
		assert_string_equal(image.inotifies->watches[2].path, MOUNT);
		assert_string_equal(image.inotifies->watches[3].path, BELOW);
		ckpt_image_done(&image);
		assert_int_equal(unread(params.pid, 50), 0);
	}
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
	scratch_empty();
}

static void watch_nothing_else(void)
{
	/* the test's session is in use when its end is awaited */
	setsid();
	watch_dir(IN_CREATE);
}

/* What is not there any more is refused before anything is changed. */
static void test_refused_restore(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, watch_nothing_else) };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_inotify *in;
	struct ckpt_image image;

	(void)state;
	assert_true(params.pid > 0);
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("%s", err.text);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
	in = image.inotifies;
	cycle_preflight(&image, NULL);
	assert_int_equal(unlink(FILE_IN), 0);
	cycle_preflight(&image, "/file is watched by the checkpoint");
	assert_int_equal(mkdir(FILE_IN, 0755), 0);
	cycle_preflight(&image, "is watched by the checkpoint, and is a directory now");
	assert_int_equal(rmdir(FILE_IN), 0);
	make_dir();
	in->watches[1].dir = true;
	cycle_preflight(&image, "is watched by the checkpoint, and is no directory now");
	ckpt_image_done(&image);
}

#define MERGED scratch("watched/a mount/merged")
#define MERGED_FILE scratch("watched/a mount/merged/file")

static const char *const known[] = {
	"watched/a mount", "watched/a mount/merged/gone", "watched/a mount/merged/file",
	"watched/a mount/merged",
};

/* As a caller that knows files, not all of which are what is asked for. */
static char *path_of(const void *arg, uint64_t ino, size_t nth)
{
	(void)ino;
	assert_ptr_equal(arg, known);
	return nth < sizeof(known) / sizeof(known[0]) ? strdup(scratch(known[nth])) : NULL;
}

static void watch_merged(void)
{
	int fd = inotify_init1(0);

	if (inotify_add_watch(fd, MERGED, IN_CREATE) < 0 ||
	    inotify_add_watch(fd, MERGED_FILE, IN_MODIFY) < 0)
		_exit(1);
}

static void mount_merged(void)
{
	static const char *const dirs[] = { "l", "u", "w", "merged" };
	char options[400], name[64];

	make_dir();
	mkdir(MOUNT, 0755);
	assert_int_equal(mount("none", MOUNT, "tmpfs", 0, NULL), 0);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(name, sizeof(name), "watched/a mount/%s", dirs[i]);
		assert_int_equal(scratch_mkdir(name), 0);
	}
	assert_int_equal(scratch_touch("watched/a mount/l/file"), 0);
	snprintf(options, sizeof(options), "lowerdir=%s/l,upperdir=%s/u,workdir=%s/w", MOUNT, MOUNT,
		 MOUNT);
	assert_int_equal(mount("none", MERGED, "overlay", 0, options), 0);
}

/* overlayfs opens no handle: there a path is one that the caller knows. */
static void test_known_paths(void **state)
{
	struct ckpt_stop_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	(void)state;
	mount_merged();
	params.pid = proc_group_spawn(NULL, watch_merged);
	assert_true(params.pid > 0);
	proc_group_refused(&params, "to which no path is known");
	params.path_of = path_of;
	params.path_arg = known;
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("%s", err.text);
	assert_int_equal(image.inotifies->n_watches, 2);
	assert_string_equal(image.inotifies->watches[0].path, MERGED);
	assert_string_equal(image.inotifies->watches[1].path, MERGED_FILE);
	ckpt_image_done(&image);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
	scratch_empty();
}

static int make_all(void **state)
{
	return scratch_make(state) || cycle_setup(state);
}

static int remove_all(void **state)
{
	return cycle_teardown(state) | scratch_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_in_place),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_read_meanwhile),
		cmocka_unit_test(test_no_event),
		cmocka_unit_test(test_known_paths),
		cmocka_unit_test(test_refused_restore),
	};

	return cmocka_run_group_tests_name("proc inotifies", tests, make_all, remove_all);
}
