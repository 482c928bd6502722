// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections of Unix sockets that nobody has accepted. Natively as root. */
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "proc/unix.h"

#define PROGRAM "unix_waiting"
#define TRY(call) do { if ((call) < 0) _exit(1); } while (0)

static void test_restored(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	cycle_go_on(&s);
}

static void test_restored_openly(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, NULL, false, &s);
	cycle_go_on(&s);
}

static void test_restored_twice(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	cleanup_with(cycle_saved_done) struct saved again = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	cycle_restore_and_save(&s, 0, &again);
	cycle_go_on(&again);
}

/* The socket in which @n connections wait. */
static struct ckpt_unix *with_waiting(struct ckpt_image *image, size_t n)
{
	for (size_t i = 0; i < image->n_unixes; i++) {
		if (image->unixes[i].n_waiting == n)
			return &image->unixes[i];
	}
	fail_msg("no socket with %zu connections", n);
	return NULL;
}

static void damaged(struct ckpt_image *image, int line)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	if (!ckpt_image_check(image, &err) || err.status != CKPT_DAMAGED)
		fail_msg("line %d: not found: %s", line, err.text);
}

#define SPOIL(what, value) do { \
	__typeof__(what) was_ = (what); \
	(what) = (value); \
	damaged(&s.image, __LINE__); \
	(what) = was_; \
} while (0)

static void test_contradictions(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_unix *u, *client;
	uint32_t file = 0;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	assert_int_equal(ckpt_image_check(&s.image, &err), 0);
	u = with_waiting(&s.image, 4);
	assert_int_equal(u->waiting[1].client, CKPT_NONE);
	assert_int_equal(u->waiting[1].uid, 5432);
	assert_int_equal(u->waiting[1].n_groups, 2);
	client = &s.image.unixes[u->waiting[0].client];
	SPOIL(u->state, CKPT_UNIX_ALONE);
	SPOIL(u->backlog, 2);
	SPOIL(u->waiting[0].client, s.image.n_unixes);
	SPOIL(u->waiting[0].client, u->waiting[2].client);
	SPOIL(u->waiting[0].client, (uint32_t)(u - s.image.unixes));
	SPOIL(u->waiting[0].client, CKPT_NONE);
	SPOIL(u->waiting[0].shutdown, 1);
	SPOIL(u->waiting[0].shutdown, 4);
	SPOIL(u->waiting[1].shutdown, 0);
	SPOIL(u->waiting[1].pid, 1);
	SPOIL(u->waiting[1].uid, UINT32_MAX);
	SPOIL(u->waiting[1].messages->len, 0);
	SPOIL(u->waiting[1].messages->sender, 0);
	u->waiting[1].messages->files = &file;
	SPOIL(u->waiting[1].messages->n_files, 1);
	u->waiting[1].messages->files = NULL;
	SPOIL(client->state, CKPT_UNIX_ALONE);
	SPOIL(client->failed, true);
	SPOIL(client->peer_known, false);
	assert_int_equal(ckpt_image_check(&s.image, &err), 0);
}

/* --- nobody notices --- */

static pid_t runner;	/* in names, which all of the machine shares */
static int server, client;

static struct sockaddr_un name(const char *text)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s-%d", text, runner);
	return un;
}

static int connected(const char *text)
{
	const struct sockaddr_un un = name(text);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	TRY(connect(fd, (const struct sockaddr *)&un, sizeof(un)));
	return fd;
}

static void make_server(int backlog)
{
	const struct sockaddr_un un = name("ckpt-server");

	server = socket(AF_UNIX, SOCK_STREAM, 0);
	TRY(bind(server, (const struct sockaddr *)&un, sizeof(un)));
	TRY(listen(server, backlog));
}

static void check(int sig)
{
	char got[8] = "";
	int fd = accept(server, NULL, NULL);

	(void)sig;
	_exit(recv(fd, got, sizeof(got), MSG_DONTWAIT) == 4 && !memcmp(got, "here", 4) &&
	      recv(client, got, 1, MSG_DONTWAIT) < 0 ? 0 : 2);
}

