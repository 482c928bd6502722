// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP sockets that cannot come back as they are: refused by name, and they go on. */
#include <errno.h>
#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/proc_group.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define MANY 110
#define FEW_FDS 100	/* that are not enough for them */

/* Of a listener outside of whoever is looked at, with no room for one more; and one with room. */
static struct sockaddr_in full, roomy;

static void must(int result)
{
	if (result < 0)
		_exit(1);
}

static void set(int fd, int level, int name, int value)
{
	must(setsockopt(fd, level, name, &value, sizeof(value)));
}

static struct sockaddr_in listen_at(int *ret, int backlog)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*ret = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(*ret, (struct sockaddr *)&a, len));
	must(listen(*ret, backlog));
	must(getsockname(*ret, (struct sockaddr *)&a, &len));
	return a;
}

static int connect_to(const struct sockaddr_in *a, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) && errno != EINPROGRESS)
		_exit(1);
	return fd;
}

static void make_pair(int ret[2])
{
	int listener;
	struct sockaddr_in a = listen_at(&listener, 1);

	ret[0] = connect_to(&a, 0);
	ret[1] = accept(listener, NULL, NULL);
	must(ret[1]);
	close(listener);
}

static void hold_waiting(void)
{
	int listener;
	struct sockaddr_in a = listen_at(&listener, 5);

	connect_to(&a, 0);
}

/* By a call that waits, in a child. */
static void hold_connecting(void)
{
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(3);
		connect_to(&full, 0);
	}
	usleep(50000);
}

static void hold_itself(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(fd, (struct sockaddr *)&a, len));
	must(getsockname(fd, (struct sockaddr *)&a, &len));
	must(connect(fd, (struct sockaddr *)&a, len));
}

static void hold_urgent(void)
{
	int ends[2];

	make_pair(ends);
	must(send(ends[0], "x", 1, MSG_OOB));
}

/* An urgent byte, which was read, amid others that were not: so many before it and behind. */
static void read_urgent(int ends[2], const char *before, const char *behind)
{
	struct pollfd p = { .events = POLLPRI };
	char c;

	make_pair(ends);
	must(send(ends[0], before, strlen(before), 0));
	must(send(ends[0], "x", 1, MSG_OOB));
	must(send(ends[0], behind, strlen(behind), 0));
	p.fd = ends[1];
	must(poll(&p, 1, 1000) == 1 ? 0 : -1);
	must(recv(ends[1], &c, 1, MSG_OOB) == 1 ? 0 : -1);
	/* of what was sent last the poll did not tell */
	usleep(20000);
}

static void hold_urgent_within(void)
{
	int ends[2];

	read_urgent(ends, "abc", "defg");
}

static void hold_urgent_first(void)
{
	int ends[2];

	read_urgent(ends, "", "defg");
}

static void hold_urgent_last(void)
{
	int ends[2];

	read_urgent(ends, "abc", "");
}

static void hold_urgent_next(void)
{
	int ends[2];
	char c[3];

	read_urgent(ends, "abc", "defg");
	must(recv(ends[1], c, sizeof(c), 0) == 3 ? 0 : -1);
}

/* One byte behind the mark, it is as if it had never been. */
static void hold_urgent_passed(void)
{
	int ends[2];
	char c[3];

	read_urgent(ends, "abc", "defg");
	must(recv(ends[1], c, sizeof(c), 0) == 3 ? 0 : -1);
	must(recv(ends[1], c, 1, 0) == 1 && c[0] == 'd' ? 0 : -1);
}

static void hold_urgent_ended(void)
{
	int ends[2];

	read_urgent(ends, "abc", "defg");
	must(shutdown(ends[0], SHUT_WR));
	usleep(20000);
}

/* Another reader would get it once more, in its place. */
static void hold_urgent_inline(void)
{
	int ends[2];

	read_urgent(ends, "abc", "defg");
	set(ends[1], SOL_SOCKET, SO_OOBINLINE, 1);
}

static void hold_peeked(void)
{
	int ends[2];
	const int none = 0;

	make_pair(ends);
	if (setsockopt(ends[0], SOL_SOCKET, SO_PEEK_OFF, &none, sizeof(none)))
		proc_group_lacks(0);
}

