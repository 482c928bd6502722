// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stop and kill: a tree that checks itself is stopped, read and released
 *
 * Runs natively as root, in a cgroup of its own below the v2 mount.  The tool
 * of these tests is a child that makes the calls; it is killed at every fault
 * point, and at random instants.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_tree.h"
#include "proc/procfs.h"
#include "proc/stop.h"

static char cgroup[256], dir[64], report_path[80], reached_path[80];
static struct proc_tree_report *report;
static pid_t root;
static bool spawning;

static void put(const char *name, const char *text)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", cgroup, name);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void get(const char *path, char *ret, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, size - 1);

	ret[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}

/* The mount point of cgroup v2. */
static int find_cgroup2(char *ret, size_t size)
{
	FILE *f = fopen("/proc/self/mounts", "re");
	char line[512], where[200], type[64];
	int found = -1;

	while (f && found < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %199s %63s", where, type) == 2 && !strcmp(type, "cgroup2")) {
			snprintf(ret, size, "%s", where);
			found = 0;
		}
	}
	if (f)
		fclose(f);
	return found;
}

static int start(bool spawn)
{
	spawning = spawn;
	root = proc_tree_start(report_path, cgroup, spawn, &report);
	if (root <= 0)
		return -1;
	for (int i = 0; i < 1000 && !report->rounds[TREE_WRITE]; i++)
		usleep(10000);
	return proc_tree_go_on(report, spawn, 3);
}

static int stop_tree(void)
{
	for (int i = 0; i < 500; i++) {
		char path[300], procs[4096];

		put("cgroup.kill", "1");
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
		get(path, procs, sizeof(procs));
		if (!procs[0])
			break;
		usleep(10000);
	}
	semctl(report->sem, 0, IPC_RMID);
	munmap(report, sizeof(*report));
	return 0;
}

static int setup(void **state)
{
	char mount[200];

	(void)state;
	if (geteuid() || find_cgroup2(mount, sizeof(mount)))
		return -1;
	snprintf(cgroup, sizeof(cgroup), "%s/ckpt-test-%d", mount, getpid());
	snprintf(dir, sizeof(dir), "/tmp/ckpt-test-%d", getpid());
	snprintf(report_path, sizeof(report_path), "%s/report", dir);
	snprintf(reached_path, sizeof(reached_path), "%s/reached", dir);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (mkdir(cgroup, 0755) || mkdir(dir, 0700))
		return -1;
	return start(false);
}

static int teardown(void **state)
{
	(void)state;
	stop_tree();
	unlink(report_path);
	unlink(reached_path);
	rmdir(dir);
	/* who was killed may be on its way out yet */
	for (int i = 0; i < 500 && rmdir(cgroup); i++)
		usleep(10000);
	return access(cgroup, F_OK) ? 0 : -1;
}

/* One stop as ckpt-tool makes it. */
static int cycle(const struct ckpt_stop_params *params, struct ckpt_image *ret, uint64_t *ret_ns,
		 struct ckpt_err *err)
{
	cleanup_stop struct ckpt_stop *stop = NULL;
	struct ckpt_image image;

	if (ckpt_stop_open(params, &stop, err) || ckpt_stop_begin(stop, err) ||
	    ckpt_stop_collect(stop, &image, err))
		return -1;
	if (ckpt_stop_release(stop, ret_ns, err)) {
		ckpt_image_done(&image);
		return -1;
	}
	if (ret)
		*ret = image;
	else
		ckpt_image_done(&image);
	return 0;
}

static void with_each_pid(void (*fn)(int pid))
{
	char path[300], procs[4096], *at, *end;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	get(path, procs, sizeof(procs));
	assert_true(procs[0]);
	for (at = procs; *at; at = *end ? end + 1 : end) {
		int pid = strtol(at, &end, 10);

		if (end == at)
			break;
		fn(pid);
	}
}

static void untraced(int pid)
{
	char path[64], status[4096];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	for (int i = 0; i < 500; i++) {
		get(path, status, sizeof(status));
		at = strstr(status, "TracerPid:\t");
		if (!at || at[11] == '0')
			return;
		usleep(10000);
	}
	fail_msg("pid %d is still traced", pid);
}

static void no_page(int pid)
{
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, " rwxp "))
			fail_msg("pid %d has a leftover area %s", pid, line);
	}
	if (f)
		fclose(f);
}

