// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP connections to the outside over a stop and a restore: they go on where that loses nothing,
 * else they are reset; never is a byte wrong.  Natively as root.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "proc/tcp-outside.h"

#define STREAM "tcp_stream"
#define ROUNDS 16
#define FDS 64

/* The other end: a process, its directory, its port; its socket while it is cut off, or -1. */
static struct server {
	pid_t pid;
	char dir[40], port[16];
	int cut;
	bool stays_cut;
} server = { .cut = -1 };

static void path_in(const char *dir, const char *name, char ret[128])
{
	snprintf(ret, 128, "%s/%s", dir, name);
}

static void touch(const char *dir, const char *name)
{
	char path[128];

	path_in(dir, name, path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void forget(const char *dir, const char *name)
{
	char path[128];

	path_in(dir, name, path);
	unlink(path);
}

static void read_file(const char *dir, const char *name, char *ret, size_t size)
{
	char path[128];
	ssize_t n = 0;
	int fd;

	path_in(dir, name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, ret, size - 1);
		close(fd);
	}
	ret[n < 0 ? 0 : n] = 0;
}

static bool said(const char *dir, const char *word)
{
	static char text[65536];

	read_file(dir, "said", text, sizeof(text));
	return strstr(text, word);
}

static pid_t start_in(const char *dir, const char *argument)
{
	cleanup_free char *program = cycle_program(STREAM);
	pid_t pid = fork();
	int out;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	out = chdir(dir) ? -1 : open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(1);
	close_range(3, ~0u, 0);
	execl(program, program, argument, NULL);
	_exit(1);
}

static int start_server(void **state)
{
	(void)state;
	strcpy(server.dir, "/tmp/ckpt-tcp-outside-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	server.pid = start_in(server.dir, "port");
	for (int i = 0; i < 2000 && !strchr(server.port, '\n'); i++) {
		usleep(5000);
		read_file(server.dir, "port", server.port, sizeof(server.port));
	}
	server.port[strcspn(server.port, "\n")] = 0;
	assert_true(server.port[0]);
	return 0;
}

static int end_server(void **state)
{
	char command[128];

	(void)state;
	ckpt_cleanup_close(&server.cut);
	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", server.dir);
	memset(server.port, 0, sizeof(server.port));
	server.stays_cut = cycle_tcp_repair = false;
	cycle_instead_of_kill = NULL;
	return system(command);
}

/* Our own descriptor of the one connected socket of a process, or -1. */
static int connection_of(pid_t pid)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, pid, 0);
	union ckpt_tcp_address a;

	for (int fd = 0; fd < FDS && pidfd >= 0; fd++) {
		cleanup_close int own = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
		socklen_t len = sizeof(a);

		if (own >= 0 && !getpeername(own, &a.any, &len) && a.any.sa_family == AF_INET)
			return take_fd(own);
	}
	return -1;
}

/* What comes for the server from now on is lost on its way. */
static void cut_off(void)
{
	server.cut = connection_of(server.pid);
	assert_true(server.cut >= 0);
	assert_int_equal(ckpt_tcp_deafen(server.cut, true), 0);
}

