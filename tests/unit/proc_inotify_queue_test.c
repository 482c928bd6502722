// SPDX-License-Identifier: GPL-2.0-or-later
/* What waits in inotifies over a restore and over a stop, and what is refused. Natively as root. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "lib/scratch.h"
#include "proc/inotify.h"

#define N_INOTIFIES 9
#define QUEUE_MAX "/proc/sys/fs/inotify/max_queued_events"
#define DIR scratch("queued")

static char *room(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/queues", cycle_dir);
	return path;
}

static size_t events_of(const struct ckpt_image *image)
{
	size_t n = 0;

	assert_int_equal(image->n_inotifies, N_INOTIFIES);
	for (size_t i = 0; i < image->n_inotifies; i++)
		n += image->inotifies[i].n_events;
	return n;
}

static void forget_room(void)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", room());
	assert_int_equal(system(command), 0);
}

/* Twice: what was restored is as good as what was there. */
static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	forget_room();
	cycle_save_program("event_queues", room(), private, &first);
	assert_true(events_of(&first.image) > CKPT_EVENTS_MAX);
	cycle_restore_and_save(&first, 0, &second);
	assert_int_equal(events_of(&first.image), events_of(&second.image));
	for (size_t i = 0; i < N_INOTIFIES; i++)
		assert_true(ckpt_events_same(&first.image.inotifies[i],
					     &second.image.inotifies[i]));
	cycle_go_on(&second);
	forget_room();
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

static void differs(struct ckpt_restore *r)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	assert_non_null(strstr(err.text, "the events that wait in an inotify are not those"));
}

/* One that is missing, or another one, is seen before the tree runs. */
static void test_verified(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .image = &s.image, .source = &s.source };
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_watch_event *e, was;
	struct ckpt_inotify *in;

	(void)state;
	forget_room();
	cycle_save_program("event_queues", room(), true, &s);
	params.cgroup = cycle_cgroup_dir;
	cycle_check(ckpt_restore_build(&params, &r, &err) || ckpt_restore_verify(r, &err), &err);
	in = s.image.inotifies;
	/* a directory, of which the first event is of a name and the last one of itself */
	while (!in->events->name)
		in++;
	e = &in->events[in->n_events - 1];
	was = *e;
	e->wd++;
	differs(r);
	e->wd--;
	e->mask ^= IN_ISDIR;
	differs(r);
	*e = in->events[0];
	differs(r);
	*e = was;
	in->events->name[0]++;
	differs(r);
	in->events->name[0]--;
	cycle_check(ckpt_restore_verify(r, &err), &err);
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
	forget_room();
}