/* Thawed, untraced, all members at work, the stopped child still stopped. */
static void undisturbed(bool pages)
{
	char path[300], text[4096];

	snprintf(path, sizeof(path), "%s/cgroup.events", cgroup);
	get(path, text, sizeof(text));
	assert_non_null(strstr(text, "frozen 0"));
	with_each_pid(untraced);
	if (proc_tree_go_on(report, spawning, 1)) {
		char which[256] = "";

		for (int i = 0; i < TREE_MEMBERS; i++)
			snprintf(which + strlen(which), sizeof(which) - strlen(which), " %llu",
				 (unsigned long long)report->rounds[i]);
		fail_msg("a member does not go on:%s", which);
	}
	if (report->wrong[0])
		fail_msg("the tree complains: %s", report->wrong);
	if (pages) {
		with_each_pid(no_page);
		assert_int_equal(report->eintr, 0);
	}
	/* let go by whoever traced it, it stops anew */
	snprintf(path, sizeof(path), "/proc/%d/stat", report->stopped);
	for (int tries = 0; tries < 1000; tries++) {
		get(path, text, sizeof(text));
		if (strstr(text, ") T "))
			return;
		usleep(1000);
	}
	fail_msg("the stopped one runs: %s", text);
}

static const struct ckpt_task *find(const struct ckpt_image *image, pid_t host)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].host_pid == host)
			return &image->tasks[i];
	}
	fail_msg("pid %d is not in the image", host);
	return NULL;
}

static void image_of_the_tree(void **state)
{
	struct ckpt_stop_params params = { .cgroup = cgroup };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;
	const struct ckpt_file *exe;
	const struct ckpt_task *t;
	uint64_t ns = 0;
	struct stat st;

	(void)state;
	if (cycle(&params, &image, &ns, &err))
		fail_msg("%s", err.text);
	/* what a file was in the stop is known to who looks at it later */
	exe = &image.files[image.mms[0].exe];
	assert_int_equal(stat(exe->path, &st), 0);
	assert_true(exe->ctime_ns == st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec);
	assert_true(ns > 0);
	assert_int_equal(image.n_tasks, 4);
	assert_false(image.private_pidns);
	t = &image.tasks[0];
	assert_int_equal(t->pid, root);
	assert_int_equal(t->ppid, 0);
	assert_int_equal(t->sid, root);
	assert_int_equal(t->n_threads, 10);
	assert_string_equal(t->threads[0].comm, "exe");
	for (size_t i = 0; i < t->n_threads; i++) {
		const struct ckpt_thread *h = &t->threads[i];

		/* ready to run on: no error of the kernel is left in rax */
		/* a call that goes on is left to the kernel; its restart block is gone */
		assert_true((int64_t)h->regs.rax != -516);
		assert_int_not_equal(h->regs.orig_rax, SYS_restart_syscall);
		assert_int_equal(h->clear_tid != 0, 1);
		assert_int_equal(h->robust_len, 24);
		assert_int_equal(h->timerslack_ns, 50000);
		assert_true(h->creds.cap_eff != 0);
	}
	assert_true(t->threads[0].sigmask & (1ull << (SIGUSR2 - 1)));
	assert_true(t->actions[SIGALRM - 1].handler != 0);
	assert_true(t->actions[SIGALRM - 1].restorer != 0);
	assert_int_equal(image.n_pipes, 1);
	assert_true(image.pipes[0].len < 8);
	t = find(&image, report->stopped);
	assert_int_equal(t->state, CKPT_TASK_STOPPED);
	assert_int_equal(t->stop_signal, SIGSTOP);
	assert_int_equal(t->ppid, root);
	t = find(&image, report->zombie);
	assert_int_equal(t->state, CKPT_TASK_ZOMBIE);
	assert_int_equal(t->exit_code, 7 << 8);
	assert_int_equal(image.n_mms, 3);
	assert_true(image.mms[0].skip_end > image.mms[0].skip_start);
	for (size_t i = 0; i < image.mms[0].n_areas; i++)
		assert_true(image.mms[0].areas[i].start != image.mms[0].skip_start);
	assert_true(image.mms[0].layout[5] >= image.mms[0].layout[4]);
	ckpt_image_done(&image);
	undisturbed(true);
}

static void cycles(const struct ckpt_stop_params *params, int count)
{
	uint64_t best = UINT64_MAX;
	int tries = count / 2;

	for (int i = 0; i < count; i++) {
		struct ckpt_err err = CKPT_ERR_INIT;
		uint64_t ns;

		if (cycle(params, NULL, &ns, &err)) {
			/* a busy machine does not stop the tree in time */
			if (!strstr(err.text, " in 500 ms") || !tries--)
				fail_msg("cycle %d: %s", i, err.text);
			i--;
			continue;
		}
		best = ns < best ? ns : best;
		if (report->wrong[0])
			fail_msg("cycle %d: the tree complains: %s", i, report->wrong);
	}
	print_message("shortest freeze of %d: %llu us\n", count,
		      (unsigned long long)best / 1000);
	undisturbed(true);
}

static void cycles_do_not_show(void **state)
{
	struct ckpt_stop_params params = { .cgroup = cgroup };

	(void)state;
	cycles(&params, 200);
}