static void kill_all(void)
{
	cleanup_free int32_t *pids = NULL;
	size_t n;

	assert_int_equal(ckpt_cgroup_pids(cycle_cgroup, &pids, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	cycle_wait_empty();
}

/* The tree ends at once and says nothing of it, as if its machine had. */
static void power_cut(void)
{
	cleanup_free int32_t *pids = NULL;
	int socks[8], on = TCP_REPAIR_ON;
	size_t n;

	cut_off();
	assert_int_equal(ckpt_cgroup_pids(cycle_cgroup, &pids, &n, NULL), 0);
	assert_true(n <= 8);
	for (size_t i = 0; i < n; i++) {
		socks[i] = connection_of(pids[i]);
		setsockopt(socks[i], IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on));
	}
	kill_all();
	for (size_t i = 0; i < n; i++)
		close(socks[i]);
}

static bool line_is(const char *line, const char *from, const char *to)
{
	unsigned int place[4], state;

	return sscanf(line, " %*d: %x:%x %x:%x %x", &place[0], &place[1], &place[2], &place[3],
		      &state) == 5 &&
	       place[1] == strtoul(from, NULL, 10) && place[3] == strtoul(to, NULL, 10) &&
	       state == TCP_ESTABLISHED;
}

/* Is there a connection from that port to the server? */
static bool is_connected(const char *from)
{
	FILE *f = fopen("/proc/self/net/tcp", "re");
	bool found = false;
	char line[256];

	while (f && !found && fgets(line, sizeof(line), f))
		found = line_is(line, from, server.port);
	if (f)
		fclose(f);
	return found;
}

/* A process that lets the server hear again once the connection is there anew. */
static pid_t hear_again_later(void)
{
	union ckpt_tcp_address a;
	socklen_t len = sizeof(a);
	char from[16];
	pid_t pid;

	assert_int_equal(getpeername(server.cut, &a.any, &len), 0);
	snprintf(from, sizeof(from), "%u", ntohs(a.v4.sin_port));
	pid = fork();
	if (pid)
		return pid;
	for (int i = 0; i < 4000 && !is_connected(from); i++)
		usleep(1000);
	ckpt_tcp_deafen(server.cut, false);
	_exit(0);
}

static void restore(struct saved *s, struct ckpt_restore **ret, struct ckpt_restore_result *result)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	pid_t pid = server.cut >= 0 && !server.stays_cut ? hear_again_later() : 0;

	cycle_restore(s, ret, result);
	if (pid) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		ckpt_tcp_deafen(server.cut, false);
	}
	/* what an end that hears nothing finds out in the end */
	if (server.cut >= 0 && result->tcp_reset)
		(void)connect(server.cut, &nowhere, sizeof(nowhere));
	ckpt_cleanup_close(&server.cut);
}

static void never_wrong(void)
{
	if (strstr(cycle_read_output(), "WRONG") || said(server.dir, "WRONG"))
		fail_msg("a byte was wrong: %s", cycle_read_output());
}

static bool was_reset(void)
{
	return strstr(cycle_read_output(), "reset");
}

/* It ends its call, with all that both have said. */
static void finish(struct ckpt_restore *r)
{
	touch(cycle_dir, "go");
	cycle_finish(r, 0);
	forget(cycle_dir, "go");
	never_wrong();
	assert_non_null(strstr(cycle_read_output(), "all well"));
}

static void save_caller(struct saved *s)
{
	cycle_save_program(STREAM, server.port, true, s);
}

static void seed(void)
{
	const char *given = getenv("CKPT_SEED");
	unsigned int value = given ? strtoul(given, NULL, 0) : 23;

	print_message("# CKPT_SEED=%u\n", value);
	srandom(value);
}

/* Built, and not run: nothing of it may reach the other end. */
static void abandon(struct saved *s)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
		.tcp_repair = true, .stdio = { -1, -1, -1 },
	};
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	params.stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	params.stdio[1] = params.stdio[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	cycle_check(ckpt_restore_build(&params, &r, &err) || ckpt_restore_verify(r, &err), &err);
	cycle_close_stdio(params.stdio);
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
}

static void go_on(void)
{
	forget(cycle_dir, "pause");
	forget(server.dir, "pause");
}

/* Bring both ends to rest, with bytes that are not read in either direction. */
static pid_t rest_later(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (int i = 0; i < 4000 && !strstr(cycle_read_output(), "ready"); i++)
		usleep(5000);
	usleep(random() % 80000);
	touch(cycle_dir, "pause");
	touch(server.dir, "pause");
	_exit(0);
}

static void save_resting(struct saved *s)
{
	cleanup_free char *program = cycle_program(STREAM);
	char *argv[] = { program, server.port, NULL };
	pid_t pid;

	forget(cycle_dir, "output");
	pid = rest_later();
	cycle_start_and_save(argv, true, "rests", s);
	waitpid(pid, NULL, 0);
}