static void hold_interface(void)
{
	must(setsockopt(socket(AF_INET, SOCK_STREAM, 0), SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
}

static void hold_ip_options(void)
{
	static const unsigned char options[4] = { 1, 1, 1, 0 };

	must(setsockopt(socket(AF_INET, SOCK_STREAM, 0), IPPROTO_IP, IP_OPTIONS, options,
			sizeof(options)));
}

static void hold_upper(void)
{
	int ends[2];

	make_pair(ends);
	if (setsockopt(ends[0], IPPROTO_TCP, TCP_ULP, "tls", 3))
		proc_group_lacks(ENOENT);
}

static void hold_repair(void)
{
	set(socket(AF_INET, SOCK_STREAM, 0), IPPROTO_TCP, TCP_REPAIR, 1);
}

static void hold_error(void)
{
	struct pollfd p = { .events = 0 };
	int ends[2];

	make_pair(ends);
	set(ends[0], SOL_SOCKET, SO_TIMESTAMPING,
	    SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE);
	must(send(ends[0], "x", 1, 0));
	p.fd = ends[0];
	must(poll(&p, 1, 1000) == 1 ? 0 : -1);
}

static void hold_sending(void)
{
	static char buf[100000];
	int ends[2];

	make_pair(ends);
	while (send(ends[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	must(close(ends[0]));
}

/* A child that holds one byte back, nearly all of the time. */
static void hold_one_byte(void)
{
	int ends[2];

	make_pair(ends);
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(3);
	for (;;) {
		set(ends[0], IPPROTO_TCP, TCP_CORK, 1);
		must(send(ends[0], "x", 1, 0));
		usleep(50000);
		set(ends[0], IPPROTO_TCP, TCP_CORK, 0);
	}
}

/* Between two of its sockets; a plain one makes a plain connection. */
static void hold_mptcp(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP), fd;
	socklen_t len = sizeof(a);

	if (listener < 0)
		proc_group_lacks(EPROTONOSUPPORT);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(listener, (struct sockaddr *)&a, len));
	must(listen(listener, 1));
	must(getsockname(listener, (struct sockaddr *)&a, &len));
	fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	must(connect(fd, (struct sockaddr *)&a, len));
	must(accept(listener, NULL, NULL));
}

static void hold_many(void)
{
	for (int i = 0; i < MANY; i++)
		connect_to(&roomy, 0);
}

/* Return: connections that are known, in a process of its own with few descriptors. */
static int count_known(pid_t pid)
{
	const struct ckpt_stop_params params = { .pid = pid, .tcp_repair = true };
	const struct rlimit few = { FEW_FDS, FEW_FDS };
	struct ckpt_image image = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	int n = 0;

	if (setrlimit(RLIMIT_NOFILE, &few) || proc_group_cycle(&params, &image, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	for (size_t i = 0; i < image.n_tcps; i++)
		n += !!(image.tcps[i].flags & CKPT_TCP_F_KNOWN);
	ckpt_image_done(&image);
	return n;
}

/* For want of descriptors some stay unknown, and nothing fails. */
static void takes_many(void **state)
{
	int listener, status;
	pid_t held, pid;

	(void)state;
	roomy = listen_at(&listener, MANY);
	held = proc_group_spawn(NULL, hold_many);
	pid = fork();
	if (!pid)
		_exit(count_known(held));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_in_range(WEXITSTATUS(status), 1, MANY - 1);
	kill(held, SIGKILL);
	waitpid(held, NULL, 0);
	close(listener);
}

static void refuses_tcp(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_waiting, "with connections that wait to be accepted" },
		{ hold_connecting, "whose connection is being made" },
		{ hold_itself, "connected with itself" },
		{ hold_urgent, "with urgent data" },
		{ hold_urgent_within, "with urgent data" },
		{ hold_urgent_first, "with urgent data" },
		{ hold_urgent_last, "with urgent data" },
		{ hold_urgent_next, "with urgent data" },
		{ hold_urgent_ended, "with urgent data" },
		{ hold_urgent_inline, "with urgent data" },
		{ hold_peeked, "that remembers how far was peeked (SO_PEEK_OFF)" },
		{ hold_interface, "that is bound to an interface" },
		{ hold_ip_options, "with IP options" },
		{ hold_upper, "with a protocol on top of it in the kernel (TCP_ULP)" },
		{ hold_repair, "in repair mode" },
		{ hold_error, "with an error that is not read" },
		{ hold_sending, "whose other end was closed and is still sending" },
		{ hold_mptcp, "that is connected by MPTCP" },
	};
	int listener, fds[2];

	(void)state;
	full = listen_at(&listener, 0);
	fds[0] = connect_to(&full, SOCK_NONBLOCK);
	fds[1] = connect_to(&full, SOCK_NONBLOCK);
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	close(fds[0]);
	close(fds[1]);
	close(listener);
}

static void takes_passed(void **state)
{
	const pid_t pid = proc_group_spawn(NULL, hold_urgent_passed);
	const struct ckpt_stop_params params = { .pid = pid };
	struct ckpt_image image = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	size_t unread = 0;

	(void)state;
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < image.n_tcps; i++)
		unread += image.tcps[i].n_unread;
	assert_int_equal(unread, 3);
	ckpt_image_done(&image);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

/* The kernel lets it go after a while: on a busy machine that may be sooner. */
static void refuses_one_byte(void **state)
{
	const struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, hold_one_byte) };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	for (int i = 0; i < 50 && !strstr(err.text, "with a byte that waits to be sent"); i++) {
		err = (struct ckpt_err)CKPT_ERR_INIT;
		proc_group_cycle(&params, NULL, &err);
	}
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "with a byte that waits to be sent"));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_tcp),
		cmocka_unit_test(takes_passed),
		cmocka_unit_test(takes_many),
		cmocka_unit_test(refuses_one_byte),
	};

	return cmocka_run_group_tests_name("proc tcp refuse", tests, NULL, NULL);
}
