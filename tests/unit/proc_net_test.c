// SPDX-License-Identifier: GPL-2.0-or-later
/* A tree in a network namespace of its own over a restore. Natively as root. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_addr.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"
#include "proc/build.h"
#include "proc/image-check.h"
#include "proc/net.h"
#include "proc/tcp.h"

static const char *setting(const struct ckpt_image *image, const char *name)
{
	for (size_t i = 0; i < image->net->n_settings; i++) {
		const struct ckpt_net_setting *s = &image->net->settings[i];

		if (!strcmp(s->name, name))
			return s->usual ? "as usual" : s->value;
	}
	return "none";
}

static void check_image(const struct ckpt_image *image)
{
	const struct ckpt_net *net = image->net;

	assert_int_equal(image->n_net, 1);
	assert_true(net->up);
	assert_int_equal(net->mtu, 9000);
	assert_string_equal(setting(image, "ipv4/ip_local_port_range"), "500\t20000");
	assert_string_equal(setting(image, "ipv4/conf/lo/forwarding"), "1");
	assert_string_equal(setting(image, "ipv4/conf/default/forwarding"), "as usual");
	assert_string_equal(setting(image, "ipv4/tcp_syn_retries"), "as usual");
	assert_string_equal(setting(image, "ipv4/route/flush"), "none");
}

/* A program of the tests of sockets, which looks after its own. */
static void save(const char *name, bool private, struct saved *s)
{
	cleanup_free char *network = cycle_program("own_network");
	cleanup_free char *program = cycle_program(name);
	char *argv[] = { network, program, NULL };

	cycle_start_and_save(argv, private, "ready", s);
	check_image(&s->image);
}

static void restored(const char *name, bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	save(name, private, &first);
	cycle_restore_and_save(&first, 0, &second);
	check_image(&second.image);
	cycle_go_on(&second);
	assert_null(strstr(cycle_read_output(), "network:"));
}

static void test_tcp(void **state)
{
	(void)state;
	restored("tcp_sockets", true);
}

static void test_tcp_beside_us(void **state)
{
	(void)state;
	restored("tcp_sockets", false);
}

static void test_unix(void **state)
{
	(void)state;
	restored("unix_sockets", true);
}

static void test_unix_beside_us(void **state)
{
	(void)state;
	restored("unix_sockets", false);
}

/* Where its pids are taken it moves to another pid namespace, with the same network. */
static void test_moved(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	save("tcp_sockets", false, &s);
	cycle_taken = s.image.tasks[0].pid;
	cycle_go_on(&s);
	cycle_taken = 0;
	assert_null(strstr(cycle_read_output(), "network:"));
}

static void test_shared_with_us(void **state)
{
	char *shared[] = { "sh", "-c", "echo ready; sleep 1000", NULL };
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_start_and_save(shared, true, "ready", &s);
	assert_int_equal(s.image.n_net, 0);
}

/* Runs @commands in a new namespace, and says whether all that they show is the same later. */
static void shows_the_same(const char *commands, bool private)
{
	static const char form[] = "%s; show() { ip -d addr; ip -d route show table all; ip rule; "
		"grep -r . /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/neigh 2>/dev/null; }; "
		"sleep 0.1; before=$(show); echo ready; while [ ! -e go ]; do sleep 0.05; done; "
		"after=$(show); [ \"$after\" = \"$before\" ] || echo \"wrong: $before $after\"; "
		"echo all well";
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };
	char script[2048];
	char *argv[] = { "unshare", "-n", "sh", "-c", script, NULL };

	snprintf(script, sizeof(script), form, commands);
	cycle_start_and_save(argv, private, "ready", &first);
	cycle_restore_and_save(&first, 0, &second);
	cycle_go_on(&second);
	assert_null(strstr(cycle_read_output(), "wrong"));
}

static void test_lo_down(void **state)
{
	(void)state;
	shows_the_same("true", true);
	shows_the_same("ip addr add 10.1.1.1/8 dev lo", false);
}