/* Bytes that wait, an end that is stopped, a restore that fails, and another one: it goes on. */
static void test_goes_on(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	(void)state;
	cycle_tcp_repair = true;
	save_resting(&s);
	assert_int_equal(s.image.n_tcps, 1);
	assert_true(s.image.tcps[0].flags & CKPT_TCP_F_KNOWN);
	abandon(&s);
	restore(&s, &r, &result);
	assert_int_equal(result.tcp_repaired, 1);
	assert_int_equal(result.tcp_reset, 0);
	go_on();
	usleep(200000);
	assert_false(was_reset());
	finish(r);
	assert_false(was_reset() || said(server.dir, "reset"));
}

static void reset_and_well(struct saved *s, const char *why)
{
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	restore(s, &r, &result);
	assert_int_equal(result.tcp_repaired, 0);
	assert_int_equal(result.tcp_reset, 1);
	if (!strstr(result.tcp_why, why))
		fail_msg("%s", result.tcp_why);
	go_on();
	cycle_wait_output("reset");
	finish(r);
}

/* Without being asked for it is reset, also where it could go on. */
static void test_default(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_tcp_repair = true;
	save_resting(&s);
	cycle_tcp_repair = false;
	reset_and_well(&s, "--tcp reset");
}

static void kill_loudly(struct ckpt_stop *stop)
{
	(void)stop;
	kill_all();
}

/* The other end was told of the kill, by a reset or an end: it is reset at once. */
static void test_killed(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	time_t began;

	(void)state;
	cycle_tcp_repair = true;
	cycle_instead_of_kill = kill_loudly;
	save_resting(&s);
	began = time(NULL);
	reset_and_well(&s, "");
	assert_true(time(NULL) - began < 3);
}

/* What comes between stop and kill is acknowledged, and lost: the other end is told. */
static void come_between(struct ckpt_stop *stop)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint32_t left, reset;
	int fd = connection_of(server.pid);

	assert_int_equal(send(fd, "", 1, 0), 1);
	close(fd);
	usleep(10000);
	cycle_check(ckpt_stop_kill(stop, NULL, &err), &err);
	ckpt_stop_tcps(stop, &left, &reset);
	assert_int_equal(left, 0);
	assert_int_equal(reset, 1);
}

static void test_comes_between(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_tcp_repair = true;
	cycle_instead_of_kill = come_between;
	save_resting(&s);
	forget(server.dir, "pause");
	for (int i = 0; i < 400 && !said(server.dir, "reset"); i++)
		usleep(5000);
	assert_true(said(server.dir, "reset"));
	reset_and_well(&s, "knows it no more");
}

static void leave_and_cut(struct ckpt_stop *stop)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	cycle_check(ckpt_stop_kill(stop, NULL, &err), &err);
	cut_off();
}

/* Nobody answers: that is waited for, but not for long, and not repaired. */
static void test_silent(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_tcp_repair = true;
	cycle_instead_of_kill = leave_and_cut;
	save_resting(&s);
	server.stays_cut = true;
	reset_and_well(&s, "does not answer");
}

/* It runs on, one end says a byte, which the kernel of the other acknowledges; the power goes. */
static void says_more(struct ckpt_stop *stop, pid_t pid)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int fd = connection_of(pid);

	cycle_check(ckpt_stop_release(stop, NULL, &err), &err);
	assert_int_equal(send(fd, "", 1, 0), 1);
	close(fd);
	/* an acknowledgement may be late */
	usleep(300000);
	power_cut();
}

static void writes_more(struct ckpt_stop *stop)
{
	cleanup_free int32_t *pids = NULL;
	size_t n;

	assert_int_equal(ckpt_cgroup_pids(cycle_cgroup, &pids, &n, NULL), 0);
	assert_int_equal(n, 1);
	says_more(stop, pids[0]);
}

static void is_told_more(struct ckpt_stop *stop)
{
	says_more(stop, server.pid);
}

