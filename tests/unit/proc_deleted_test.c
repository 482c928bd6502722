// SPDX-License-Identifier: GPL-2.0-or-later
/* What was deleted and is open, over a restore: directories, fifos, devices. Natively as root. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "lib/scratch.h"

static const char program[] =
	"import errno, os, stat, time\n"
	"top = os.getcwd()\n"
	"os.makedirs('a/b/cwd'); os.makedirs('gone/below')\n"
	"os.chown('a/b/cwd', 1234, 4321); os.chmod('a/b/cwd', 0o3751)\n"
	"dirs = [os.open('a/b/cwd', os.O_RDONLY | os.O_DIRECTORY) for i in range(2)]\n"
	"path = os.open('a/b/cwd', os.O_PATH)\n"
	"lost = os.open('gone/below/file', os.O_RDWR | os.O_CREAT)\n"
	"os.write(lost, b'lost and found')\n"
	"os.mkfifo('fifo', 0o640)\n"
	"both = os.open('fifo', os.O_RDWR); out = os.open('fifo', os.O_WRONLY)\n"
	"into = os.open('fifo', os.O_RDONLY | os.O_NONBLOCK)\n"
	"os.write(out, b'unread')\n"
	"os.mknod('null', stat.S_IFCHR | 0o600, os.makedev(1, 3))\n"
	"null = os.open('null', os.O_RDWR)\n"
	"child = os.fork()\n"
	"if not child:\n"
	"    os.chdir('gone/below')\n"
	"    while not os.path.exists(top + '/go'): time.sleep(0.02)\n"
	"    os._exit(os.stat('.').st_nlink)\n"
	"while os.readlink(f'/proc/{child}/cwd') != top + '/gone/below': time.sleep(0.01)\n"
	"os.chdir('a/b/cwd')\n"
	"os.unlink(top + '/gone/below/file')\n"
	"os.removedirs(top + '/a/b/cwd'); os.removedirs(top + '/gone/below')\n"
	"os.unlink(top + '/fifo'); os.unlink(top + '/null')\n"
	"def look(): return [(s.st_mode, s.st_uid, s.st_gid, s.st_nlink, s.st_mtime_ns,\n"
	"                      s.st_rdev) for s in [os.stat('.')] +\n"
	"    [os.fstat(fd) for fd in dirs + [path, both, out, into, null]]]\n"
	"links = [os.readlink(f'/proc/self/{n}') for n in\n"
	"         ['cwd'] + [f'fd/{fd}' for fd in dirs + [path, lost, both, null]]]\n"
	"before = look()\n"
	"print('ready', flush=True)\n"
	"while not os.path.exists(top + '/go'): time.sleep(0.02)\n"
	"assert look() == before, (before, look())\n"
	"assert links == [os.readlink(f'/proc/self/{n}') for n in\n"
	"         ['cwd'] + [f'fd/{fd}' for fd in dirs + [path, lost, both, null]]]\n"
	"assert len({os.fstat(fd).st_ino for fd in dirs + [path]} | {os.stat('.').st_ino}) == 1\n"
	"assert len({os.fstat(fd).st_ino for fd in (both, out, into)}) == 1\n"
	"try: os.mkdir('new'); assert False\n"
	"except FileNotFoundError: pass\n"
	"assert os.listdir(dirs[0]) == []\n"
	"os.fchdir(dirs[1])\n"
	"assert os.pread(lost, 99, 0) == b'lost and found'\n"
	"os.write(out, b'+'); assert os.read(into, 99) == b'unread+'\n"
	"assert os.write(null, b'x') == 1 and os.read(null, 1) == b''\n"
	"assert os.waitpid(child, 0) == (child, 0)\n"
	"left = set(os.listdir(top)) - {'go', 'ready', 'said', 'out'}\n"
	"assert not left & {'a', 'gone', 'fifo', 'null'}, left\n"
	"assert not [n for n in left if 'ckpt' in n], left\n"
	"print('all well', flush=True)\n";

static void comes_back(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *argv[] = { "/usr/bin/python3", "-c", (char *)program, NULL };

	(void)state;
	cycle_start_and_save(argv, true, "ready", &s);
	cycle_go_on(&s);
}

/* Captured from what a restore has made, it comes back once more. */
static void comes_back_twice(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	cleanup_with(cycle_saved_done) struct saved again = { 0 };
	char *argv[] = { "/usr/bin/python3", "-c", (char *)program, NULL };

	(void)state;
	cycle_start_and_save(argv, false, "ready", &s);
	cycle_restore_and_save(&s, 50000, &again);
	cycle_go_on(&again);
}

static void must(long value)
{
	if (value < 0)
		_exit(1);
}

static void hold_replaced(void)
{
	must(scratch_mkdir("lost"));
	must(open(scratch("lost/file"), O_RDWR | O_CREAT, 0600));
	must(unlink(scratch("lost/file")));
	must(rmdir(scratch("lost")));
	must(open(scratch("lost"), O_RDWR | O_CREAT, 0600));
}

static void hold_unread_fifo(void)
{
	int both;

	must(mkfifo(scratch("fifo"), 0600));
	both = open(scratch("fifo"), O_RDWR);
	must(open(scratch("fifo"), O_WRONLY));
	must(write(both, "x", 1));
	must(close(both));
	must(unlink(scratch("fifo")));
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_replaced, "where something else has come in place of a directory" },
		{ hold_unread_fifo, "in which 1 bytes wait that nobody has it open to read" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

static int make_all(void **state)
{
	return scratch_make(state) || cycle_setup(state);
}

static int remove_all(void **state)
{
	return cycle_teardown(state) | scratch_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(comes_back_twice),
		cmocka_unit_test(refuses_by_name),
	};

	return cmocka_run_group_tests(tests, make_all, remove_all);
}
