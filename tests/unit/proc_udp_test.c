// SPDX-License-Identifier: GPL-2.0-or-later
/* UDP sockets over a stop and a restore. Natively as root. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/aside.h"
#include "lib/proc_group.h"
#include "lib/restore_cycle.h"

#define SOCKETS "udp_sockets"

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	cycle_save_program(SOCKETS, NULL, private, &s);
	cycle_go_on(&s);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_with_host_pids(void **state)
{
	(void)state;
	restored(false);
}

/* What a restore has made is captured like what was there first. */
static void test_restored_again(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 }, again = { 0 };

	(void)state;
	cycle_save_program(SOCKETS, NULL, true, &s);
	cycle_restore_and_save(&s, 1000, &again);
	cycle_go_on(&again);
}

/* Nothing of a look at it is left, also when the keeper is killed in the midst of it. */
static void test_undisturbed(void **state)
{
	char dir[] = "/tmp/ckpt-udp-test-XXXXXX", reached[64], text[4096];
	int status = -1;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid = aside_start(SOCKETS, dir, NULL, NULL);
	aside_wait(dir, "said", "ready");
	snprintf(reached, sizeof(reached), "%s/reached", dir);
	for (int i = 0; i < 6; i++) {
		const struct ckpt_stop_params params = { .pid = pid };
		struct ckpt_err err = CKPT_ERR_INIT;
		char point[32];

		snprintf(point, sizeof(point), "keeper.peeked:%d", i + 1);
		setenv("CKPT_FAULT_REACHED", reached, 1);
		setenv("CKPT_FAULT", point, 1);
		assert_int_equal(proc_group_cycle(&params, NULL, &err), -1);
		unsetenv("CKPT_FAULT");
		unsetenv("CKPT_FAULT_REACHED");
		aside_wait(dir, "reached", "keeper.peeked");
		unlink(reached);
		err = (struct ckpt_err)CKPT_ERR_INIT;
		if (proc_group_cycle(&params, NULL, &err))
			fail_msg("after %s: %s", point, err.text);
	}
	aside_touch(dir, "go");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	aside_read(dir, "said", text, sizeof(text));
	if (status)
		fail_msg("it ended with 0x%x: %s", status, text);
	assert_non_null(strstr(text, "all well"));
	aside_remove(dir);
}

/* --- refused --- */

static void must(int result)
{
	if (result < 0)
		_exit(1);
}

static int bound(struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET };
	ret->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(fd, (struct sockaddr *)ret, len));
	must(getsockname(fd, (struct sockaddr *)ret, &len));
	return fd;
}

static void set(int fd, int level, int name, int value)
{
	must(setsockopt(fd, level, name, &value, sizeof(value)));
}

static void fill(int fd, const struct sockaddr_in *to)
{
	must(sendto(fd, "x", 1, 0, (const struct sockaddr *)to, sizeof(*to)));
}