/* The other end has bytes that would be others now: it would drop these, unnoticed. */
static void test_wrote_since(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_instead_of_kill = writes_more;
	save_resting(&s);
	cycle_tcp_repair = true;
	reset_and_well(&s, "has got something since");
}

/* What was acknowledged is lost, and would be waited for without an end. */
static void test_was_told_since(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_instead_of_kill = is_told_more;
	save_resting(&s);
	cycle_tcp_repair = true;
	reset_and_well(&s, "has sent something since");
}

static int run_us;

/* The power goes while it runs on, after the checkpoint or with it. */
static void run_on_and_cut(struct ckpt_stop *stop)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	if (run_us) {
		cycle_check(ckpt_stop_release(stop, NULL, &err), &err);
		usleep(run_us);
	}
	power_cut();
}

/*
 * At whatever instant: bytes of chance, which are others in the life after, and a hash over all of
 * them.  Some go on and some are reset, and none is wrong.
 */
static void test_random(void **state)
{
	struct saved kept[ROUNDS + 1] = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	size_t repaired = 0, reset = 0;

	(void)state;
	seed();
	cycle_instead_of_kill = run_on_and_cut;
	save_caller(&kept[0]);
	for (int i = 0; i < ROUNDS; i++) {
		cycle_tcp_repair = true;
		restore(&kept[i], &r, &result);
		repaired += result.tcp_repaired;
		reset += result.tcp_reset;
		usleep(random() % 60000);
		never_wrong();
		cycle_tcp_repair = false;
		run_us = random() % 2 ? 0 : random() % 20000;
		cycle_save_again(r, &kept[i + 1]);
	}
	cycle_tcp_repair = true;
	restore(&kept[ROUNDS], &r, &result);
	finish(r);
	print_message("# %zu went on, %zu were reset\n", repaired, reset);
	assert_true(repaired && reset);
	for (int i = 0; i <= ROUNDS; i++)
		cycle_saved_done(&kept[i]);
}

/* Whoever is killed while a socket is in repair mode, the other one takes it out. */
static void test_repair_killed(void **state)
{
	static const char *const points[] = { "keeper.repair", "keeper.repairing" };
	char text[256];
	pid_t pid;

	(void)state;
	forget(cycle_dir, "said");
	pid = start_in(cycle_dir, server.port);
	for (int i = 0; i < 2000 && !said(cycle_dir, "ready"); i++)
		usleep(5000);
	touch(cycle_dir, "pause");
	touch(server.dir, "pause");
	for (int i = 0; i < 2000 && !said(cycle_dir, "rests"); i++)
		usleep(5000);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		const struct ckpt_stop_params params = { .pid = pid };
		struct ckpt_err err = CKPT_ERR_INIT;
		char reached[128];

		path_in(cycle_dir, "reached", reached);
		setenv("CKPT_FAULT_REACHED", reached, 1);
		setenv("CKPT_FAULT", points[i], 1);
		assert_int_equal(proc_group_cycle(&params, NULL, &err), -1);
		unsetenv("CKPT_FAULT");
		unsetenv("CKPT_FAULT_REACHED");
		assert_non_null(strstr(err.text, "try again"));
		usleep(50000);
		read_file(cycle_dir, "reached", text, sizeof(text));
		assert_non_null(strstr(text, points[i]));
		unlink(reached);
	}
	go_on();
	touch(cycle_dir, "go");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	forget(cycle_dir, "go");
	assert_true(said(cycle_dir, "all well"));
	assert_false(said(cycle_dir, "reset"));
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, start_server, end_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_goes_on),
		SERVED(test_default),
		SERVED(test_killed),
		SERVED(test_comes_between),
		SERVED(test_silent),
		SERVED(test_wrote_since),
		SERVED(test_was_told_since),
		SERVED(test_random),
		SERVED(test_repair_killed),
	};

	return cmocka_run_group_tests_name("proc tcp outside", tests, cycle_setup, cycle_teardown);
}