static void test_addresses(void **state)
{
	(void)state;
	shows_the_same("ip link set lo up; ip addr add 10.1.1.1/24 brd + dev lo label lo:x; "
		       "ip addr add 10.1.1.2/24 dev lo; ip addr add 10.1.1.3/24 dev lo; "
		       "ip addr add 10.2.0.1 peer 10.2.0.2/30 dev lo noprefixroute metric 7; "
		       "ip addr add 2001:db8::1/64 dev lo; "
		       "ip addr add 2001:db8::2/64 dev lo nodad noprefixroute; "
		       "ip addr add fe80::1/64 dev lo scope link", true);
	shows_the_same("ip link set lo up; ip addr del 127.0.0.1/8 dev lo; "
		       "ip addr add 127.0.0.2/8 dev lo; ip addr add 127.0.0.1/8 dev lo; "
		       "ip addr del ::1/128 dev lo", false);
}

/* Makes namespaces until it is killed, for the lock that all changes of networks wait for. */
static pid_t keep_busy(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!unshare(CLONE_NEWNET))
			;
		_exit(1);
	}
	assert_true(pid > 0);
	return pid;
}

/* The kernel makes the route of an IPv6 address later, and of one without DAD says nothing. */
static void test_routes_come_later(void **state)
{
	pid_t busy[4];

	(void)state;
	for (size_t i = 0; i < sizeof(busy) / sizeof(*busy); i++)
		busy[i] = keep_busy();
	for (int i = 0; i < 5; i++)
		shows_the_same("ip link set lo up; for i in $(seq 1000 1099); do "
			       "echo addr add 2001:db8::$i/64 dev lo nodad noprefixroute; done | "
			       "ip -batch -; sleep 1", true);
	for (size_t i = 0; i < sizeof(busy) / sizeof(*busy); i++) {
		/* it was, until now */
		assert_int_equal(waitpid(busy[i], NULL, WNOHANG), 0);
		kill(busy[i], SIGKILL);
		waitpid(busy[i], NULL, 0);
	}
}

/* Some of them are made by others, and some undo others. */
static void test_settings(void **state)
{
	(void)state;
	shows_the_same("cd /proc/sys/net; ip link set lo mtu 1400 txqueuelen 5 up; "
		       "echo 1 >ipv6/conf/all/disable_ipv6; echo 3500 >ipv6/conf/lo/mtu; "
		       "echo 1 >ipv4/conf/all/forwarding; echo 0 >ipv4/conf/lo/forwarding; cd -",
		       true);
	shows_the_same("cd /proc/sys/net; ip link set lo up; "
		       "echo 2001:db8::5 >ipv6/conf/default/stable_secret; "
		       "echo 0 >ipv6/conf/default/addr_gen_mode; "
		       "echo 12345 >ipv4/neigh/lo/base_reachable_time_ms; "
		       "echo 1 >ipv6/conf/all/disable_ipv6; echo 0 >ipv6/conf/all/disable_ipv6; "
		       "cd -", false);
}

static int put(void *arg, struct ckpt_err *err)
{
	(void)err;
	return system(arg);
}

static void in_there(const char *command)
{
	cycle_inside("net", put, (char *)command);
}

static void start(char *const *argv, int in, const char *word, struct ckpt_init *init)
{
	struct ckpt_init_params p = cycle_init_params(argv, true);
	struct ckpt_err err = CKPT_ERR_INIT;

	if (in >= 0)
		dup3(in, p.stdio[0], O_CLOEXEC);
	cycle_check(ckpt_init_spawn(&p, init, &err), &err);
	cycle_close_stdio(p.stdio);
	cycle_wait_output(word);
}

static void save_started(struct ckpt_init *init, struct saved *s)
{
	cycle_save(s);
	waitpid(init->pid, NULL, 0);
	ckpt_init_close(init);
	cycle_wait_empty();
}

