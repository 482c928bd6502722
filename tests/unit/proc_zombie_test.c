// SPDX-License-Identifier: GPL-2.0-or-later
/* Zombies come back as they were: status and credentials. Natively as root. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"

static const char program[] =
	"import ctypes, os, signal, sys, time\n"
	"libc = ctypes.CDLL(None)\n"
	"def user():\n"
	"    os.setgroups([7, 8]); os.setresgid(11, 12, 13); os.setresuid(21, 22, 23)\n"
	"    libc.setfsuid(23); libc.prctl(38, 1, 0, 0, 0); os._exit(3)\n"
	"def bounded():\n"
	"    libc.prctl(24, 27); os.setresuid(5, 0, 0); os.kill(os.getpid(), signal.SIGKILL)\n"
	"def plain(): os._exit(0)\n"
	"def signalled(): os.setresuid(31, 31, 31); os.kill(os.getpid(), signal.SIGTERM)\n"
	"def show(pid):\n"
	"    words = 'State Uid Gid Groups Cap NoNewPrivs'.split()\n"
	"    info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
	"    lines = open('/proc/%d/status' % pid).read().splitlines()\n"
	"    return [l for l in lines if any(l.startswith(w) for w in words)], info.si_uid, \\\n"
	"        info.si_status, info.si_code\n"
	"pids = []\n"
	"for body in user, bounded, plain, signalled:\n"
	"    pid = os.fork()\n"
	"    if not pid: body()\n"
	"    pids.append(pid)\n"
	"before = [show(pid) for pid in pids]\n"
	"assert before[0][1:3] == (21, 3), before[0]\n"
	"print('ready', flush=True)\n"
	"while not os.path.exists('go'): time.sleep(0.02)\n"
	"now = [show(pid) for pid in pids]\n"
	"assert now == before, '\\n%s\\n%s' % (before, now)\n"
	"print('all well', flush=True)\n";

static struct ckpt_task *a_zombie(struct saved *s)
{
	for (size_t i = 0; i < s->image.n_tasks; i++) {
		if (s->image.tasks[i].state == CKPT_TASK_ZOMBIE)
			return &s->image.tasks[i];
	}
	fail_msg("no zombie was captured");
	return NULL;
}

/* Capabilities that we could not give it: before anything is made. */
static void with_more_than_ours_is_refused(struct saved *s)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
	};
	struct ckpt_err err = CKPT_ERR_INIT;

	a_zombie(s)->creds.cap_prm ^= 1ull << 63;
	assert_int_equal(ckpt_restore_preflight(&params, &err), -1);
	a_zombie(s)->creds.cap_prm ^= 1ull << 63;
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "has capabilities"));
}

static void come_back(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *argv[] = { "/usr/bin/python3", "-c", (char *)program, NULL };

	(void)state;
	cycle_start_and_save(argv, true, "ready", &s);
	with_more_than_ours_is_refused(&s);
	cycle_go_on(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(come_back),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
