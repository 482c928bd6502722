// SPDX-License-Identifier: GPL-2.0-or-later
/* Unix sockets over a restore. Natively as root. */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"
#include "proc/unix.h"

#define PROGRAM "unix_sockets"

static void test_restored(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	assert_int_equal(s.image.n_unixes, s.image.n_sockets);
	cycle_go_on(&s);
}

/* Without a pid namespace of its own. */
static void test_restored_openly(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, NULL, false, &s);
	cycle_go_on(&s);
}

/* What has been restored is captured once more. */
static void test_restored_twice(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	cleanup_with(cycle_saved_done) struct saved again = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, "nothing", true, &s);
	cycle_restore_and_save(&s, 0, &again);
	assert_int_equal(again.image.n_unixes, s.image.n_unixes);
	cycle_go_on(&again);
}

/* The first socket that listens under a name of this kind. */
static struct ckpt_unix *listening(struct ckpt_image *image, bool path)
{
	for (size_t i = 0; i < image->n_unixes; i++) {
		struct ckpt_unix *u = &image->unixes[i];

		if (u->state == CKPT_UNIX_LISTENS && (path ? u->path != NULL : !u->name[0]))
			return u;
	}
	fail_msg("nobody listens");
	return NULL;
}

static void refused(struct saved *s, const char *says)
{
	const struct ckpt_restore_params params = { .image = &s->image, .source = &s->source };
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_restore_preflight(&params, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, says))
		fail_msg("refused for another reason: %s", err.text);
}

/* Somebody in another network namespace, of whom the kernel does not tell us. */
static void test_taken_elsewhere(const struct saved *s, const struct sockaddr_un *un)
{
	const struct ckpt_restore_params params = { .image = &s->image, .source = &s->source };
	struct ckpt_err err = CKPT_ERR_INIT;
	int there[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(there), 0);
	pid = fork();
	if (!pid) {
		int fd = unshare(CLONE_NEWNET) ? -1 : socket(AF_UNIX, SOCK_STREAM, 0);

		if (fd < 0 || bind(fd, (const struct sockaddr *)un, sizeof(*un)) ||
		    write(there[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(there[0], &byte, 1), 1);
	assert_int_equal(ckpt_restore_preflight(&params, &err), -1);
	assert_non_null(strstr(err.text, "which a process has bound"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* what it leaves is nobody's */
	ckpt_err_clear(&err);
	cycle_check(ckpt_restore_preflight(&params, &err), &err);
	unlink(un->sun_path);
	close(there[0]);
	close(there[1]);
}

/* Names and places that somebody else has taken meanwhile. */
static void test_taken(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const struct ckpt_unix *u;
	int fd;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	u = listening(&s.image, false);
	memcpy(un.sun_path, u->name, u->name_len);
	fd = socket(AF_UNIX, ckpt_unix_socket(&s.image, u - s.image.unixes)->type, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, 2 + u->name_len), 0);
	refused(&s, "of a Unix socket of the checkpoint");
	close(fd);

	u = listening(&s.image, true);
	strcpy(un.sun_path, u->path);
	unlink(u->path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	refused(&s, "which a process has bound");
	close(fd);
	unlink(u->path);
	test_taken_elsewhere(&s, &un);
	assert_int_equal(mkdir(u->path, 0700), 0);
	refused(&s, "where there is something else now");
	assert_int_equal(rmdir(u->path), 0);
	cycle_go_on(&s);
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

/* Two ends of a stream with a message in one of them. */
static struct ckpt_unix *with_message(struct ckpt_image *image, uint32_t type)
{
	for (uint32_t i = 0; i < image->n_unixes; i++) {
		struct ckpt_unix *u = &image->unixes[i];

		if (ckpt_unix_socket(image, i)->type == type && u->peer != CKPT_NONE &&
		    u->n_messages && (type != SOCK_STREAM || u->messages->n_files ||
				      u->n_messages > 1))
			return u;
	}
	fail_msg("no such socket");
	return NULL;
}

static void test_contradictions(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_unix *u, *served;
	struct ckpt_socket *socket;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	assert_int_equal(ckpt_image_check(&s.image, &err), 0);
	u = with_message(&s.image, SOCK_STREAM);
	served = listening(&s.image, true);
	socket = &s.image.sockets[0];
	SPOIL(socket->family, AF_PACKET);
	SPOIL(socket->type, SOCK_RAW);
	SPOIL(socket->part, s.image.n_unixes);
	SPOIL(socket->part, socket[1].part);
	SPOIL(socket->options->len, CKPT_SOCKET_OPTION_MAX + 1);
	SPOIL(u->state, CKPT_UNIX_CONNECTED + 1);
	SPOIL(u->state, CKPT_UNIX_ALONE);
	SPOIL(u->peer, s.image.n_unixes);
	SPOIL(u->peer, (uint32_t)(u - s.image.unixes));
	SPOIL(u->peer, CKPT_NONE);
	SPOIL(u->failed, true);
	SPOIL(u->shutdown, 1);
	SPOIL(u->shutdown, 4);
	SPOIL(u->peer_known, false);
	SPOIL(u->peer_pid, 1);
	SPOIL(u->path, (char *)"/a");
	SPOIL(u->messages->sender, 0);
	SPOIL(u->messages->len, 0);
	assert_true(u->n_messages > 1);
	SPOIL(u->messages[1].n_files, CKPT_UNIX_FILES_MAX + 1);
	SPOIL(u->messages[1].files[0], s.image.n_files);
	SPOIL(served->name_len, CKPT_UNIX_NAME_MAX + 1);
	SPOIL(served->name_len, 0);
	SPOIL(served->path, (char *)"a");
	SPOIL(served->path, (char *)"/a/");
	assert_int_equal(ckpt_image_check(&s.image, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_openly),
		cmocka_unit_test(test_restored_twice),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_contradictions),
	};

	return cmocka_run_group_tests_name("proc unix", tests, cycle_setup, cycle_teardown);
}
