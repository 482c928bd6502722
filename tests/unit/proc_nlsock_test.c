// SPDX-License-Identifier: GPL-2.0-or-later
/* Netlink sockets over a stop and a restore. Natively as root. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"

#define SOCKETS "netlink_sockets"
#define NUMBER 0x70000007u	/* of one of its sockets */

static void test_restored(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 }, again = { 0 };

	(void)state;
	cycle_save_program(SOCKETS, NULL, true, &s);
	cycle_restore_and_save(&s, 1000, &again);
	cycle_go_on(&again);
}

static void test_restored_with_host_pids(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_save_program(SOCKETS, NULL, false, &s);
	cycle_go_on(&s);
}

static void test_number_taken(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_pid = NUMBER };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	(void)state;
	cycle_save_program(SOCKETS, NULL, true, &s);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	cycle_preflight(&s.image, "cannot have its number 1879048199");
	close(fd);
	cycle_preflight(&s.image, NULL);
	cycle_go_on(&s);
}

/* A kernel with fewer groups. */
static void test_no_group(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	uint32_t *word = NULL;

	(void)state;
	cycle_save_program(SOCKETS, NULL, true, &s);
	for (size_t i = 0; i < s.image.n_nlsocks; i++) {
		struct ckpt_nlsock *n = &s.image.nlsocks[i];
		uint32_t *more = n->n_groups ? reallocarray(n->groups, 64, sizeof(*more)) : NULL;

		if (!more)
			continue;
		memset(more + n->n_groups, 0, (64 - n->n_groups) * sizeof(*more));
		n->groups = more;
		n->n_groups = 64;
		word = &more[63];
	}
	assert_non_null(word);
	*word = 1;
	cycle_preflight(&s.image, "cannot join its group 2017");
	*word = 0;
	cycle_preflight(&s.image, NULL);
}

static void hold_answer(void)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} ask = { { sizeof(ask), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0 }, { 0 } };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (send(fd, &ask, sizeof(ask), 0) != sizeof(ask))
		_exit(1);
}

/* What it has told the kernel ends with it. */
static void hold_generic(void)
{
	if (socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC) < 0)
		_exit(1);
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_answer, "with an answer that is not read" },
		{ hold_generic, "of another protocol than route, diag and uevent" },
	};

	(void)state;
	proc_group_refusals(cases, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_with_host_pids),
		cmocka_unit_test(test_number_taken),
		cmocka_unit_test(test_no_group),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("proc nlsock", tests, cycle_setup, cycle_teardown);
}