static void cycles_by_pid_do_not_show(void **state)
{
	struct ckpt_stop_params params = { .pid = root };

	(void)state;
	cycles(&params, 50);
}

/*
 * Start a tool with a fault armed; it makes cycles until it is killed or done.
 * A busy machine may fail to stop the tree in time: then it @tries again.
 */
static pid_t tool(const char *fault, int count, int tries)
{
	struct ckpt_stop_params params = { .cgroup = cgroup };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	setenv("CKPT_FAULT_REACHED", reached_path, 1);
	if (fault)
		setenv("CKPT_FAULT", fault, 1);
	for (int i = 0; i < count; i++) {
		struct ckpt_err err = CKPT_ERR_INIT;

		if (!cycle(&params, NULL, NULL, &err))
			continue;
		if (!tries--)
			_exit(1);
		print_message("tool: %s\n", err.text);
		i--;
	}
	_exit(0);
}

/* Every child but the root is to end: the tool, and its keeper, which we inherit. */
static int reap(pid_t of_tool)
{
	int status = -1, s;

	for (int i = 0; i < 1500; i++) {
		pid_t pid = waitpid(-1, &s, WNOHANG);

		if (pid == of_tool)
			status = s;
		assert_int_not_equal(pid, root);
		if (!pid) {
			char path[64], children[64];

			snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
			get(path, children, sizeof(children));
			if (strtol(children, NULL, 10) == root && !strchr(children, ' ')[1])
				return status;
			usleep(10000);
		}
	}
	fail_msg("a keeper is left behind");
	return -1;
}

static const char *const tool_points[] = {
	"stop.forked", "stop.opened", "stop.beginning", "stop.begun", "stop.collecting",
	"stop.collected", "stop.ending", "stop.releasing", "stop.released",
};

static void killed_at_every_point(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(tool_points) / sizeof(tool_points[0]); i++) {
		char reached[64];
		int status;

		unlink(reached_path);
		status = reap(tool(tool_points[i], 1, 3));
		get(reached_path, reached, sizeof(reached));
		if (strncmp(reached, tool_points[i], strlen(tool_points[i])))
			fail_msg("%s was not reached", tool_points[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		undisturbed(true);
	}
}

/*
 * Each entry: a point in the keeper and which time it is passed.  The keeper
 * dies; the tool must see it and fail, and the tree goes on.  What is then
 * not as if nothing had been: a page that is mapped at that instant stays, and
 * calls that the kernel does not restart end with EINTR.
 */
static const char *const keeper_points[] = {
	"keeper.freezing", "keeper.frozen", "keeper.seized", "keeper.stopped", "keeper.thawed",
	"keeper.registers", "keeper.looked", "keeper.mapped", "keeper.written", "keeper.started",
	"keeper.started:3", "keeper.started:9", "keeper.asked", "keeper.answered",
	"keeper.answered:5", "keeper.unmapped", "keeper.read", "keeper.answering",
	"keeper.detaching", "keeper.detaching:4",
};

static void keeper_killed_at_every_point(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(keeper_points) / sizeof(keeper_points[0]); i++) {
		char reached[64];
		int status;

		unlink(reached_path);
		status = reap(tool(keeper_points[i], 1, 0));
		get(reached_path, reached, sizeof(reached));
		if (strncmp(reached, keeper_points[i], strcspn(keeper_points[i], ":")))
			fail_msg("%s was not reached", keeper_points[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		undisturbed(false);
	}
	report->eintr = 0;
}

static void killed_at_any_instant(void **state)
{
	const char *given = getenv("CKPT_SEED");
	unsigned int seed = given ? strtoul(given, NULL, 0) : (unsigned long)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < 200; i++) {
		pid_t pid = tool(NULL, 100, 3);

		usleep(rand_r(&seed) % 30000);
		kill(pid, SIGKILL);
		reap(pid);
		if (report->wrong[0])
			fail_msg("kill %d: the tree complains: %s", i, report->wrong);
		if (i % 10 == 9)
			undisturbed(true);
	}
}

/* A process that spawns by vfork a few hundred times a second. */
static void vforks_are_waited_out(void **state)
{
	struct ckpt_stop_params params = { .cgroup = cgroup };

	(void)state;
	stop_tree();
	assert_int_equal(start(true), 0);
	cycles(&params, 60);
	params = (struct ckpt_stop_params){ .pid = root };
	cycles(&params, 30);
	stop_tree();
	assert_int_equal(start(false), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_of_the_tree),
		cmocka_unit_test(cycles_do_not_show),
		cmocka_unit_test(cycles_by_pid_do_not_show),
		cmocka_unit_test(killed_at_every_point),
		cmocka_unit_test(killed_at_any_instant),
		cmocka_unit_test(vforks_are_waited_out),
		cmocka_unit_test(keeper_killed_at_every_point),
	};

	proc_tree_maybe_main(argc, argv);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
