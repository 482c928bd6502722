// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP sockets over a stop and a restore. Natively as root. */
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
#include <unistd.h>
#include <cmocka.h>

#include "lib/aside.h"
#include "lib/proc_group.h"
#include "lib/restore_cycle.h"

#define STATES "tcp_sockets"
#define TALK "tcp_talk"
#define CYCLES 8
#define STOPS 60

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	cycle_save_program(STATES, NULL, private, &s);
	cycle_go_on(&s);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_with_host_pids(void **state)
{
	(void)state;
	restored(false);
}

/* What a restore has made is captured like what was there first. */
static void cycles(char *const *argv, int n, int delay_us)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	struct saved kept[CYCLES] = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	struct saved *s = &first;

	cycle_start_and_save(argv, true, "ready", s);
	for (int i = 0; i < n; i++) {
		cycle_restore(s, &r, &result);
		usleep(random() % delay_us);
		s = &kept[i];
		cycle_save_again(r, s);
	}
	cycle_go_on(s);
	for (int i = 0; i < n; i++)
		cycle_saved_done(&kept[i]);
}

static void test_restored_again(void **state)
{
	cleanup_free char *program = cycle_program(STATES);
	char *argv[] = { program, NULL };

	(void)state;
	cycles(argv, 2, 1000);
}

/* At whatever instant, every byte comes once and in order. */
static void test_talk(void **state)
{
	cleanup_free char *program = cycle_program(TALK);
	char *argv[] = { program, "4", NULL };

	(void)state;
	cycle_seed(23);
	cycles(argv, CYCLES, 120000);
}

/* It was never restored, and checks itself now. */
static void finish(pid_t pid, const char *dir)
{
	char text[4096];
	int status = -1;

	aside_touch(dir, "go");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	aside_read(dir, "said", text, sizeof(text));
	if (status)
		fail_msg("it ended with 0x%x: %s", status, text);
	assert_non_null(strstr(text, "all well"));
	aside_remove(dir);
}

/*
 * Whoever is killed while a socket is in repair mode, the other one takes it out: the process that
 * looks at it, at either end, or the keeper.
 */
static void test_repair_killed(void **state)
{
	static const char *const points[] = { "keeper.repair", "keeper.repair:2",
					      "keeper.repairing", "keeper.repairing:2" };
	char dir[] = "/tmp/ckpt-tcp-test-XXXXXX", reached[64];
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid = aside_start(STATES, dir, NULL, NULL);
	aside_wait(dir, "said", "ready");
	snprintf(reached, sizeof(reached), "%s/reached", dir);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		const struct ckpt_stop_params params = { .pid = pid };
		struct ckpt_err err = CKPT_ERR_INIT;

		setenv("CKPT_FAULT_REACHED", reached, 1);
		setenv("CKPT_FAULT", points[i], 1);
		assert_int_equal(proc_group_cycle(&params, NULL, &err), -1);
		unsetenv("CKPT_FAULT");
		unsetenv("CKPT_FAULT_REACHED");
		assert_non_null(strstr(err.text, "try again"));
		aside_wait(dir, "reached", "keeper.repair");
		unlink(reached);
		err = (struct ckpt_err)CKPT_ERR_INIT;
		if (proc_group_cycle(&params, NULL, &err))
			fail_msg("after %s: %s", points[i], err.text);
	}
	finish(pid, dir);
}

static const struct ckpt_tcp *find(const struct ckpt_image *image, uint32_t tcp_state)
{
	for (size_t i = 0; i < image->n_tcps; i++) {
		if (image->tcps[i].state == tcp_state)
			return &image->tcps[i];
	}
	fail_msg("there is no TCP socket in state %u", tcp_state);
	return NULL;
}

static void refuses_restore(const struct saved *s, const char *says)
{
	const struct ckpt_restore_params params = { .image = &s->image, .source = &s->source };
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_restore_preflight(&params, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, says))
		fail_msg("%s", err.text);
}

/* A port that somebody else has now: nothing is built, and it can be tried again. */
static void test_port_taken(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const struct ckpt_tcp *t;
	int fd;

	(void)state;
	cycle_save_program(STATES, NULL, true, &s);
	t = find(&s.image, CKPT_TCP_LISTENS);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)t->local, t->local_len), 0);
	assert_int_equal(listen(fd, 1), 0);
	refuses_restore(&s, "cannot have its address 127.0.0.1, port ");
	close(fd);
	cycle_go_on(&s);
}

/*
 * Whoever is outside does not come back; the tree is told so.  Who has not answered by then may do
 * so later.
 */
static void test_reset(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	cleanup_free char *program = cycle_program(STATES);
	char dir[] = "/tmp/ckpt-tcp-test-XXXXXX", port[32], path[64];
	char *argv[] = { program, port, NULL, NULL };
	pid_t outside;

	(void)state;
	assert_non_null(mkdtemp(dir));
	outside = aside_start("tcp_outside", dir, "port", NULL);
	aside_wait(dir, "port", "\n");
	aside_read(dir, "port", port, sizeof(port));
	port[strlen(port) - 1] = 0;
	argv[2] = strchr(port, ' ');
	*argv[2]++ = 0;
	cycle_start_and_save(argv, true, "ready", &s);
	snprintf(path, sizeof(path), "%s/port", dir);
	unlink(path);
	cycle_go_on(&s);
	kill(outside, SIGKILL);
	assert_int_equal(waitpid(outside, NULL, 0), outside);
	aside_remove(dir);
}

/* Connections that come and go are waited out, by trying again; nobody is disturbed. */
static void test_undisturbed(void **state)
{
	char dir[] = "/tmp/ckpt-tcp-test-XXXXXX";
	int taken = 0, refused = 0;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid = aside_start(TALK, dir, "3", "churn");
	aside_wait(dir, "said", "ready");
	cycle_seed(23);
	for (int i = 0; i < STOPS; i++) {
		const struct ckpt_stop_params params = { .pid = pid };
		struct ckpt_image image = { 0 };
		struct ckpt_err err = CKPT_ERR_INIT;

		usleep(random() % 30000);
		if (!proc_group_cycle(&params, &image, &err)) {
			taken++;
			ckpt_image_done(&image);
		} else if (strstr(err.text, "wait to be accepted") ||
			   strstr(err.text, "is being made") ||
			   strstr(err.text, "is still sending")) {
			refused++;
		} else if (!strstr(err.text, " 5000 ms")) {	/* a busy machine */
			fail_msg("%s", err.text);
		}
	}
	print_message("# %d stops: %d taken, %d in the middle of a connection, %d too slow\n",
		      STOPS, taken, refused, STOPS - taken - refused);
	assert_true(taken > STOPS / 4);
	assert_true(refused > 0);
	finish(pid, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_with_host_pids),
		cmocka_unit_test(test_restored_again),
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_repair_killed),
		cmocka_unit_test(test_port_taken),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_undisturbed),
	};

	return cmocka_run_group_tests_name("proc tcp", tests, cycle_setup, cycle_teardown);
}
