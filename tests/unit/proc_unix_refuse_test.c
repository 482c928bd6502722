// SPDX-License-Identifier: GPL-2.0-or-later
/* Unix sockets that cannot come back as they were: refused, and the process runs on. As root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/scratch.h"

#define TRY(call) do { if ((call) < 0) _exit(1); } while (0)

static int pair[2];

static void make_pair(int type)
{
	TRY(socketpair(AF_UNIX, type, 0, pair));
}

static void put(int fd, const char *text)
{
	TRY(send(fd, text, strlen(text), 0));
}

static void set(int fd, int name, int value)
{
	TRY(setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value)));
}

static struct sockaddr_un name(const char *text)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (*text == '@')
		snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s-%d", text + 1, getppid());
	else
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", scratch(text));
	return un;
}

static int bound(int type, const char *text)
{
	const struct sockaddr_un un = name(text);
	int fd = socket(AF_UNIX, type, 0);

	TRY(bind(fd, (const struct sockaddr *)&un, sizeof(un)));
	return fd;
}

static void connect_to(int fd, const char *text)
{
	const struct sockaddr_un un = name(text);

	TRY(connect(fd, (const struct sockaddr *)&un, sizeof(un)));
}

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
}

static void hold_outside(void)
{
	connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "@ckpt-outside");
}

static void hold_outside_datagram(void)
{
	connect_to(socket(AF_UNIX, SOCK_DGRAM, 0), "@ckpt-outside-letters");
}

static void hold_urgent(void)
{
	make_pair(SOCK_STREAM);
	if (send(pair[0], "u", 1, MSG_OOB) != 1)
		proc_group_lacks(0);
}

static void hold_credentials(void)
{
	make_pair(SOCK_DGRAM);
	set(pair[1], SO_PASSCRED, 1);
	put(pair[0], "who am I");
}

static void hold_look_ahead(void)
{
	make_pair(SOCK_STREAM);
	set(pair[1], SO_PEEK_OFF, 0);
	put(pair[0], "look");
}

static void hold_closed_file(void)
{
	int fd = inotify_init1(0);

	make_pair(SOCK_STREAM);
	put(pair[0], "first");
	send_file(pair[0], 0);
	send_file(pair[0], fd);
	close(fd);
}

static void hold_waiting_pidfd(void)
{
	int fd = syscall(SYS_pidfd_open, getpid(), 0);

	make_pair(SOCK_STREAM);
	send_file(pair[0], fd);
}

static void hold_unknown_sender(void)
{
	int inbox = bound(SOCK_DGRAM, "@ckpt-inbox"), out = socket(AF_UNIX, SOCK_DGRAM, 0);

	connect_to(out, "@ckpt-inbox");
	put(out, "guess who");
	TRY(inbox);
}

static void hold_hidden(void)
{
	char byte;

	make_pair(SOCK_DGRAM);
	put(pair[0], "one");
	put(pair[0], "");
	put(pair[0], "three");
	set(pair[1], SO_PEEK_OFF, 3);
	TRY(recv(pair[1], &byte, 1, MSG_PEEK));
	set(pair[1], SO_PEEK_OFF, -1);
}

static void hold_filter(void)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0xffff);
	const struct sock_fprog program = { .len = 1, .filter = &all };

	make_pair(SOCK_DGRAM);
	TRY(setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
}

static void hold_links(void)
{
	const struct sockaddr_un un = name("linked");
	char other[128];

	snprintf(other, sizeof(other), "%.100s.2", un.sun_path);
	bound(SOCK_STREAM, "linked");
	TRY(link(un.sun_path, other));
}

static void hold_left_pair(void)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	make_pair(SOCK_DGRAM);
	TRY(connect(pair[0], &none, sizeof(none)));
}

static void hold_deaf(void)
{
	int fd = bound(SOCK_STREAM, "@ckpt-deaf");

	TRY(listen(fd, 1));
	TRY(shutdown(fd, SHUT_RD));
}

static void hold_two_names(void)
{
	int server = bound(SOCK_STREAM, "@ckpt-server");
	int client = bound(SOCK_STREAM, "@ckpt-client");

	TRY(listen(server, 1));
	connect_to(client, "@ckpt-server");
	TRY(accept(server, NULL, NULL));
}

/* The other end is 0, and connected to the outside: after a restore it is another file. */
static void hold_friend_of_outer(void)
{
	int outer = bound(SOCK_DGRAM, "@ckpt-outer"), fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	connect_to(fd, "@ckpt-outer");
	connect_to(outer, "@ckpt-outside-letters");
	TRY(dup2(outer, 0));
	close(outer);
}

