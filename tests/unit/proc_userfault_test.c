// SPDX-License-Identifier: GPL-2.0-or-later
/* A userfaultfd that a stopped process makes for us: it keeps nothing of it. As root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/proc_group.h"
#include "lib/watched.h"

static char group[256];

static int setup(void **state)
{
	(void)state;
	return proc_group_make("userfault", group, sizeof(group));
}

static int teardown(void **state)
{
	(void)state;
	proc_group_end(group);
	return 0;
}

static void nothing(void)
{
}

static void full_table(void)
{
	struct rlimit limit = { 3, 3 };

	setrlimit(RLIMIT_NOFILE, &limit);
}

/* As many lists of what a program does not need have it. */
static void killed_for_it(void)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 4, .filter = insns };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		_exit(1);
}

/* Without a handler of SIGURG or SIGWINCH to spare: the other way back. */
static void on_signal(int sig)
{
	(void)sig;
}

static void no_signal_to_spare(void)
{
	signal(SIGURG, on_signal);
	signal(SIGWINCH, on_signal);
}

/* One stop that wants a userfaultfd of @pid. Return: ours, or -errno of the process. */
static int get(pid_t pid)
{
	struct ckpt_stop_params params = { .pid = pid };
	struct ckpt_err err = CKPT_ERR_INIT;
	cleanup_stop struct ckpt_stop *stop = NULL;
	struct ckpt_image image;
	int32_t wanted = pid;
	int fd;

	if (ckpt_stop_open(&params, &stop, &err) || ckpt_stop_begin(stop, &err) ||
	    ckpt_stop_want(stop, &wanted, 1, &err) || ckpt_stop_collect(stop, &image, &err))
		fail_msg("%s", err.text);
	fd = image.mms[0].userfault;
	if (fd >= 0)
		fd = ckpt_stop_fetch(stop, fd, &err);
	if (ckpt_stop_release(stop, NULL, &err))
		fail_msg("%s", err.text);
	ckpt_image_done(&image);
	return fd;
}

/* It is one, and of the process: it knows the memory there. */
static void works(int fd, pid_t pid)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register r = { .mode = UFFDIO_REGISTER_MODE_WP };
	unsigned long long start, end;
	char path[64], line[256];
	bool found = false;
	FILE *f;

	assert_int_equal(ioctl(fd, UFFDIO_API, &api), 0);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, "[stack]") && sscanf(line, "%llx-%llx", &start, &end) == 2;
	fclose(f);
	assert_true(found);
	r.range.start = start;
	r.range.len = end - start;
	assert_int_equal(ioctl(fd, UFFDIO_REGISTER, &r), 0);
	assert_int_equal(watched_registered(pid), 1);
}

static void it_keeps_nothing(void **state)
{
	static void (*const bodies[])(void) = { nothing, no_signal_to_spare };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		pid_t pid = proc_group_spawn(group, bodies[i]);
		size_t before = watched_descriptors(pid);
		int fd;

		fd = get(pid);
		assert_true(fd >= 0);
		assert_int_equal(watched_descriptors(pid), before);
		assert_true(proc_group_untraced(pid));
		works(fd, pid);
		close(fd);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void it_has_no_room_for_it(void **state)
{
	pid_t pid = proc_group_spawn(group, full_table);

	(void)state;
	assert_int_equal(get(pid), -EMFILE);
	assert_true(proc_group_untraced(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void a_filter_forbids_it(void **state)
{
	pid_t pid = proc_group_spawn(group, killed_for_it);

	(void)state;
	assert_int_equal(get(pid), -EACCES);
	assert_true(proc_group_untraced(pid));
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A keeper that is killed while the process has it: the process closes it all the same. */
static void the_keeper_dies(void **state)
{
	static const char *const points[] = { "keeper.opened", "keeper.fetched" };

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		pid_t pid = proc_group_spawn(group, nothing);
		struct ckpt_stop_params params = { .pid = pid };
		struct ckpt_err err = CKPT_ERR_INIT;
		struct ckpt_stop *stop = NULL;
		size_t before = watched_descriptors(pid);
		struct ckpt_image image;
		int32_t wanted = pid;

		setenv("CKPT_FAULT", points[i], 1);
		assert_int_equal(ckpt_stop_open(&params, &stop, &err), 0);
		unsetenv("CKPT_FAULT");
		assert_int_equal(ckpt_stop_begin(stop, &err), 0);
		assert_int_equal(ckpt_stop_want(stop, &wanted, 1, &err), 0);
		assert_int_equal(ckpt_stop_collect(stop, &image, &err), -1);
		assert_non_null(strstr(err.text, "the keeper died"));
		ckpt_stop_close(stop);
		for (int tries = 0; tries < 1000 && watched_descriptors(pid) != before; tries++)
			usleep(1000);
		assert_int_equal(watched_descriptors(pid), before);
		assert_true(proc_group_untraced(pid));
		/* and can be read once more */
		close(get(pid));
		assert_int_equal(watched_descriptors(pid), before);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

/* Memory whose writes are told is the caller's affair when it says so, and is refused else. */
static void who_is_told(void **state)
{
	pid_t pid = proc_group_spawn(group, nothing);
	struct ckpt_stop_params params = { .pid = pid };
	struct ckpt_err err = CKPT_ERR_INIT;
	int fd = get(pid);

	(void)state;
	works(fd, pid);
	proc_group_refused(&params, "memory registered with userfaultfd");
	params.watched = true;
	if (proc_group_cycle(&params, NULL, &err))
		fail_msg("%s", err.text);
	close(fd);
	params.watched = false;
	if (proc_group_cycle(&params, NULL, &err))
		fail_msg("%s", err.text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_keeps_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(it_has_no_room_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_filter_forbids_it, setup, teardown),
		cmocka_unit_test_setup_teardown(the_keeper_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
