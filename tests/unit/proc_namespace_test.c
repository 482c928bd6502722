// SPDX-License-Identifier: GPL-2.0-or-later
/* Namespaces that a restore would not make again are refused. Natively as root. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "proc/init.h"

static char cgroup[256];

static void try_unshare(int flags)
{
	if (unshare(flags))
		proc_group_lacks(0);
}

static void own_user(void) { try_unshare(CLONE_NEWUSER); }
static void own_mounts(void) { try_unshare(CLONE_NEWNS); }
static void next_pid(void) { try_unshare(CLONE_NEWPID); }
static void next_time(void) { try_unshare(CLONE_NEWTIME); }

/* @done: it is there */
struct thread_in {
	int flag;
	volatile bool done;
};

static void *thread_in_another(void *arg)
{
	struct thread_in *in = arg;

	try_unshare(in->flag);
	in->done = true;
	for (;;)
		pause();
	return NULL;
}

static void a_thread_in(int flag)
{
	static struct thread_in in;
	pthread_t t;

	in.flag = flag;
	pthread_create(&t, NULL, thread_in_another, &in);
	while (!in.done)
		usleep(1000);
}

static void a_thread_in_net(void) { a_thread_in(CLONE_NEWNET); }
static void a_thread_in_uts(void) { a_thread_in(CLONE_NEWUTS); }
static void a_thread_in_ipc(void) { a_thread_in(CLONE_NEWIPC); }
static void a_thread_in_cgroup(void) { a_thread_in(CLONE_NEWCGROUP); }