static void hold_outer_file(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	connect_to(fd, "@ckpt-outside");
	TRY(dup2(fd, 0));
	close(fd);
	make_pair(SOCK_STREAM);
	send_file(pair[0], 0);
}

static void hold_attribute(void)
{
	bound(SOCK_STREAM, "marked");
	if (setxattr(scratch("marked"), "trusted.ckpt", "1", 1, 0))
		proc_group_lacks(0);
}

/* What came before it was connected. */
static void hold_older_message(void)
{
	int fd = bound(SOCK_DGRAM, "@ckpt-asked"), out = bound(SOCK_DGRAM, "@ckpt-asks");

	bound(SOCK_DGRAM, "@ckpt-other");
	connect_to(out, "@ckpt-asked");
	put(out, "first");
	connect_to(fd, "@ckpt-other");
}

static void hold_other_friend(void)
{
	make_pair(SOCK_DGRAM);
	bound(SOCK_DGRAM, "@ckpt-friend");
	connect_to(pair[0], "@ckpt-friend");
}

/* Its peer has left it with messages that it had not read. */
static void hold_error(void)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	make_pair(SOCK_DGRAM);
	put(pair[0], "unheard");
	TRY(connect(pair[1], &none, sizeof(none)));
}

/* What a process of the tree connects to; its names are those of our children's parent. */
static void listen_outside(void)
{
	static const char *const names[] = { "ckpt-outside", "ckpt-outside-letters" };
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };

	for (int i = 0; i < 2; i++) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);

		snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s-%d", names[i], getpid());
		assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
		assert_true(types[i] == SOCK_DGRAM || !listen(fd, 5));
	}
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_outside, "that is connected to @ckpt-outside-" },
		{ hold_outside_datagram, ", outside the tree, which" },
		{ hold_urgent, "with out-of-band data that was not read" },
		{ hold_credentials, "(SO_PASSCRED, SO_TIMESTAMP)" },
		{ hold_look_ahead, "with unread data and SO_PEEK_OFF" },
		{ hold_closed_file, "a descriptor waits that no process of the tree has open" },
		{ hold_waiting_pidfd, "in which a pidfd, an io_uring or a file of procfs waits" },
		{ hold_unknown_sender, "messages wait whose sender is not known" },
		{ hold_hidden, "with unread messages that do not show" },
		{ hold_filter, "has a filter on socket" },
		{ hold_links, "whose file has several names" },
		{ hold_left_pair, "that was connected before" },
		{ hold_deaf, "that listens and is shut" },
		{ hold_two_names, "that is connected, with a name at both ends" },
		{ hold_friend_of_outer, "that is connected to one which leads out of the tree" },
		{ hold_outer_file, "in which a descriptor waits that leads out of the tree" },
		{ hold_attribute, "whose file has extended attributes or an ACL" },
		{ hold_older_message, "that are not from the one that it is connected to" },
		{ hold_other_friend, "that has left the other one of its pair" },
		{ hold_error, "with an error that was not told yet" },
	};

	(void)state;
	listen_outside();
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

static void hold_standard(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	TRY(setsid());
	connect_to(fd, "@ckpt-outside");
	TRY(dup2(fd, 0));
	TRY(dup2(fd, 1));
	close(fd);
}

/* A restore gives its own. */
static void lets_standard_descriptors_lead_out(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, hold_standard) };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;
	size_t outer = 0;

	(void)state;
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("refused: %s", err.text);
	for (size_t i = 0; i < image.n_files; i++)
		outer += image.files[i].kind == CKPT_FILE_OUTER;
	assert_int_equal(outer, 1);
	assert_int_equal(ckpt_image_check(&image, &err), 0);
	ckpt_image_done(&image);
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(lets_standard_descriptors_lead_out),
	};

	return cmocka_run_group_tests_name("proc unix refuse", tests, scratch_make,
					   scratch_remove);
}
