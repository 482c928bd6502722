// SPDX-License-Identifier: GPL-2.0-or-later
/* Pseudo terminals where the kernel does not let us see what waits in them: refused by name. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/pty_ends.h"

static void let_line_wait(void)
{
	int master = make_master();

	no_echo(open_slave(master), ICANON);
	put(master, "line\n");
}

static void begin_line(void)
{
	int master = make_master();

	no_echo(open_slave(master), ICANON);
	put(master, "half");
}

static void let_end_wait(void)
{
	int master = make_master();

	no_echo(open_slave(master), ICANON);
	put(master, "\004");
}

/* Fewer bytes than a read wants. */
static void let_bytes_wait(void)
{
	int master = make_master(), slave = open_slave(master);
	struct termios2 t;

	no_echo(slave, 0);
	must(ioctl(slave, TCGETS2, &t));
	t.c_cc[VMIN] = 9;
	must(ioctl(slave, TCSETS2, &t));
	put(master, "four");
}

static void let_output_wait(void)
{
	put(open_slave(make_master()), "out");
}

static void let_echo_wait(void)
{
	int master = make_master();

	open_slave(master);
	put(master, "h");
}

static void hold_output(void)
{
	int master = make_master();

	no_echo(open_slave(master), ICANON);
	put(master, "\023");
}

static void hold_flow(void)
{
	must(ioctl(open_slave(make_master()), TCXONC, TCOOFF));
}

static void leave_input(void)
{
	int master = make_master(), slave = open_slave(master);

	no_echo(slave, ICANON);
	close(slave);
	put(master, "too late\n");
}

static void keep_one(void)
{
	open_slave(make_master());
}

static void keep_raw(void)
{
	no_echo(open_slave(make_master()), 0);
}

/* Without a program that reads what waits: where there is something, or may be. */
static void refuses_what_is_not_told(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ keep_one, "this kernel does not tell whether a line waits for its end" },
		{ begin_line, "this kernel does not tell whether a line waits for its end" },
		{ let_line_wait, "where input waits that nobody reads" },
		{ let_end_wait, "where input waits that nobody reads" },
		{ let_bytes_wait, "where input waits that nobody reads" },
		{ let_output_wait, "where output waits that nobody reads" },
		{ let_echo_wait, "where output waits that nobody reads" },
		{ hold_output, "which is held (^S, tcflow)" },
		{ hold_flow, "which is held (^S, tcflow)" },
		{ leave_input, "where input waits that nobody reads" },
	};
	struct ckpt_stop_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	setenv("CKPT_FAULT", "keeper.line=fail", 1);
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	params.pid = proc_group_spawn(NULL, keep_raw);
	if (proc_group_cycle(&params, NULL, &err))
		fail_msg("%s", err.text);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
	unsetenv("CKPT_FAULT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_not_told),
	};

	return cmocka_run_group_tests_name("proc pty blind", tests, NULL, NULL);
}
