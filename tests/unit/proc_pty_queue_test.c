// SPDX-License-Identifier: GPL-2.0-or-later
/* What waits in pseudo terminals over a restore, and at one that goes on. Natively as root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"

#define N_PTYS 26

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	cycle_save_program("pty_queues", NULL, private, &s);
	assert_int_equal(s.image.n_ptys, N_PTYS);
	cycle_go_on(&s);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_with_same_pids(void **state)
{
	(void)state;
	restored(false);
}

static pid_t start(const char *program, int *ret_said)
{
	int said[2];
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	if (!pid) {
		dup2(said[1], STDOUT_FILENO);
		close_range(STDERR_FILENO, ~0u, 0);
		if (!chdir(cycle_dir))
			execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(said[1]);
	*ret_said = said[0];
	return pid;
}

/* What it says until it has said @word. */
static void hear(int fd, char *text, size_t size, const char *word)
{
	size_t len = strlen(text);

	while (!strstr(text, word)) {
		ssize_t n = read(fd, text + len, size - 1 - len);

		if (n <= 0)
			fail_msg("no '%s' in: %s", word, text);
		text[len += n] = 0;
	}
}

/* Whoever is looked at and goes on has everything, and where it was. */
static void test_left_alone(void **state)
{
	cleanup_free char *program = cycle_program("pty_queues");
	struct ckpt_stop_params params = { 0 };
	static char text[1 << 16];
	char go[96];
	int said, status = -1;

	(void)state;
	params.pid = start(program, &said);
	hear(said, text, sizeof(text), "ready");
	for (int i = 0; i < 10; i++) {
		struct ckpt_err err = CKPT_ERR_INIT;
		struct ckpt_image image;

		if (proc_group_cycle(&params, &image, &err))
			fail_msg("%s", err.text);
		assert_int_equal(image.n_ptys, N_PTYS);
		ckpt_image_done(&image);
	}
	snprintf(go, sizeof(go), "%s/go", cycle_dir);
	close(open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	hear(said, text, sizeof(text), " well\n");
	unlink(go);
	if (!strstr(text, "all well"))
		fail_msg("%s", text);
	assert_int_equal(waitpid(params.pid, &status, 0), params.pid);
	assert_int_equal(status, 0);
	close(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_with_same_pids),
		cmocka_unit_test(test_left_alone),
	};

	return cmocka_run_group_tests_name("proc pty queue", tests, cycle_setup, cycle_teardown);
}