/* A process in one of its own, and a child of it in another one. */
static void a_child_in(int flag)
{
	int made[2];
	char byte;

	try_unshare(flag);
	if (pipe2(made, O_CLOEXEC))
		_exit(1);
	if (!fork()) {
		close(3);	/* by which the parent says that it is ready */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(flag) || write(made[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	if (read(made[0], &byte, 1) != 1)
		_exit(1);
	close(made[0]);
	close(made[1]);
}

static void a_child_in_uts(void) { a_child_in(CLONE_NEWUTS); }
static void a_child_in_ipc(void) { a_child_in(CLONE_NEWIPC); }
static void a_child_in_net(void) { a_child_in(CLONE_NEWNET); }
static void a_child_in_cgroup(void) { a_child_in(CLONE_NEWCGROUP); }

/* Made by root of another user namespace, and entered by one of this. */
static void of_another_user(const char *name, int flag)
{
	int pair[2][2];
	char path[64], byte;
	pid_t maker;

	if (pipe2(pair[0], O_CLOEXEC) || pipe2(pair[1], O_CLOEXEC))
		_exit(1);
	maker = fork();
	if (!maker) {
		if (unshare(CLONE_NEWUSER | flag))
			_exit(1);
		close(pair[1][1]);
		_exit(write(pair[0][1], "", 1) != 1 || read(pair[1][0], &byte, 1) != 1);
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", maker, name);
	if (read(pair[0][0], &byte, 1) != 1)
		_exit(1);
	if (setns(open(path, O_RDONLY | O_CLOEXEC), flag))
		_exit(1);
	syscall(SYS_close_range, 4, ~0u, 0);
	waitpid(maker, NULL, 0);
}

static void uts_of_another_user(void) { of_another_user("uts", CLONE_NEWUTS); }
static void ipc_of_another_user(void) { of_another_user("ipc", CLONE_NEWIPC); }
static void net_of_another_user(void) { of_another_user("net", CLONE_NEWNET); }
static void cgroup_of_another_user(void) { of_another_user("cgroup", CLONE_NEWCGROUP); }

static void must(long made)
{
	if (made < 0)
		_exit(1);
}

static void ipc_with_queue(void)
{
	int fd;

	try_unshare(CLONE_NEWIPC);
	fd = mq_open("/ckpt-test", O_RDWR | O_CREAT, 0600, NULL);
	if (fd < 0)
		proc_group_lacks(ENOSYS);
	close(fd);
}

static void ipc_with_segment(void)
{
	try_unshare(CLONE_NEWIPC);
	must(shmget(0x1234, 5000, IPC_CREAT | 0600));
}

/* One that another namespace has, attached before this one was made. */
static void segment_of_another_ipc(void)
{
	int id;

	try_unshare(CLONE_NEWIPC);
	id = shmget(IPC_PRIVATE, 5000, 0600);
	must(id);
	if (shmat(id, NULL, 0) == (void *)-1)
		_exit(1);
	must(shmctl(id, IPC_RMID, NULL));
	try_unshare(CLONE_NEWIPC);
}

/* With an own one of the same id and size beside it, attached as well. */
static void segments_of_two_ipcs(void)
{
	segment_of_another_ipc();
	if (shmat(shmget(IPC_PRIVATE, 5000, 0600), NULL, 0) == (void *)-1)
		_exit(1);
}

static void refused_by_name(void **state)
{
	static const struct {
		void (*body)(void);
		const char *says;
	} cases[] = {
		{ a_thread_in_uts, "has a namespace of its own (uts)" },
		{ a_thread_in_ipc, "has a namespace of its own (ipc)" },
		{ a_child_in_uts, "has a namespace of its own (uts)" },
		{ a_child_in_ipc, "has a namespace of its own (ipc)" },
		{ a_child_in_net, "has a namespace of its own (net)" },
		{ a_child_in_cgroup, "has a namespace of its own (cgroup)" },
		{ a_thread_in_cgroup, "has a namespace of its own (cgroup)" },
		{ own_user, "has a namespace of its own (user)" },
		{ own_mounts, "has a namespace of its own (mnt)" },
		{ next_pid, "of its own (pid, for its children)" },
		{ next_time, "of its own (time, for its children)" },
		{ a_thread_in_net, "has a namespace of its own (net)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ckpt_stop_params params = { 0 };
		struct ckpt_err err = CKPT_ERR_INIT;
		struct ckpt_stop *stop = NULL;

		params.pid = proc_group_spawn(NULL, cases[i].body);
		if (params.pid < 0) {
			print_message("%s: this kernel has none\n", cases[i].says);
			continue;
		}
		/* before anything is stopped */
		assert_int_equal(ckpt_stop_open(&params, &stop, &err), -1);
		assert_int_equal(err.status, CKPT_REFUSED);
		if (!strstr(err.text, cases[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
		assert_true(proc_group_untraced(params.pid));
		kill(params.pid, SIGKILL);
		waitpid(params.pid, NULL, 0);
	}
}

/* Found in the stop. */
static void refused_in_the_stop(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ uts_of_another_user, "is in a namespace (uts) that belongs to another user" },
		{ ipc_of_another_user, "is in a namespace (ipc) that belongs to another user" },
		{ net_of_another_user, "is in a namespace (net) that belongs to another user" },
		{ cgroup_of_another_user, "is in a namespace (cgroup) that belongs to another" },
		{ ipc_with_queue, "with POSIX message queue /ckpt-test in it" },
		{ ipc_with_segment, "segment 0 (key 0x1234) in it that no process of it has" },
		{ segment_of_another_ipc, "segment 0, which is not in its ipc namespace" },
		{ segments_of_two_ipcs, "segment 0, which somebody outside the tree" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

/* Made where it was before it came into its cgroup. */
static void root_elsewhere(void)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	try_unshare(CLONE_NEWCGROUP);
	must(fd < 0 ? -1 : write(fd, "0", 1));
	close(fd);
}

static void another_root_is_refused(void **state)
{
	struct ckpt_stop_params params = { .cgroup = cgroup };
	pid_t pid;

	(void)state;
	assert_int_equal(proc_group_make("root", cgroup, sizeof(cgroup)), 0);
	pid = proc_group_spawn(NULL, root_elsewhere);
	assert_true(pid > 0);
	proc_group_refused(&params, "whose root is not the cgroup that it is in");
	assert_true(proc_group_untraced(pid));
	proc_group_end(cgroup);
}

/* Start a command as run does. */
static void start(struct ckpt_init *init, char *const argv[])
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct ckpt_init_params params = {
		.private_pidns = true, .clocks = true, .cgroup = cgroup,
		.stdio = { null, null, null }, .argv = argv,
		.envp = (char *[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL }, .cwd = "/",
	};
	struct ckpt_err err = CKPT_ERR_INIT;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	params.monotonic_ns = t.tv_sec * 1000000000ull + t.tv_nsec;
	clock_gettime(CLOCK_BOOTTIME, &t);
	params.boottime_ns = t.tv_sec * 1000000000ull + t.tv_nsec;
	assert_int_equal(proc_group_make("namespace", cgroup, sizeof(cgroup)), 0);
	if (ckpt_init_spawn(&params, init, &err))
		fail_msg("%s", err.text);
	close(null);
}

static void what_run_makes_is_accepted(void **state)
{
	char *argv[] = { "sleep", "100", NULL };
	struct ckpt_stop_params params = { .cgroup = cgroup };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;
	struct ckpt_init init;

	(void)state;
	start(&init, argv);
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("%s", err.text);
	assert_true(image.private_pidns);
	ckpt_image_done(&image);
	ckpt_init_kill(&init);
	proc_group_end(cgroup);
}

/* Does it come to have a tmpfs at /mnt? */
static bool has_mount(pid_t pid)
{
	char path[64], line[512];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/mounts", pid);
	for (int i = 0; i < 1000 && !found; i++) {
		FILE *f = fopen(path, "re");

		while (f && fgets(line, sizeof(line), f))
			found |= !strncmp(line, "none /mnt tmpfs ", 16);
		if (f)
			fclose(f);
		usleep(10000);
	}
	return found;
}

/* The same mount, with nothing of the tree on it, as one that the host has unmounted since. */
static void an_unused_mount_is_ignored(void **state)
{
	char *argv[] = { "sh", "-c", "mount -t tmpfs none /mnt; exec sleep 100", NULL };
	struct ckpt_stop_params params = { .cgroup = cgroup };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_init init;

	(void)state;
	start(&init, argv);
	assert_true(has_mount(init.root));
	if (proc_group_cycle(&params, NULL, &err))
		fail_msg("%s", err.text);
	ckpt_init_kill(&init);
	proc_group_end(cgroup);
}

/* In there, but with a mount that a restore would not make again. */
static void a_mount_inside_is_refused(void **state)
{
	char *argv[] = { "sh", "-c", "mount -t tmpfs none /mnt && cd /mnt && sleep 100; sleep 100",
			 NULL };
	struct ckpt_stop_params params = { .cgroup = cgroup };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_init init;

	(void)state;
	start(&init, argv);
	for (int i = 0; i < 100 && !err.status; i++) {
		usleep(20000);
		proc_group_cycle(&params, NULL, &err);
	}
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, "a mount at /mnt (tmpfs)"))
		fail_msg("\"%s\" does not name the mount", err.text);
	ckpt_init_kill(&init);
	proc_group_end(cgroup);
}

static void an_init_is_refused(void **state)
{
	char *argv[] = { "unshare", "-p", "--fork", "--kill-child", "sleep", "100", NULL };
	struct ckpt_stop_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	pid_t outer = fork(), inner = 0;
	char path[64];

	(void)state;
	if (!outer) {
		execvp(argv[0], argv);
		_exit(1);
	}
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", outer, outer);
	for (int i = 0; i < 200 && !inner; i++) {
		FILE *f = fopen(path, "re");

		usleep(10000);
		if (f && fscanf(f, "%d", &inner) != 1)
			inner = 0;
		if (f)
			fclose(f);
	}
	params.pid = inner;
	assert_int_equal(proc_group_cycle(&params, NULL, &err), -1);
	kill(outer, SIGKILL);
	waitpid(outer, NULL, 0);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "is the init of its pid namespace"));
}

static int clean(void **state)
{
	(void)state;
	if (cgroup[0])
		proc_group_end(cgroup);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_by_name),
		cmocka_unit_test(refused_in_the_stop),
		cmocka_unit_test_teardown(another_root_is_refused, clean),
		cmocka_unit_test_teardown(what_run_makes_is_accepted, clean),
		cmocka_unit_test_teardown(an_unused_mount_is_ignored, clean),
		cmocka_unit_test_teardown(a_mount_inside_is_refused, clean),
		cmocka_unit_test(an_init_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
