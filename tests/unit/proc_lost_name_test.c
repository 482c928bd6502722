// SPDX-License-Identifier: GPL-2.0-or-later
/* Files whose name is gone while others lead to them. Natively as root. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"

static char dir[] = "/tmp/ckpt-test-XXXXXX";
static char made[64], beside[64], far[64];

static int hold(const char *link_to)
{
	int fd = open(made, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || link(made, link_to) || unlink(made))
		_exit(1);
	return fd;
}

static void hold_beside(void)
{
	hold(beside);
}

static void hold_far(void)
{
	hold(far);
}

/* As sem_open does. */
static void map_beside(void)
{
	int fd = hold(beside);

	if (ftruncate(fd, 4096) ||
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED || close(fd))
		_exit(1);
}

static void hold_given_name(void)
{
	char path[32];
	int fd = open(dir, O_RDWR | O_TMPFILE, 0600);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || linkat(AT_FDCWD, path, AT_FDCWD, beside, AT_SYMLINK_FOLLOW))
		_exit(1);
}

static void watch_directory(void)
{
	hold_beside();
	if (inotify_add_watch(inotify_init1(0), dir, IN_OPEN) < 0)
		_exit(1);
}

static char *knows_far(const void *arg, uint64_t ino, size_t nth)
{
	(void)arg;
	(void)ino;
	/* the first has never been */
	return nth > 1 ? NULL : strdup(nth ? far : made);
}

static bool has(const struct ckpt_image *image, const char *path)
{
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if (f->path && !strcmp(f->path, path))
			return !f->deleted && f->kind == CKPT_FILE_REG && f->writable;
	}
	return false;
}

static void is_found(void (*body)(void), const char *path, bool known)
{
	struct ckpt_stop_params params = {
		.pid = proc_group_spawn(NULL, body),
		.path_of = known ? knows_far : NULL,
	};
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	assert_true(params.pid > 0);
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("%s", err.text);
	assert_true(has(&image, path));
	ckpt_image_done(&image);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
	unlink(path);
}

static void finds_another_name(void **state)
{
	(void)state;
	is_found(hold_beside, beside, false);
	is_found(map_beside, beside, false);
	is_found(hold_far, far, true);
	is_found(hold_beside, beside, true);
}

static void is_refused(void (*body)(void), const char *says)
{
	const struct proc_group_refusal one = { body, says };

	proc_group_refusals(&one, 1);
	unlink(beside);
	unlink(far);
}

static void refuses_what_has_none(void **state)
{
	(void)state;
	is_refused(hold_far, "other hard links lead to the file, none of them in that directory");
	is_refused(hold_given_name, "made without a name and has been given one");
	/* to look would be an event */
	is_refused(watch_directory, "other hard links");
}

static int make_directories(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(made, sizeof(made), "%s/made", dir);
	snprintf(beside, sizeof(beside), "%s/beside", dir);
	snprintf(far, sizeof(far), "%s/far", dir);
	if (mkdir(far, 0700))
		return -1;
	snprintf(far, sizeof(far), "%s/far/name", dir);
	return 0;
}

static int remove_directories(void **state)
{
	(void)state;
	*strrchr(far, '/') = 0;
	return rmdir(far) || rmdir(dir) ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_another_name),
		cmocka_unit_test(refuses_what_has_none),
	};

	return cmocka_run_group_tests(tests, make_directories, remove_directories);
}
