// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of procfs and namespaces that are held open, over a restore. Natively as root. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"

static const char program[] =
	"import ctypes, os, select, signal, threading, time\n"
	"go = threading.Event()\n"
	"t = threading.Thread(target=go.wait, daemon=True); t.start()\n"
	"child = os.fork()\n"
	"if not child:\n"
	"    signal.pause()\n"
	"gone = os.fork()\n"
	"if not gone:\n"
	"    os._exit(7)\n"
	"word = ctypes.create_string_buffer(b'a word in memory')\n"
	"me, at = os.getpid(), ctypes.addressof(word)\n"
	"def op(path, flags=os.O_RDONLY): return os.open(path, flags)\n"
	"os.waitid(os.P_PID, gone, os.WEXITED | os.WNOWAIT)\n"
	"status = op('/proc/self/status')\n"
	"assert os.read(status, 6) == b'Name:\\t'\n"
	"childs = op(f'/proc/{child}/stat')\n"
	"zombies = op(f'/proc/{gone}/stat')\n"
	"comm = op(f'/proc/self/task/{t.native_id}/comm', os.O_RDWR)\n"
	"mem = op('/proc/self/mem')\n"
	"os.lseek(mem, at + 2, os.SEEK_SET)\n"
	"fds = op('/proc/self/fd', os.O_RDONLY | os.O_DIRECTORY)\n"
	"path = op(f'/proc/{child}', os.O_PATH)\n"
	"setting = op('/proc/sys/kernel/hostname')\n"
	"limit = op('/proc/sys/fs/file-max', os.O_RDWR)\n"
	"net, mnt = op('/proc/self/ns/net'), op(f'/proc/{child}/ns/mnt')\n"
	"mounts = op('/proc/self/mountinfo')\n"
	"ep = select.epoll(); ep.register(mounts, select.EPOLLPRI)\n"
	"links = [os.readlink(f'/proc/self/fd/{fd}') for fd in (status, childs, comm, path)]\n"
	"def cmp(fd, name): return os.fstat(fd).st_ino == os.stat(f'/proc/self/ns/{name}').st_ino\n"
	"print('ready', flush=True)\n"
	"while not os.path.exists('go'): time.sleep(0.02)\n"
	"assert links == [os.readlink(f'/proc/self/fd/{fd}')\n"
	"                 for fd in (status, childs, comm, path)]\n"
	"assert os.lseek(status, 0, os.SEEK_CUR) == 6\n"
	"assert os.read(status, 6) == b'python', 'status'\n"
	"assert os.pread(status, 99, 0).startswith(b'Name:\\tpython')\n"
	"assert os.read(childs, 99).startswith(f'{child} (python3) S {me} '.encode())\n"
	"assert os.read(zombies, 99).startswith(f'{gone} (python3) Z {me} '.encode())\n"
	"os.write(comm, b'renamed'); assert os.pread(comm, 9, 0) == b'renamed\\n'\n"
	"assert open(f'/proc/self/task/{t.native_id}/comm').read() == 'renamed\\n'\n"
	"word[2] = b'W'\n"
	"assert os.read(mem, 4) == b'Word'\n"
	"assert str(ep.fileno()) in os.listdir(fds)\n"
	"assert os.stat('stat', dir_fd=path).st_ino == os.fstat(childs).st_ino\n"
	"assert os.read(setting, 99) == open('/proc/sys/kernel/hostname', 'rb').read()\n"
	"assert int(os.read(limit, 99)) > 0\n"
	"assert cmp(net, 'net') and cmp(mnt, 'mnt')\n"
	"assert b' / ' in os.read(mounts, 99999)\n"
	"assert os.waitpid(gone, 0) == (gone, 7 << 8)\n"
	"os.kill(child, signal.SIGKILL); os.wait()\n"
	"go.set(); t.join()\n"
	"print('all well', flush=True)\n";

/* What comes from a file is looked at before it is used. */
static void expect_checked(const struct ckpt_image *image, struct ckpt_file *f)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char elsewhere[] = "/etc/shadow", *path = f->path;

	f->path = elsewhere;
	assert_int_equal(ckpt_image_check(image, &err), -1);
	assert_non_null(strstr(err.text, "a file of procfs has no path there"));
	f->path = path;
	assert_int_equal(ckpt_image_check(image, NULL), 0);
}

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *argv[] = { "/usr/bin/python3", "-c", (char *)program, NULL };
	size_t n = 0;

	cycle_start_and_save(argv, private, "ready", &s);
	for (size_t i = 0; i < s.image.n_files; i++) {
		if (s.image.files[i].kind == CKPT_FILE_PROC && !n++)
			expect_checked(&s.image, &s.image.files[i]);
	}
	assert_int_equal(n, 12);
	cycle_go_on(&s);
}

static void comes_back(void **state)
{
	(void)state;
	restored(true);
}

static void comes_back_in_place(void **state)
{
	(void)state;
	restored(false);
}

/* --- refusals --- */

static void hold(const char *path)
{
	if (open(path, O_RDONLY) < 0)
		_exit(1);
}

static void hold_of_init(void)
{
	hold("/proc/1/status");
}

static void hold_of_gone(void)
{
	pid_t pid = fork();
	char path[32];

	if (!pid)
		_exit(0);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	hold(path);
	waitpid(pid, NULL, 0);
}

static void hold_of_descriptor(void)
{
	hold("/proc/self/fdinfo/0");
}

static void hold_left_namespace(void)
{
	hold("/proc/self/ns/uts");
	if (unshare(CLONE_NEWUTS))
		_exit(1);
}

static void hold_asked_for(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY);

	/* NS_GET_USERNS */
	if (ioctl(fd, 0xb701) < 0)
		_exit(1);
	close(fd);
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_of_init, "of a process that is not in the tree" },
		{ hold_of_gone, "of a process that is gone" },
		{ hold_of_descriptor, "of a descriptor" },
		{ hold_left_namespace, "holds a namespace that it is not in (uts:[" },
		{ hold_asked_for, "a namespace that was not opened by a path" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(comes_back_in_place),
		cmocka_unit_test(refuses_by_name),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