/* Nobody is there any more: the answer to what is sent is an error. */
static void hold_error(void)
{
	struct sockaddr_in a;
	int gone = bound(&a), fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	close(gone);
	must(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	must(send(fd, "x", 1, 0));
}

static void hold_corked(void)
{
	struct sockaddr_in a;
	int fd = bound(&a);

	must(sendto(fd, "half", 4, MSG_MORE, (struct sockaddr *)&a, sizeof(a)));
}

static void hold_told_more(void)
{
	struct sockaddr_in a;
	int fd = bound(&a);

	set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	fill(fd, &a);
}

static void hold_ahead(void)
{
	struct sockaddr_in a;
	int fd = bound(&a);

	set(fd, SOL_SOCKET, SO_PEEK_OFF, 0);
	fill(fd, &a);
}

static void hold_encap(void)
{
	struct sockaddr_in a;
	int fd = bound(&a);

	set(fd, IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP);
}

static void hold_of_interface(void)
{
	struct sockaddr_in a;
	int fd = bound(&a);

	fill(fd, &a);
	must(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
}

static void hold_shared(void)
{
	struct sockaddr_in a;
	int fd = bound(&a);

	set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	fill(fd, &a);
}

/* To all hosts of a network: nothing that a restore could send to. */
static void hold_for_many(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(0x7fffffff);	/* the broadcast address of lo */
	set(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (bind(fd, (struct sockaddr *)&a, len))
		proc_group_lacks(EADDRNOTAVAIL);
	must(getsockname(fd, (struct sockaddr *)&a, &len));
	fill(fd, &a);
}

static void hold_ip_options(void)
{
	const char record_route[8] = { 7, 7, 4, 0, 0, 0, 0, 0 };
	struct sockaddr_in a;

	must(setsockopt(bound(&a), IPPROTO_IP, IP_OPTIONS, record_route, sizeof(record_route)));
}

/* One that tells nothing but how it was routed to. */
static void hold_sticky_options(void)
{
	struct { uint8_t next, len, pad[6]; } none = { 0, 0, { 1, 4 } };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	must(setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, &none, sizeof(none)));
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_error, "with an error that is not read" },
		{ hold_corked, "with a datagram that is being made" },
		{ hold_told_more, "with unread datagrams that are told with more" },
		{ hold_ahead, "with unread data and SO_PEEK_OFF" },
		{ hold_encap, "(UDP_ENCAP)" },
		{ hold_of_interface, "(SO_BINDTODEVICE)" },
		{ hold_for_many, "with unread datagrams that cannot come by lo" },
		{ hold_ip_options, "with IP options" },
		{ hold_sticky_options, "with IP options" },
		{ hold_shared, "at a port that others may share" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

/* Its address is somebody else's now. */
static void test_port_taken(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct sockaddr_in a;
	int fd;

	(void)state;
	cycle_save_program(SOCKETS, NULL, true, &s);
	for (size_t i = 0; i < s.image.n_udps; i++) {
		if (s.image.udps[i].local_len == sizeof(a))
			memcpy(&a, s.image.udps[i].local, sizeof(a));
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	cycle_preflight(&s.image, "a UDP socket of the checkpoint cannot have its address");
	close(fd);
	cycle_preflight(&s.image, NULL);
	cycle_go_on(&s);
}

/* An image that would have a packet sent elsewhere. */
static void test_sent_nowhere(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct sockaddr_in *from = NULL, was;

	(void)state;
	cycle_save_program(SOCKETS, NULL, true, &s);
	for (size_t i = 0; i < s.image.n_udps; i++) {
		if (s.image.udps[i].n_datagrams && s.image.udps[i].local_len == sizeof(*from))
			from = (struct sockaddr_in *)s.image.udps[i].datagrams[0].from;
	}
	assert_non_null(from);
	was = *from;
	from->sin_addr.s_addr = 0;
	cycle_preflight(&s.image, "unread datagram that cannot come to it on this machine");
	*from = was;
	cycle_preflight(&s.image, NULL);
	cycle_go_on(&s);
}

/* On a machine without the interface. */
static void test_no_interface(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *name = NULL;

	(void)state;
	cycle_save_program(SOCKETS, NULL, true, &s);
	for (size_t i = 0; i < s.image.n_udps; i++) {
		if (s.image.udps[i].n_groups)
			name = s.image.udps[i].groups[0].interface;
	}
	assert_string_equal(name, "lo");
	name[0] = 'x';
	cycle_preflight(&s.image, "is in a multicast group on xo, which is not here");
	name[0] = 'l';
	cycle_go_on(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_with_host_pids),
		cmocka_unit_test(test_restored_again),
		cmocka_unit_test(test_undisturbed),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_port_taken),
		cmocka_unit_test(test_sent_nowhere),
		cmocka_unit_test(test_no_interface),
	};

	return cmocka_run_group_tests_name("proc udp", tests, cycle_setup, cycle_teardown);
}
