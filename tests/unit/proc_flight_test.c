// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that wait in queues of Unix sockets and are open nowhere else. Natively as root. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "lib/scratch.h"
#include "proc/unix.h"

#define PROGRAM "files_in_flight"
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
	assert_int_equal(again.image.n_files, s.image.n_files);
	cycle_go_on(&again);
}

static bool is_open(const struct ckpt_image *image, size_t file)
{
	for (size_t i = 0; i < image->n_fdtables; i++) {
		for (size_t j = 0; j < image->fdtables[i].n_fds; j++) {
			if (image->fdtables[i].fds[j].file == file)
				return true;
		}
	}
	return false;
}

/* What waits is a file of the image, once, and by its kind. */
static void test_captured(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	size_t kinds[CKPT_FILE_PTS + 1] = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	for (size_t i = 0; i < s.image.n_files; i++) {
		if (ckpt_unix_brought(&s.image, i) && !is_open(&s.image, i))
			kinds[s.image.files[i].kind]++;
	}
	assert_int_equal(kinds[CKPT_FILE_PIPE], 4);
	assert_int_equal(kinds[CKPT_FILE_REG], 2);
	assert_int_equal(kinds[CKPT_FILE_DIR], 1);
	assert_int_equal(kinds[CKPT_FILE_CHR], 1);
	assert_int_equal(kinds[CKPT_FILE_SHM], 1);
	assert_int_equal(kinds[CKPT_FILE_EVENTFD], 1);
	assert_int_equal(kinds[CKPT_FILE_TIMERFD], 1);
	assert_int_equal(kinds[CKPT_FILE_EPOLL], 1);
	assert_int_equal(kinds[CKPT_FILE_SOCKET], 6);
}

/* --- nobody notices --- */

static int queue[2], reader, asked;

static void send_file(int to, int fd)
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

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	TRY(sendmsg(to, &msg, 0));
	close(fd);
}

static void make_queue(void)
{
	TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, queue));
}

/* The end to write to goes with the queue, at once and for good. */
static void drop(int sig)
{
	char byte;

	(void)sig;
	if (read(reader, &byte, 1) >= 0)
		_exit(2);
	close(queue[0]);
	close(queue[1]);
	_exit(read(reader, &byte, 1) == 0 && recv(asked, &byte, 1, MSG_DONTWAIT) == 0 ? 0 : 3);
}

static void hold_ends(void)
{
	int ends[2], pair[2];

	make_queue();
	TRY(pipe2(ends, O_NONBLOCK));
	TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	reader = ends[0];
	asked = pair[0];
	send_file(queue[0], ends[1]);
	send_file(queue[0], pair[1]);
	signal(SIGUSR1, drop);
}

static void test_runs_on(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, hold_ends) };
	struct ckpt_err err = CKPT_ERR_INIT;
	int status = -1;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct ckpt_image image;

		if (proc_group_cycle(&params, &image, &err))
			fail_msg("refused: %s", err.text);
		ckpt_image_done(&image);
	}
	kill(params.pid, SIGUSR1);
	assert_int_equal(waitpid(params.pid, &status, 0), params.pid);
	assert_int_equal(status, 0);
}

/* --- what cannot come back --- */

static void hold_inotify(void)
{
	int fd = inotify_init1(0);

	make_queue();
	TRY(inotify_add_watch(fd, "/", IN_CREATE));
	send_file(queue[0], fd);
}

static void hold_locked(void)
{
	int fd = open(scratch("locked"), O_RDWR | O_CREAT, 0600);

	make_queue();
	TRY(flock(fd, LOCK_EX));
	send_file(queue[0], fd);
}

static void hold_terminal(void)
{
	make_queue();
	send_file(queue[0], posix_openpt(O_RDWR | O_NOCTTY));
}

static void hold_pidfd(void)
{
	make_queue();
	send_file(queue[0], syscall(SYS_pidfd_open, getpid(), 0));
}

static void hold_packets(void)
{
	int ends[2];

	make_queue();
	TRY(pipe2(ends, O_DIRECT));
	send_file(queue[0], ends[0]);
}

/* The other end is open here. */
static void hold_fifo(void)
{
	int fd = open(scratch("fifo"), O_RDONLY | O_NONBLOCK);

	make_queue();
	send_file(queue[0], fd);
}

/* One that waits in a socket that waits itself. */
static void hold_nested(void)
{
	int fd = inotify_init1(0), pair[2];

	make_queue();
	TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	send_file(pair[0], fd);
	send_file(queue[0], pair[1]);
}

#define ALONE "in which a descriptor waits that no process of the tree has open"

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_inotify, ALONE ", and which this version cannot restore: it leads to anon" },
		{ hold_locked, ALONE ", and which this version cannot restore: it has a lock" },
		{ hold_terminal, "it leads to /dev/" },
		{ hold_pidfd, "it leads to " },
		{ hold_packets, "a pipe in packet mode" },
		{ hold_fifo, "in which a descriptor waits that leads out of the tree" },
		{ hold_nested, ALONE },
	};
	int fd;

	(void)state;
	assert_int_equal(mkfifo(scratch("fifo"), 0600), 0);
	fd = open(scratch("fifo"), O_RDWR);
	assert_true(fd >= 0);
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	close(fd);
}

static int setup(void **state)
{
	return scratch_make(state) || cycle_setup(state);
}

static int teardown(void **state)
{
	return cycle_teardown(state) | scratch_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_openly),
		cmocka_unit_test(test_restored_twice),
		cmocka_unit_test(test_captured),
		cmocka_unit_test(test_runs_on),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("proc flight", tests, setup, teardown);
}