/* Less than its sockets have already. */
static void test_limits(void **state)
{
	cleanup_free char *network = cycle_program("own_network");
	cleanup_free char *program = cycle_program("tcp_sockets");
	char *argv[] = { network, program, NULL };
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };
	struct ckpt_init init = CKPT_INIT_NONE;

	(void)state;
	start(argv, -1, "ready", &init);
	in_there("echo 3 >/proc/sys/net/core/somaxconn; "
		 "echo 2 >/proc/sys/net/unix/max_dgram_qlen");
	save_started(&init, &first);
	assert_string_equal(setting(&first.image, "core/somaxconn"), "3");
	cycle_restore_and_save(&first, 0, &second);
	assert_string_equal(setting(&second.image, "core/somaxconn"), "3");
	assert_string_equal(setting(&second.image, "unix/max_dgram_qlen"), "2");
	cycle_go_on(&second);
}

/* A socket takes as many datagrams as one that was made there, and not more. */
static void test_datagrams(void **state)
{
	static char script[] = "import os, socket, time\n"
		"take = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
		"take.bind('\\0take')\n"
		"give = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
		"give.setblocking(False)\n"
		"def count():\n"
		"    n = 0\n"
		"    try:\n"
		"        while n < 200:\n"
		"            give.sendto(b'x', '\\0take')\n"
		"            n += 1\n"
		"    except BlockingIOError:\n"
		"        pass\n"
		"    for i in range(n):\n"
		"        take.recv(1)\n"
		"    return n\n"
		"before = count()\n"
		"print('ready', flush=True)\n"
		"while not os.path.exists('go'):\n"
		"    time.sleep(0.05)\n"
		"after = count()\n"
		"print('all well' if 1 < before == after < 200 else (before, after), flush=True)\n";
	char *argv[] = { "unshare", "-n", "/usr/bin/python3", "-c", script, NULL };
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	char go[96];

	(void)state;
	start(argv, -1, "ready", &init);
	save_started(&init, &s);
	assert_int_equal(s.image.n_net, 1);
	cycle_restore(&s, &r, &result);
	snprintf(go, sizeof(go), "%s/go", cycle_dir);
	close(open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	cycle_finish(r, 0);
	unlink(go);
	if (!strstr(cycle_read_output(), "all well"))
		fail_msg("%s", cycle_read_output());
}

static int listen_there(void *arg, struct ckpt_err *err)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(7777),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)err;
	*(int *)arg = fd;
	return fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) || listen(fd, 1);
}

