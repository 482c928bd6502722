// SPDX-License-Identifier: GPL-2.0-or-later
/* Stream: tcp_stream in the tree, which talks to the far end. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/aside.h"
#include "lib/far_end.h"
#include "lib/stream.h"

void stream_never_wrong(void)
{
	if (strstr(cycle_read_output(), "WRONG") || aside_said(far_end.dir, "WRONG"))
		fail_msg("a byte was wrong: %s", cycle_read_output());
}

bool stream_was_reset(void)
{
	return strstr(cycle_read_output(), "reset");
}

/* It ends its call, with all that both have said. */
void stream_finish(struct ckpt_restore *r)
{
	aside_touch(cycle_dir, "go");
	cycle_wait_output("all well");
	cycle_finish(r, 0);
	aside_forget(cycle_dir, "go");
	stream_never_wrong();
}

void stream_go_on(void)
{
	aside_forget(cycle_dir, "pause");
	aside_forget(far_end.dir, "pause");
}

/* Bring the far end to rest after a while, and then the caller. */
static pid_t rest_later(useconds_t us, useconds_t then_us)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (int i = 0; i < 4000 && !strstr(cycle_read_output(), "ready"); i++)
		usleep(5000);
	usleep(us);
	aside_touch(far_end.dir, "pause");
	usleep(then_us);
	aside_touch(cycle_dir, "pause");
	_exit(0);
}

static void save_at_rest(struct saved *s, char *credit, useconds_t us,
			 useconds_t then_us)
{
	cleanup_free char *program = cycle_program(STREAM_PROGRAM);
	char *argv[] = { program, far_end.port, credit, NULL };
	pid_t pid;

	aside_forget(cycle_dir, "output");
	pid = rest_later(us, then_us);
	cycle_start_and_save(argv, true, "rests", s);
	waitpid(pid, NULL, 0);
}

void stream_save_resting(struct saved *s)
{
	save_at_rest(s, NULL, random() % 80000, 0);
}

void stream_save_full(struct saved *s)
{
	save_at_rest(s, "400000", 0, 600000);
}

void stream_reset_and_well(struct saved *s, const char *why)
{
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	far_end_restore(s, &r, &result);
	assert_int_equal(result.tcp_repaired, 0);
	assert_int_equal(result.tcp_reset, 1);
	if (!strstr(result.tcp_why, why))
		fail_msg("%s", result.tcp_why);
	stream_go_on();
	cycle_wait_output("reset");
	stream_finish(r);
}