static void hold_one(void)
{
	make_server(5);
	client = connected("ckpt-server");
	TRY(send(client, "here", 4, 0));
	signal(SIGUSR1, check);
}

static void test_runs_on(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, hold_one) };
	struct ckpt_err err = CKPT_ERR_INIT;
	int status = -1;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct ckpt_image image;

		if (proc_group_cycle(&params, &image, &err))
			fail_msg("refused: %s", err.text);
		assert_int_equal(with_waiting(&image, 1)->waiting[0].n_messages, 1);
		ckpt_image_done(&image);
	}
	kill(params.pid, SIGUSR1);
	assert_int_equal(waitpid(params.pid, &status, 0), params.pid);
	assert_int_equal(status, 0);
}

/* --- what cannot come back --- */

static void hold_named(void)
{
	const struct sockaddr_un own = name("ckpt-client"), un = name("ckpt-server");

	make_server(5);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	TRY(bind(client, (const struct sockaddr *)&own, sizeof(own)));
	TRY(connect(client, (const struct sockaddr *)&un, sizeof(un)));
}

static void hold_much(void)
{
	static char much[100000];

	make_server(5);
	client = connected("ckpt-server");
	TRY(send(client, much, sizeof(much), 0));
}

static void hold_files(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	const struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	make_server(5);
	client = connected("ckpt-server");
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	TRY(sendmsg(client, &msg, 0));
}

static void hold_urgent(void)
{
	make_server(5);
	client = connected("ckpt-server");
	if (send(client, "u", 1, MSG_OOB) != 1)
		proc_group_lacks(0);
}

static void hold_credentials(void)
{
	const int on = 1;

	make_server(5);
	client = connected("ckpt-server");
	TRY(setsockopt(server, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
}

/* It was to be accepted from a longer queue. */
static void hold_too_many(void)
{
	make_server(5);
	connected("ckpt-server");
	connected("ckpt-server");
	TRY(listen(server, 0));
}

/* Whoever connects is a child of the test, which waits for somebody who listens. */
static void hold_visitor(void)
{
	struct pollfd p = { .events = POLLIN };

	make_server(5);
	p.fd = server;
	TRY(poll(&p, 1, 10000) == 1 ? 0 : -1);
}

static pid_t send_visitor(void)
{
	const struct sockaddr_un un = name("ckpt-server");
	pid_t pid = fork();

	for (int i = 0; !pid && i < 2000; i++) {
		client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (!connect(client, (const struct sockaddr *)&un, sizeof(un)))
			pause();
		close(client);
		usleep(5000);
	}
	if (!pid)
		_exit(1);
	return pid;
}

#define WAITS "with connections that wait to be accepted, "

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_named, WAITS "one of which is of a socket that has a name" },
		{ hold_much, WAITS "in one of which more waits than can be seen" },
		{ hold_files, WAITS "in one of which descriptors wait" },
		{ hold_urgent, WAITS "one of which has an error or out-of-band data" },
		{ hold_credentials, WAITS "while it asks for more than data (SO_PASSCRED)" },
		{ hold_too_many, WAITS "more than it has room for" },
	};

	static const struct proc_group_refusal visited[] = {
		{ hold_visitor, WAITS "one of which is from outside the tree" },
	};
	pid_t visitor;

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	visitor = send_visitor();
	proc_group_refusals(visited, 1);
	kill(visitor, SIGKILL);
	waitpid(visitor, NULL, 0);
}

/* As on a kernel that does not tell. */
static void test_blind(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_one, WAITS "of which this kernel does not tell what they are" },
	};

	(void)state;
	setenv("CKPT_FAULT", "keeper.waiting=fail", 1);
	proc_group_refusals(cases, 1);
	unsetenv("CKPT_FAULT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_openly),
		cmocka_unit_test(test_restored_twice),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_runs_on),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_blind),
	};

	runner = getpid();
	return cmocka_run_group_tests_name("proc unix waiting", tests, cycle_setup,
					   cycle_teardown);
}
