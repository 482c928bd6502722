// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP connections to the outside that go on although an option, the clock or a small window is in
 * the way, and one that does not because its other end is ahead.  Natively as root.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/aside.h"
#include "lib/far_end.h"
#include "lib/stream.h"
#include "proc/tcp-outside.h"

#define LIMIT 1000

static void set(int own, int level, int name, int value)
{
	assert_int_equal(setsockopt(own, level, name, &value, sizeof(value)), 0);
}

static int get(int own, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(own, level, name, &value, &len), 0);
	return value;
}

static void keep_alive(int own, int probes)
{
	set(own, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	set(own, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set(own, IPPROTO_TCP, TCP_KEEPCNT, probes);
	set(own, SOL_SOCKET, SO_KEEPALIVE, 1);
}

static void restore_all_well(struct saved *s, void (*look)(const struct saved *s, int own))
{
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	int own;

	far_end_restore(s, &r, &result);
	if (result.tcp_reset)
		fail_msg("it was reset: %s", result.tcp_why);
	assert_int_equal(result.tcp_repaired, 1);
	own = far_end_of_tree();
	assert_true(own >= 0);
	if (look)
		look(s, own);
	close(own);
	stream_go_on();
	usleep(200000);
	stream_finish(r);
	assert_false(stream_was_reset() || aside_said(far_end.dir, "reset"));
}

static void keep_tree_alive(void)
{
	int own = far_end_of_tree();

	keep_alive(own, 1);
	close(own);
}

/* Longer than its own timer, which asks, has patience. */
static void take_long(void)
{
	sleep(4);
}

static void keeps_alive(const struct saved *s, int own)
{
	(void)s;
	assert_int_equal(get(own, SOL_SOCKET, SO_KEEPALIVE), 1);
}

/* Between build and run it hears nothing, however long that takes. */
static void test_alive(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_tcp_repair = true;
	cycle_while_stopped = keep_tree_alive;
	cycle_before_run = take_long;
	stream_save_resting(&s);
	restore_all_well(&s, keeps_alive);
}

/* The tree runs on and is told a byte; the power goes; who told it keeps the connection alive. */
static void is_told_more(struct ckpt_stop *stop)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int fd = far_end_connection(far_end.pid);

	cycle_check(ckpt_stop_release(stop, NULL, &err), &err);
	assert_int_equal(send(fd, "", 1, 0), 1);
	usleep(300000);
	keep_alive(fd, 60);
	close(fd);
	far_end_power_cut();
}

static void test_ahead_and_alive(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_instead_of_kill = is_told_more;
	stream_save_resting(&s);
	cycle_tcp_repair = true;
	stream_reset_and_well(&s, "has sent something since");
}

static void limit_tree(void)
{
	int own = far_end_of_tree();

	set(own, IPPROTO_TCP, TCP_NOTSENT_LOWAT, LIMIT);
	close(own);
}

/* Segments fit into the window; to one that never had room for two, that is not by itself so. */
static void is_limited(const struct saved *s, int own)
{
	const struct ckpt_tcp *t = &s->image.tcps[0];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct tcp_info i;

	cycle_check(ckpt_tcp_info(own, &i, &err), &err);
	assert_true(t->out_window_max < 2 * t->mss);
	if (2 * i.tcpi_snd_mss > t->out_window_max)
		fail_msg("segments of %u for a window of %u", i.tcpi_snd_mss, t->out_window_max);
	assert_int_equal(get(own, IPPROTO_TCP, TCP_NOTSENT_LOWAT), LIMIT);
}

/* More waits than a limit of the tree lets wait, and more than the other end has room for. */
static void test_limited(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_tcp_repair = true;
	cycle_while_stopped = limit_tree;
	stream_save_full(&s);
	assert_true(s.image.tcps[0].n_unsent > s.image.tcps[0].n_sent + 0x20000);
	restore_all_well(&s, is_limited);
}

/* The other end was told a later time than this machine has now: it drops what seems to be old. */
static void test_clock_back(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_tcp_repair = true;
	stream_save_resting(&s);
	assert_true(s.image.tcps[0].flags & CKPT_TCP_F_TIMESTAMPS);
	s.image.tcps[0].clock -= 1000000;
	restore_all_well(&s, NULL);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, far_end_start, far_end_stop)
#define SERVED_SMALL(test) cmocka_unit_test_setup_teardown(test, far_end_start_small, far_end_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_alive),
		SERVED(test_ahead_and_alive),
		SERVED_SMALL(test_limited),
		SERVED(test_clock_back),
	};

	return cmocka_run_group_tests_name("proc tcp trouble", tests, cycle_setup, cycle_teardown);
}
