// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP connections to the outside over a stop and a restore: they go on where that loses nothing,
 * else they are reset; never is a byte wrong.  Natively as root.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/aside.h"
#include "lib/far_end.h"
#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "lib/stream.h"

#define ROUNDS 16

static void save_caller(struct saved *s)
{
	cycle_save_program(STREAM_PROGRAM, far_end.port, true, s);
}

/* Built, and not run: nothing of it may reach the other end. */
static void abandon(struct saved *s, bool repair)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
		.tcp_repair = repair, .stdio = { -1, -1, -1 },
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

/* Bytes that wait, an end that is stopped, a restore that fails, and another one: it goes on. */
static void test_goes_on(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	(void)state;
	cycle_tcp_repair = true;
	stream_save_resting(&s);
	assert_int_equal(s.image.n_tcps, 1);
	assert_true(s.image.tcps[0].flags & CKPT_TCP_F_KNOWN);
	abandon(&s, true);
	abandon(&s, false);
	far_end_restore(&s, &r, &result);
	assert_int_equal(result.tcp_repaired, 1);
	assert_int_equal(result.tcp_reset, 0);
	stream_go_on();
	usleep(200000);
	assert_false(stream_was_reset());
	stream_finish(r);
	assert_false(stream_was_reset() || aside_said(far_end.dir, "reset"));
}

/* Without being asked for it is reset, also where it could go on. */
static void test_default(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_tcp_repair = true;
	stream_save_resting(&s);
	cycle_tcp_repair = false;
	stream_reset_and_well(&s, "--tcp reset");
}

static void kill_loudly(struct ckpt_stop *stop)
{
	(void)stop;
	far_end_kill_tree();
}

/* The other end was told of the kill, by a reset or an end: it is reset at once. */
static void test_killed(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	time_t began;

	(void)state;
	cycle_tcp_repair = true;
	cycle_instead_of_kill = kill_loudly;
	stream_save_resting(&s);
	began = time(NULL);
	stream_reset_and_well(&s, "");
	assert_true(time(NULL) - began < 3);
}

/* What comes between stop and kill is acknowledged, and lost: the other end is told. */
static void come_between(struct ckpt_stop *stop)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint32_t left, reset;
	int fd = far_end_connection(far_end.pid);

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
	stream_save_resting(&s);
	aside_forget(far_end.dir, "pause");
	aside_wait(far_end.dir, "said", "reset");
	stream_reset_and_well(&s, "knows it no more");
}

static void leave_and_cut(struct ckpt_stop *stop)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	cycle_check(ckpt_stop_kill(stop, NULL, &err), &err);
	far_end_cut();
}

/* Nobody answers: that is waited for, but not for long, and not repaired. */
static void test_silent(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_tcp_repair = true;
	cycle_instead_of_kill = leave_and_cut;
	stream_save_resting(&s);
	far_end.stays_cut = true;
	stream_reset_and_well(&s, "does not answer");
}

/* It runs on, one end says a byte, which the kernel of the other acknowledges; the power goes. */
static void says_more(struct ckpt_stop *stop, pid_t pid)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int fd = far_end_connection(pid);

	cycle_check(ckpt_stop_release(stop, NULL, &err), &err);
	assert_int_equal(send(fd, "", 1, 0), 1);
	close(fd);
	/* an acknowledgement may be late */
	usleep(300000);
	far_end_power_cut();
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
	says_more(stop, far_end.pid);
}

/* The other end has bytes that would be others now: it would drop these, unnoticed. */
static void test_wrote_since(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_instead_of_kill = writes_more;
	stream_save_resting(&s);
	cycle_tcp_repair = true;
	stream_reset_and_well(&s, "has got something since");
}

/* What was acknowledged is lost, and would be waited for without an end. */
static void test_was_told_since(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_instead_of_kill = is_told_more;
	stream_save_resting(&s);
	cycle_tcp_repair = true;
	stream_reset_and_well(&s, "has sent something since");
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
	far_end_power_cut();
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
	cycle_seed(23);
	cycle_instead_of_kill = run_on_and_cut;
	save_caller(&kept[0]);
	for (int i = 0; i < ROUNDS; i++) {
		cycle_tcp_repair = true;
		far_end_restore(&kept[i], &r, &result);
		repaired += result.tcp_repaired;
		reset += result.tcp_reset;
		usleep(random() % 60000);
		stream_never_wrong();
		cycle_tcp_repair = false;
		run_us = random() % 2 ? 0 : random() % 20000;
		cycle_save_again(r, &kept[i + 1]);
	}
	cycle_tcp_repair = true;
	far_end_restore(&kept[ROUNDS], &r, &result);
	stream_finish(r);
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
	aside_forget(cycle_dir, "said");
	pid = aside_start(STREAM_PROGRAM, cycle_dir, far_end.port, NULL);
	aside_wait(cycle_dir, "said", "ready");
	aside_touch(cycle_dir, "pause");
	aside_touch(far_end.dir, "pause");
	aside_wait(cycle_dir, "said", "rests");
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		const struct ckpt_stop_params params = { .pid = pid };
		struct ckpt_err err = CKPT_ERR_INIT;
		char reached[128];

		aside_path(cycle_dir, "reached", reached);
		setenv("CKPT_FAULT_REACHED", reached, 1);
		setenv("CKPT_FAULT", points[i], 1);
		assert_int_equal(proc_group_cycle(&params, NULL, &err), -1);
		unsetenv("CKPT_FAULT");
		unsetenv("CKPT_FAULT_REACHED");
		assert_non_null(strstr(err.text, "try again"));
		usleep(50000);
		aside_read(cycle_dir, "reached", text, sizeof(text));
		assert_non_null(strstr(text, points[i]));
		unlink(reached);
	}
	stream_go_on();
	aside_touch(cycle_dir, "go");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	aside_forget(cycle_dir, "go");
	assert_true(aside_said(cycle_dir, "all well"));
	assert_false(aside_said(cycle_dir, "reset"));
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, far_end_start, far_end_stop)

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