/* Who is in its network, but not in the tree, is not there after a restore: it is reset. */
static void test_connected_to_outside(void **state)
{
	static char script[] = "trap \"\" PIPE; ip link set lo up; echo up; "
		"while [ ! -e dial ]; do sleep 0.05; done; exec 5<>/dev/tcp/127.0.0.1/7777; "
		"echo ready; "
		"while [ ! -e go ]; do sleep 0.05; done; "
		"read -t 5 line <&5 && echo something came; echo x >&5 && echo it goes on; "
		"echo all well";
	char *argv[] = { "unshare", "-n", "bash", "-c", script, NULL };
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	cleanup_close int listener = -1, other = -1;
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	char go[96];

	(void)state;
	start(argv, -1, "up", &init);
	cycle_inside("net", listen_there, &listener);
	snprintf(go, sizeof(go), "%s/dial", cycle_dir);
	close(open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(other >= 0);
	cycle_wait_output("ready");
	unlink(go);
	cycle_tcp_repair = true;
	save_started(&init, &s);
	assert_int_equal(s.image.n_tcps, 1);
	assert_false(s.image.tcps[0].flags & CKPT_TCP_F_KNOWN);
	cycle_restore(&s, &r, &result);
	cycle_tcp_repair = false;
	assert_int_equal(result.tcp_repaired, 0);
	assert_int_equal(result.tcp_reset, 1);
	assert_non_null(strstr(result.tcp_why, "the network namespace that the tree has left"));
	snprintf(go, sizeof(go), "%s/go", cycle_dir);
	close(open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	cycle_finish(r, 0);
	unlink(go);
	assert_non_null(strstr(cycle_read_output(), "all well"));
	assert_null(strstr(cycle_read_output(), "came"));
	assert_null(strstr(cycle_read_output(), "goes on"));
}

/* Standard descriptors are those of the restore, also where they lead into another network. */
static void test_standard_socket(void **state)
{
	static char script[] = "echo ready; while [ ! -e go ]; do sleep 0.05; done; "
			       "readlink /proc/self/fd/0; echo all well";
	char *argv[] = { "unshare", "-n", "bash", "-c", script, NULL };
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_init init = CKPT_INIT_NONE;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	start(argv, ends[0], "ready", &init);
	save_started(&init, &s);
	close(ends[0]);
	close(ends[1]);
	cycle_go_on(&s);
	assert_non_null(strstr(cycle_read_output(), "/dev/null"));
}

static void expect_seen(struct saved *s, const char *command, const char *says)
{
	const struct ckpt_restore_params params = { .image = &s->image, .source = &s->source,
						    .cgroup = cycle_cgroup_dir,
						    .stdio = { 0, 1, 2 } };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;

	cycle_check(ckpt_restore_build(&params, &r, &err) || ckpt_restore_verify(r, &err) ||
		    ckpt_build_inside(r, "net", put, (char *)command, &err), &err);
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	assert_non_null(strstr(err.text, says));
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
}

static void test_verified(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	save("tcp_sockets", true, &s);
	expect_seen(&s, "echo 7 >/proc/sys/net/ipv4/tcp_syn_retries",
		    "/proc/sys/net/ipv4/tcp_syn_retries of its network namespace is 7");
	expect_seen(&s, "ip addr del 10.9.8.7/24 dev lo", "lo of its network namespace, or an");
	expect_seen(&s, "ip link set lo mtu 1500", "lo of its network namespace, or an address");
}

/* What the trial says of @net, by a process with all capabilities or none. */
static void expect_machine(const struct ckpt_net *net, bool able, const char *says)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	const struct ckpt_image image = { .net = (struct ckpt_net *)net, .n_net = 1 };
	struct ckpt_err *err = mmap(NULL, sizeof(*err), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit((!able && syscall(SYS_capset, &head, none)) ||
		      ckpt_namespaces_machine(&image, err) != (says ? -1 : 0));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status || (says && (err->status != CKPT_REFUSED || !strstr(err->text, says))))
		fail_msg("\"%s\" does not say \"%s\"", err->text, says ? says : "nothing");
	munmap(err, sizeof(*err));
}

#define SETTING(name, value, usual) \
	((struct ckpt_net_setting){ (char *)(name), (char *)(value), usual })

static void test_tried(void **state)
{
	struct ckpt_net_setting one = SETTING("ipv4/ip_default_ttl", "33", false);
	uint8_t ip[] = { 10, 1, 1, 1 };
	struct ckpt_net_address address = {
		.family = AF_INET, .prefix = 8, .flags = IFA_F_PERMANENT,
		.local = ip, .local_len = 4, .address = ip, .address_len = 4, .label = (char *)"lo",
	};
	struct ckpt_net net = { .mtu = 65536, .queue = 1000, .settings = &one, .n_settings = 1,
				.addresses = &address, .n_addresses = 1 };

	(void)state;
	expect_machine(&net, true, NULL);
	expect_machine(&net, false, "network namespace of its own, which ckpt-tool cannot make");
	one.value = (char *)"nonsense";
	expect_machine(&net, true, "has 'nonsense' in its /proc/sys/net/ipv4/ip_default_ttl, ");
	one = SETTING("ipv4/of_another_kernel", "1", false);
	expect_machine(&net, true, "has '1' in its /proc/sys/net/ipv4/of_another_kernel, which");
	one.usual = true;
	expect_machine(&net, true, NULL);
	/* a file that nobody may write is none */
	one = SETTING("ipv4/tcp_available_congestion_control", "none", true);
	expect_machine(&net, true, NULL);
	address.flags = IFA_F_PERMANENT | IFA_F_SECONDARY;
	expect_machine(&net, true, "the addresses of the tree's network namespace cannot be made");
	address.flags = IFA_F_PERMANENT;
	net.mtu = 68;
	expect_machine(&net, true, NULL);
	net.mtu = UINT32_MAX;
	expect_machine(&net, true, "the lo of the tree's network namespace (down, mtu 4294967295)");
}

static void expect_bad(const struct ckpt_net *net, size_t n, bool bad)
{
	const struct ckpt_image image = { .net = (struct ckpt_net *)net, .n_net = n };
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_namespaces_check(&image, &err), bad ? -1 : 0);
	assert_int_equal(err.status, bad ? CKPT_DAMAGED : CKPT_OK);
}