/* Whoever is looked at and goes on has everything. */
static void test_left_alone(void **state)
{
	cleanup_free char *program = cycle_program("event_queues");
	struct ckpt_stop_params params = { 0 };
	char text[4096], go[96];
	int said[2], status = -1;
	size_t len = 0;
	ssize_t n;

	(void)state;
	forget_room();
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	params.pid = fork();
	if (!params.pid) {
		dup2(said[1], STDOUT_FILENO);
		close_range(STDERR_FILENO, ~0u, 0);
		if (!chdir(cycle_dir))
			execl(program, program, "queues", (char *)NULL);
		_exit(127);
	}
	close(said[1]);
	for (*text = 0; !strstr(text, "ready"); text[len += n] = 0) {
		n = read(said[0], text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			fail_msg("%s", text);
	}
	for (int i = 0; i < 10; i++) {
		struct ckpt_err err = CKPT_ERR_INIT;
		struct ckpt_image image;

		if (proc_group_cycle(&params, &image, &err))
			fail_msg("%s", err.text);
		assert_true(events_of(&image) > CKPT_EVENTS_MAX);
		ckpt_image_done(&image);
	}
	snprintf(go, sizeof(go), "%s/go", cycle_dir);
	close(open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	while ((n = read(said[0], text + len, sizeof(text) - 1 - len)) > 0)
		text[len += n] = 0;
	if (!strstr(text, "all well"))
		fail_msg("%s", text);
	assert_int_equal(waitpid(params.pid, &status, 0), params.pid);
	assert_int_equal(status, 0);
	close(said[0]);
	unlink(go);
	forget_room();
}

static int watch_dir(uint32_t mask)
{
	int fd = inotify_init1(IN_NONBLOCK);

	if (scratch_mkdir("queued") || inotify_add_watch(fd, DIR, mask) < 0)
		_exit(1);
	return fd;
}

static void touch(const char *name)
{
	if (scratch_touch(name))
		_exit(1);
}

static void hold_many(void)
{
	int fd = watch_dir(IN_CREATE | IN_DELETE);

	for (size_t i = 0; i < CKPT_EVENTS_MAX / 2 + 1; i++) {
		touch("queued/many");
		unlink(scratch("queued/many"));
	}
	(void)fd;
}

static void hold_lost(void)
{
	char data[1 << 16];
	int fd = watch_dir(IN_CREATE | IN_DELETE), lost = 0;
	long max = 0;
	FILE *f = fopen(QUEUE_MAX, "r");

	if (!f || fscanf(f, "%ld", &max) != 1)
		_exit(1);
	fclose(f);
	for (long i = 0; i < max / 2 + 1; i++) {
		touch("queued/many");
		unlink(scratch("queued/many"));
	}
	/* but for the last of them */
	while (lost < max - 5) {
		ssize_t len = read(fd, data, 32 * 64);

		if (len <= 0)
			_exit(1);
		lost += len / 32;
	}
}

static void hold_unmounted(void)
{
	int fd = inotify_init1(IN_NONBLOCK);

	mkdir(DIR, 0755);
	if (mount("none", DIR, "tmpfs", 0, NULL))
		proc_group_lacks(0);
	if (inotify_add_watch(fd, DIR, IN_CREATE) < 0 || umount(DIR))
		_exit(1);
}

/* A directory where nobody looks, and a file in it. */
static void make_aside(void)
{
	mkdir(DIR, 0755);
	mkdir(scratch("aside"), 0755);
	touch("aside/file");
}

static void hold_end_of_move(void)
{
	make_aside();
	watch_dir(IN_MOVE);
	if (rename(scratch("aside/file"), scratch("queued/file")))
		_exit(1);
}

/* Of one move it has read the beginning alone. */
static void hold_half_read(void)
{
	char first[2 * sizeof(struct inotify_event)];
	int fd;

	make_aside();
	fd = watch_dir(IN_MOVED_TO);
	if (inotify_add_watch(fd, scratch("aside"), IN_MOVED_FROM) < 0 ||
	    rename(scratch("aside/file"), scratch("queued/file")) ||
	    read(fd, first, sizeof(first)) != sizeof(first))
		_exit(1);
}

/* The kernel knows them for two, because one is of an exec; on some kernels they are one. */
static void hold_alike(void)
{
	int fd = watch_dir(IN_OPEN), bytes = 0;
	pid_t pid;

	touch("queued/program");
	chmod(scratch("queued/program"), 0755);
	pid = fork();
	if (!pid) {
		execl(scratch("queued/program"), "program", (char *)NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	touch("queued/program");
	if (ioctl(fd, FIONREAD, &bytes) || bytes < 64)
		_exit(PROC_GROUP_NONE);
}

static void hold_several(void)
{
	int fd = watch_dir(IN_ATTRIB | IN_MODIFY);
	pid_t pid;

	touch("queued/suid");
	if (chown(scratch("queued/suid"), 65534, -1) || chmod(scratch("queued/suid"), 06777))
		_exit(1);
	(void)fd;
	pid = fork();
	if (!pid)
		_exit(chdir(DIR) || setgid(65533) || setuid(65533) || truncate("suid", 0));
	if (waitpid(pid, &(int){ 0 }, 0) != pid)
		_exit(1);
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_many, "of inotify 4, more than 1024 of them" },
		{ hold_lost, "some of which were lost (IN_Q_OVERFLOW)" },
		{ hold_unmounted, "of a file system that was unmounted (IN_UNMOUNT)" },
		{ hold_end_of_move, "the end of a move whose beginning it may have read" },
		{ hold_half_read, "the end of a move whose beginning it may have read" },
		{ hold_alike, "two of which are alike, one behind the other" },
		{ hold_several, "one of which tells several things at once" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	scratch_empty();
}

/* Where the kernel does not tell what waits. */
static void test_blind(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_end_of_move, "of which this kernel does not tell what they are" },
		{ hold_several, "of which this kernel does not tell what they are" },
	};

	(void)state;
	setenv("CKPT_FAULT", "keeper.events=fail", 1);
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	unsetenv("CKPT_FAULT");
	scratch_empty();
}

static void hold_none(void)
{
	watch_dir(IN_CREATE | IN_DELETE);
}

/* Of a tree that had nothing unread when it was looked at before the stop. */
static struct ckpt_stop *look_at(struct ckpt_stop_params *params)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;

	params->pid = proc_group_spawn(NULL, hold_none);
	assert_true(params->pid > 0);
	cycle_check(ckpt_stop_open(params, &stop, &err), &err);
	return stop;
}

static void end(struct ckpt_stop *stop, pid_t pid)
{
	ckpt_stop_close(stop);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	scratch_empty();
}

/* An event between this look and the stop, and one in the stop, that somebody else has made. */
static void test_late(void **state)
{
	struct ckpt_stop_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = look_at(&params);
	struct ckpt_image image;

	(void)state;
	touch("queued/one");
	cycle_check(ckpt_stop_begin(stop, &err), &err);
	touch("queued/two");
	cycle_check(ckpt_stop_collect(stop, &image, &err), &err);
	assert_int_equal(image.inotifies->n_events, 2);
	assert_string_equal(image.inotifies->events[1].name, "two");
	ckpt_image_done(&image);
	end(stop, params.pid);
}

/* In the stop there is no time to make what tells, so that it is tried again. */
static void test_too_late(void **state)
{
	struct ckpt_stop_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = look_at(&params);
	struct ckpt_image image;

	(void)state;
	cycle_check(ckpt_stop_begin(stop, &err), &err);
	touch("queued/one");
	assert_int_equal(ckpt_stop_collect(stop, &image, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_true(err.passing);
	end(stop, params.pid);
}

/* A tree with one event: it can be restored, unless the settings of this machine are in the way. */
static void hold_one(void)
{
	setsid();
	watch_dir(IN_CREATE);
	touch("queued/one");
}

static void test_refused_restore(void **state)
{
	struct ckpt_stop_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	(void)state;
	params.pid = proc_group_spawn(NULL, hold_one);
	assert_true(params.pid > 0);
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("%s", err.text);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
	assert_int_equal(image.inotifies->n_events, 1);
	assert_string_equal(image.inotifies->events->name, "one");
	cycle_preflight(&image, NULL);
	scratch_preflight(&image, QUEUE_MAX, "1\n", "raise fs.inotify.max_queued_events");
	scratch_preflight(&image, QUEUE_MAX, "1048577\n",
			  "lower fs.inotify.max_queued_events to 1048576");
	cycle_preflight(&image, NULL);
	ckpt_image_done(&image);
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
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_left_alone),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_blind),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_too_late),
		cmocka_unit_test(test_refused_restore),
	};

	return cmocka_run_group_tests_name("proc inotify queues", tests, make_all, remove_all);
}