static void expect_bad_settings(struct ckpt_net_setting a, struct ckpt_net_setting b, bool bad)
{
	struct ckpt_net_setting both[] = { a, b };
	const struct ckpt_net net = { .settings = both, .n_settings = 2 };

	expect_bad(&net, 1, bad);
}

static void test_bad_settings(void **state)
{
	const struct ckpt_net_setting good = SETTING("core/somaxconn", "1", false);
	static char longest[CKPT_NET_VALUE_MAX + 2];

	(void)state;
	memset(longest, '1', sizeof(longest) - 1);
	expect_bad_settings(good, SETTING("ipv4/a.b/..c", "", true), false);
	expect_bad_settings(good, good, true);
	expect_bad_settings(good, SETTING("core/a", "1", false), true);
	expect_bad_settings(good, SETTING(NULL, "1", false), true);
	expect_bad_settings(good, SETTING("ipv4/a", NULL, false), true);
	expect_bad_settings(good, SETTING("ipv4/a", "1\n2", false), true);
	expect_bad_settings(good, SETTING("ipv4/a", longest, false), true);
	expect_bad_settings(SETTING("", "1", false), good, true);
	expect_bad_settings(SETTING("/etc/passwd", "1", false), good, true);
	expect_bad_settings(SETTING("../kernel/core_pattern", "1", false), good, true);
	expect_bad_settings(good, SETTING("ipv4/../../a", "1", false), true);
	expect_bad_settings(good, SETTING("ipv4/./a", "1", false), true);
	expect_bad_settings(good, SETTING("ipv4//a", "1", false), true);
	expect_bad_settings(good, SETTING("ipv4/", "1", false), true);
}

static void test_contradictions(void **state)
{
	uint8_t bytes[17] = { 10 };
	struct ckpt_net_address a = { .family = AF_INET, .prefix = 32, .address = bytes,
				      .address_len = 4 };
	struct ckpt_net two[2] = { { .addresses = &a, .n_addresses = 1 }, { 0 } };
	struct ckpt_tcp known = { .flags = CKPT_TCP_F_KNOWN };
	const struct ckpt_image image = { .net = two, .n_net = 1, .tcps = &known, .n_tcps = 1 };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	expect_bad(two, 1, false);
	expect_bad(two, 2, true);
	a.prefix = 33;
	expect_bad(two, 1, true);
	a.family = AF_INET6;
	expect_bad(two, 1, true);
	a.address_len = 16;
	expect_bad(two, 1, false);
	a.address_len = 17;
	expect_bad(two, 1, true);
	a.address_len = 0;
	expect_bad(two, 1, true);
	a.address_len = 16;
	a.family = AF_UNIX;
	expect_bad(two, 1, true);
	a.family = AF_INET6;
	a.label = (char *)"a label of sixteen";
	expect_bad(two, 1, true);
	a.label = NULL;
	/* out of such a namespace nothing goes on */
	assert_int_equal(ckpt_namespaces_check(&image, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_beside_us),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_unix_beside_us),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_shared_with_us),
		cmocka_unit_test(test_lo_down),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_routes_come_later),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_connected_to_outside),
		cmocka_unit_test(test_standard_socket),
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_tried),
		cmocka_unit_test(test_bad_settings),
		cmocka_unit_test(test_contradictions),
	};

	return cmocka_run_group_tests_name("proc net", tests, cycle_setup, cycle_teardown);
}
